"""The disruption controller: how many pods of each PodDisruptionBudget may go right now.

It listens to the store and writes ``status`` through the API server, as the real controller does,
a moment after a pod or a budget has changed.

Source: k8s.io/kubernetes 1.37 pkg/controller/disruption. Knowing difference: nothing here owns
pods, so the expected count behind a percentage or ``maxUnavailable`` is the number of pods that
match and are not going away, where the real one asks the owner's scale.
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from pyscheduler.clock import Clock
from pyscheduler.sim.agenda import Agenda
from pyscheduler.sim.api_server import ApiServer
from pyscheduler.sim.exchange import Request
from pyscheduler.sim.json_objects import JsonObject, JsonView, timestamp
from pyscheduler.sim.object_store import Event, Stored
from pyscheduler.sim.served_kinds import DISRUPTION_BUDGETS, PODS

_encode = msgspec.json.Encoder().encode
_MERGE_PATCH = "application/merge-patch+json"
_MAXIMUM = "maxUnavailable"


class DisruptionController:
    """Keeps ``status.disruptionsAllowed`` of every budget true."""

    def __init__(self, server: ApiServer, *, clock: Clock) -> None:
        """A controller that acts once `start` is called.

        Args:
            server: the API server it talks to.
            clock: timestamps of conditions.
        """
        self._server = server
        self._clock = clock
        self._agenda = Agenda(clock)
        #: Budgets by namespace, with the pods each of them covers.
        self._budgets: dict[str, dict[str, _Budget]] = {}
        #: Keys of budgets whose status is about to be written.
        self._pending: set[str] = set()
        self._stop_listening: list[Callable[[], None]] = []

    def start(self) -> None:
        """Present and later budgets are looked after."""
        store = self._server.store
        budgets = store.collection(DISRUPTION_BUDGETS.collection)
        for stored in tuple(budgets.objects.values()):
            self._cover(stored)
        self._stop_listening = [
            budgets.listen(self._on_budget),
            store.collection(PODS.collection).listen(self._on_pod),
        ]
        self._agenda.start()

    async def close(self) -> None:
        """Nothing is looked after any more. May be called twice."""
        for stop in self._stop_listening:
            stop()
        self._stop_listening = []
        await self._agenda.close()

    def _on_budget(self, event: Event) -> None:
        stored = event.object
        if event.type == "DELETED":
            namespace = stored.key.partition("/")[0]
            of_namespace = self._budgets[namespace]
            del of_namespace[stored.key]
            if not of_namespace:
                del self._budgets[namespace]
        elif event.previous is None or event.previous.data["spec"] != stored.data["spec"]:
            self._cover(stored)

    def _cover(self, stored: Stored) -> None:
        """The budget knows its pods anew."""
        namespace = stored.key.partition("/")[0]
        budget = _Budget(stored.data["spec"])
        for pod in self._server.store.collection(PODS.collection).objects.values():
            if pod.key.startswith(f"{namespace}/"):
                budget.see(pod)
        self._budgets.setdefault(namespace, {})[stored.key] = budget
        self._write_soon(stored.key)

    def _on_pod(self, event: Event) -> None:
        pod = event.object
        for key, budget in self._budgets.get(pod.key.partition("/")[0], {}).items():
            changed = budget.lose(pod.key) if event.type == "DELETED" else budget.see(pod)
            if changed:
                self._write_soon(key)

    def _write_soon(self, key: str) -> None:
        if key not in self._pending:
            self._pending.add(key)
            self._agenda.add(0.0, lambda: self._write(key))

    def _write(self, key: str) -> None:
        self._pending.discard(key)
        stored = self._server.store.get(DISRUPTION_BUDGETS.collection, key)
        namespace, _, name = key.partition("/")
        budget = self._budgets.get(namespace, {}).get(key)
        if stored is None or budget is None:
            return
        counts = budget.counts()
        status = {
            **counts,
            "observedGeneration": stored.data["metadata"]["generation"],
            "conditions": [self._condition(stored, allowed=counts["disruptionsAllowed"] > 0)],
        }
        kind = DISRUPTION_BUDGETS
        path = f"{kind.root}/namespaces/{namespace}/{kind.plural}/{name}/status"
        body = _encode({"status": status})
        self._server.handle(Request("PATCH", path, body=body, content_type=_MERGE_PATCH))

    def _condition(self, stored: Stored, *, allowed: bool) -> JsonObject:
        status = "True" if allowed else "False"
        for held in stored.data["status"].get("conditions") or ():
            if held["status"] == status:
                same: JsonObject = held
                return same
        return {
            "type": "DisruptionAllowed",
            "status": status,
            "reason": "SufficientPods" if allowed else "InsufficientPods",
            "message": "",
            "lastTransitionTime": timestamp(self._clock.now()),
            "observedGeneration": stored.data["metadata"]["generation"],
        }


class _Budget:
    """One budget's bounds and the pods it covers: key to whether the pod is healthy."""

    __slots__ = ("_pods", "_spec")

    def __init__(self, spec: JsonView) -> None:
        self._spec = spec
        self._pods: dict[str, bool] = {}

    def see(self, pod: Stored) -> bool:
        """The pod is counted as it is now; whether that changed anything."""
        data = pod.data
        labels = data["metadata"].get("labels") or {}
        if "deletionTimestamp" in data["metadata"] or not _selects(self._spec, labels):
            return self.lose(pod.key)
        healthy = _is_ready(data)
        changed = self._pods.get(pod.key) is not healthy
        self._pods[pod.key] = healthy
        return changed

    def lose(self, key: str) -> bool:
        """The pod is not counted; whether it was."""
        return self._pods.pop(key, None) is not None

    def counts(self) -> dict[str, int]:
        """The numbers of the budget's status."""
        expected, healthy = len(self._pods), sum(self._pods.values())
        desired = self._desired(expected)
        bounded = any(self._spec.get(name) is not None for name in ("minAvailable", _MAXIMUM))
        allowed = healthy - desired if bounded and expected else 0
        return {
            "expectedPods": expected,
            "currentHealthy": healthy,
            "desiredHealthy": desired,
            "disruptionsAllowed": max(allowed, 0),
        }

    def _desired(self, expected: int) -> int:
        least, most = self._spec.get("minAvailable"), self._spec.get(_MAXIMUM)
        if most is not None:
            return max(expected - _scaled(most, expected), 0)
        return _scaled(least, expected) if least is not None else 0


def _scaled(bound: int | str, total: int) -> int:
    """A count, or a percentage of the total rounded up."""
    if isinstance(bound, int):
        return bound
    return -(-int(bound.rstrip("%")) * total // 100)


def _is_ready(pod: JsonView) -> bool:
    conditions = pod.get("status", {}).get("conditions") or ()
    return any(entry["type"] == "Ready" and entry["status"] == "True" for entry in conditions)


def _selects(spec: JsonView, labels: JsonView) -> bool:
    """Whether the budget covers pods of these labels; no selector covers none, an empty one all."""
    selector = spec.get("selector")
    if selector is None:
        return False
    wanted: JsonView = selector.get("matchLabels") or {}
    if any(labels.get(key) != value for key, value in wanted.items()):
        return False
    return all(_meets(rule, labels) for rule in selector.get("matchExpressions") or ())


def _meets(rule: JsonView, labels: JsonView) -> bool:
    key, values = rule["key"], rule.get("values") or ()
    match rule["operator"]:
        case "In":
            return key in labels and labels[key] in values
        case "NotIn":
            return labels.get(key) not in values
        case "Exists":
            return key in labels
        case _:
            return key not in labels
