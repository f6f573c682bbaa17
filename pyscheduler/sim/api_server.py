"""The embedded API server: requests in, answers out, whatever carries them.

`ApiServer.handle` is synchronous: one request is read, checked, applied and answered before the
next one runs, so optimistic concurrency needs no locks. It returns a `Response`, or a
`WatchStream` for a watch. `http_server` and `in_process` carry requests to it; tests put
`Fault`s in the way.

What is not served (other content types, verbs, kinds) is answered with 501 and a Status that
names it; `tests/contract` holds the rest to the real server.
"""

from __future__ import annotations

import random
import uuid
from collections.abc import Callable, Mapping
from typing import TypeAlias

import msgspec

from pyscheduler.clock import Clock
from pyscheduler.sim import binding as pod_binding
from pyscheduler.sim import custom_resources, object_rules
from pyscheduler.sim.api_errors import (
    ApiError,
    FieldProblem,
    already_exists,
    bad_request,
    conflict,
    invalid,
    not_found,
    not_served,
)
from pyscheduler.sim.catalogue import Catalogue
from pyscheduler.sim.deletion import is_released, plan_deletion
from pyscheduler.sim.exchange import Fault, Request, Response
from pyscheduler.sim.json_objects import JsonObject, JsonView, timestamp
from pyscheduler.sim.list_options import read_list_options
from pyscheduler.sim.listing import list_objects
from pyscheduler.sim.object_rules import Identity
from pyscheduler.sim.object_store import Event, ObjectStore, Stored
from pyscheduler.sim.patching import patch_format
from pyscheduler.sim.preconditions import check_delete_preconditions, check_preconditions
from pyscheduler.sim.query_selectors import compile_selectors
from pyscheduler.sim.request_bodies import check_kind, decode_json, decode_object
from pyscheduler.sim.served_kinds import (
    CUSTOM_RESOURCE_DEFINITIONS,
    NAMESPACES,
    NODES,
    PODS,
    PRIORITY_CLASSES,
    CustomKind,
    ServedKind,
    Target,
    is_built_in_group,
)
from pyscheduler.sim.watching import WatchStream

_HEALTH_PATHS = frozenset({"/healthz", "/livez", "/readyz"})
#: The alphabet of generated name suffixes: no vowels, nothing that looks like another.
_SUFFIX_ALPHABET = "bcdfghjklmnpqrstvwxz2456789"
_SUFFIX_LENGTH = 5
_MAX_GENERATED_BASE = 63 - _SUFFIX_LENGTH
_GENERATE_ATTEMPTS = 8
_SYSTEM_NAMESPACES = ("default", "kube-system", "kube-public", "kube-node-lease")
_SYSTEM_PRIORITIES = {
    "system-cluster-critical": 2_000_000_000,
    "system-node-critical": 2_000_001_000,
}
_PLAIN_TEXT = "text/plain; charset=utf-8"
#: What the real server says of a kind whose definition is not there (yet).
_PAGE_NOT_FOUND = Response(404, b"404 page not found\n", content_type=_PLAIN_TEXT)
_BOUND = b'{"kind":"Status","apiVersion":"v1","metadata":{},"status":"Success","code":201}\n'

_encode = msgspec.json.Encoder().encode
_NO_HEADERS: Mapping[str, str] = {}


Answer: TypeAlias = Response | WatchStream


class ApiServer:
    """Answers requests from an `ObjectStore`."""

    def __init__(
        self,
        store: ObjectStore,
        *,
        clock: Clock,
        rng: random.Random,
        watch_list: bool = True,
        address: str = "127.0.0.1",
    ) -> None:
        """A server with the system's namespaces and priority classes.

        Args:
            store: where the objects are.
            clock: timestamps, watch deadlines and bookmarks.
            rng: uids and generated names.
            watch_list: whether watches may ask for their initial state.
            address: ``host:port`` that discovery names.
        """
        self.store = store
        self._clock = clock
        self._rng = rng
        self._watch_list = watch_list
        self.catalogue = Catalogue(address=address, now=clock.now)
        #: Ordered, so that a replay ends them in the same order.
        self._streams: dict[WatchStream, None] = {}
        self._faults: list[Fault] = []
        self._verbs: Mapping[str, Callable[[Request, Target], Answer]] = {
            "GET": self._read,
            "POST": self._post,
            "PUT": self._put,
            "PATCH": self._patch,
            "DELETE": self._delete,
        }
        store.collection(CUSTOM_RESOURCE_DEFINITIONS.collection).listen(self._on_definition)
        self._create_system_objects()

    def handle(self, request: Request) -> Answer:
        """The answer; refusals are answers too."""
        for fault in self._faults:
            if (struck := fault.strike(request)) is not None:
                return struck
        try:
            return self._handle(request)
        except ApiError as error:
            return error_response(error)

    def inject(self, fault: Fault) -> None:
        """The fault answers the requests it is for, until it is used up."""
        self._faults = [held for held in self._faults if held.times > 0] + [fault]

    def disconnect_watches(self) -> None:
        """Every open watch ends, as when the server or the network goes away."""
        for stream in tuple(self._streams):
            stream.close()
        self._streams.clear()

    def stream_closed(self, stream: WatchStream) -> None:
        """The watch is over; whoever carried the stream says so."""
        self._streams.pop(stream, None)

    def _handle(self, request: Request) -> Answer:
        target = self.catalogue.resolve(request.path)
        if target is None:
            return self._document(request)
        act = self._verbs.get(request.method)
        if act is None:
            raise not_served(f"{request.method} {request.path}")
        return act(request, target)

    def _document(self, request: Request) -> Response:
        path = request.path.rstrip("/")
        if path.startswith("/apis/") and not is_built_in_group(path.split("/")[2]):
            document = self.catalogue.document(path) if request.method == "GET" else None
            return _PAGE_NOT_FOUND if document is None else Response(200, _encode(document))
        if request.method != "GET":
            raise not_served(f"{request.method} {request.path}")
        if path in _HEALTH_PATHS:
            return Response(200, b"ok", content_type=_PLAIN_TEXT)
        document = self.catalogue.document(path)
        if document is None:
            raise not_served(request.path)
        return Response(200, _encode(document))

    # -- reading

    def _read(self, request: Request, target: Target) -> Answer:
        form = self.catalogue.form(request, target.kind)
        if target.name and "watch" not in request.query:
            return Response(200, form.object(self._present(target)))
        options = read_list_options(request.query, watch_list=self._watch_list)
        selects = compile_selectors(target.kind, request.query)
        if not options.watch:
            body = list_objects(self.store, target, options, selects=selects, form=form)
            return Response(200, body)
        stream = WatchStream(
            self.store, target, options, selects=selects, form=form, clock=self._clock
        )
        self._streams[stream] = None
        return stream

    def _present(self, target: Target) -> Stored:
        stored = self.store.get(target.kind.collection, target.key)
        if stored is None:
            raise not_found(target.kind.plural, target.kind.group, target.name)
        return stored

    # -- writing

    def _post(self, request: Request, target: Target) -> Response:
        body = decode_object(request)
        if target.subresource == "binding":
            return self._bind(target, body)
        if target.name or target.subresource:
            raise not_served(f"POST {request.path}")
        return self._answer(201, target.kind, self._create(target, body))

    def _bind(self, target: Target, body: JsonObject) -> Response:
        node_name = pod_binding.binding_node(body, target.name)
        pod = self._present(target)
        node = self.store.get(NODES.collection, node_name)
        labels = node.data["metadata"].get("labels") or {} if node else {}
        bound = pod_binding.bind(pod.data, body, labels, timestamp=timestamp(self._clock.now()))
        self.store.put(PODS.collection, target.key, bound)
        return Response(201, _BOUND)

    def _create(self, target: Target, body: JsonObject) -> Stored:
        kind = target.kind
        check_kind(kind, body)
        metadata = body.get("metadata") or {}
        given_namespace = metadata.get("namespace") or target.namespace
        if given_namespace != target.namespace:
            raise bad_request(
                "the namespace of the provided object does not match the namespace sent on the"
                " request"
            )
        if kind.namespaced and not target.namespace:
            raise bad_request("an empty namespace may not be set during creation")
        if kind.namespaced and self.store.get(NAMESPACES.collection, target.namespace) is None:
            raise not_found("namespaces", "", target.namespace)
        if metadata.get("resourceVersion"):
            raise bad_request("resourceVersion should not be set on objects to be created")
        identity = Identity(
            namespace=target.namespace,
            name=self._new_name(target, metadata),
            uid=str(uuid.UUID(int=self._rng.getrandbits(128), version=4)),
            creation_timestamp=timestamp(self._clock.now()),
        )
        key = f"{identity.namespace}/{identity.name}" if identity.namespace else identity.name
        data = object_rules.prepare_new(
            kind, body, identity, priority_classes=self._priority_classes
        )
        if self.store.get(kind.collection, key) is not None:
            raise already_exists(kind.plural, kind.group, identity.name)
        stored = self.store.put(kind.collection, key, data)
        if kind is CUSTOM_RESOURCE_DEFINITIONS:
            now = timestamp(self._clock.now())
            self.store.put(kind.collection, key, custom_resources.established(data, timestamp=now))
        return stored

    def _new_name(self, target: Target, metadata: JsonView) -> str:
        name: str = metadata.get("name") or ""
        if name:
            return name
        base: str = metadata.get("generateName") or ""
        kind = target.kind
        if not base:
            problem = FieldProblem(
                "metadata.name",
                "FieldValueRequired",
                "Required value: name or generateName is required",
            )
            raise invalid(kind.kind, kind.group, "", [problem])
        objects = self.store.collection(kind.collection).objects
        for _ in range(_GENERATE_ATTEMPTS):
            suffix = "".join(self._rng.choices(_SUFFIX_ALPHABET, k=_SUFFIX_LENGTH))
            name = base[:_MAX_GENERATED_BASE] + suffix
            if (f"{target.namespace}/{name}" if target.namespace else name) not in objects:
                break
        return name

    def _priority_classes(self) -> list[JsonObject]:
        objects = self.store.collection(PRIORITY_CLASSES.collection).objects
        return [stored.data for stored in objects.values()]

    def _put(self, request: Request, target: Target) -> Response:
        self._check_update_path(request, target)
        kind = target.kind
        body = decode_object(request)
        check_kind(kind, body)
        metadata = body.get("metadata") or {}
        if metadata.get("name") != target.name:
            raise bad_request(
                f"the name of the object ({metadata.get('name') or ''} based on URL) was"
                f" undeterminable or does not match the name on the URL ({target.name})"
            )
        if kind.create_on_update and self.store.get(kind.collection, target.key) is None:
            given = {key: value for key, value in metadata.items() if key != "resourceVersion"}
            collection = Target(kind, target.namespace)
            return self._answer(201, kind, self._create(collection, {**body, "metadata": given}))
        present = self._present(target)
        if not metadata.get("resourceVersion") and not kind.unconditional_update:
            problem = FieldProblem(
                "metadata.resourceVersion",
                "FieldValueInvalid",
                "Invalid value: 0: must be specified for an update",
            )
            raise invalid(kind.qualified, "", target.name, [problem])
        return self._answer(200, kind, self._update(target, present, body))

    def _patch(self, request: Request, target: Target) -> Response:
        self._check_update_path(request, target)
        has_merge_keys = not isinstance(target.kind, CustomKind)
        apply = patch_format(request.content_type, merge_keys=has_merge_keys)
        present = self._present(target)
        body = apply(present.data, decode_json(request))
        return self._answer(200, target.kind, self._update(target, present, body, patch=True))

    def _check_update_path(self, request: Request, target: Target) -> None:
        if not target.name or target.subresource == "binding":
            raise not_served(f"{request.method} {request.path}")

    def _update(
        self, target: Target, present: Stored, body: JsonObject, *, patch: bool = False
    ) -> Stored:
        kind = target.kind
        metadata = body.get("metadata") or {}
        uid = metadata.get("uid")
        if not patch:
            check_preconditions(kind.plural, kind.group, present.data["metadata"], {"uid": uid})
        given = metadata.get("resourceVersion")
        if given and given != str(present.version):
            raise conflict(kind.plural, kind.group, target.name)
        if uid and uid != present.data["metadata"]["uid"]:  # of a PATCH, it is no precondition
            text = f'Invalid value: "{uid}": field is immutable'
            problem = FieldProblem("metadata.uid", "FieldValueInvalid", text)
            raise invalid(kind.kind, kind.group, target.name, [problem])
        data = object_rules.prepare_update(kind, body, present.data, subresource=target.subresource)
        if is_released(data):
            self.store.put(kind.collection, target.key, data)
            return self.store.delete(kind.collection, target.key)
        if data == present.data:
            return present
        return self.store.put(kind.collection, target.key, data)

    # -- deleting

    def _delete(self, request: Request, target: Target) -> Response:
        if target.subresource:
            raise not_served(f"DELETE {request.path}")
        options = decode_object(request) if request.body else {}
        if grace := request.query.get("gracePeriodSeconds"):
            options = {**options, "gracePeriodSeconds": int(grace)}
        if not target.name:
            return self._delete_collection(request, target, options)
        present = self._present(target)
        wanted = options.get("preconditions") or {}
        check_delete_preconditions(target.kind, present.data["metadata"], wanted)
        left, gone = self._delete_one(target.kind, present, options)
        if gone and not target.kind.returns_deleted:
            return Response(200, _encode(_deleted_status(target, present)))
        return self._answer(200, target.kind, left)

    def _delete_collection(self, request: Request, target: Target, options: JsonView) -> Response:
        list_options = read_list_options(request.query, watch_list=self._watch_list)
        selects = compile_selectors(target.kind, request.query)
        form = self.catalogue.plain(target.kind)
        body = list_objects(self.store, target, list_options, selects=selects, form=form)
        prefix = f"{target.namespace}/" if target.namespace else ""
        for stored in tuple(self.store.collection(target.kind.collection).objects.values()):
            if stored.key.startswith(prefix) and (selects is None or selects(stored.data)):
                self._delete_one(target.kind, stored, options)
        return Response(200, body)

    def _delete_one(
        self, kind: ServedKind, present: Stored, options: JsonView
    ) -> tuple[Stored, bool]:
        """The object's last or waiting state, and whether it is gone."""
        deletion = plan_deletion(kind, present.data, options, now_s=self._clock.now())
        if deletion.marked is not None:
            present = self.store.put(kind.collection, present.key, deletion.marked)
        if not deletion.ends:
            return present, False
        if kind is NAMESPACES:
            self._empty_namespace(present.key)
        elif kind is CUSTOM_RESOURCE_DEFINITIONS:
            self._empty_collection(present.key)
        return self.store.delete(kind.collection, present.key), True

    def _empty_namespace(self, namespace: str) -> None:
        """What the namespace controller would do: everything inside goes, at once."""
        for kind in self.catalogue:
            if kind.namespaced:
                objects = self.store.collection(kind.collection).objects
                for key in [key for key in objects if key.startswith(f"{namespace}/")]:
                    self.store.delete(kind.collection, key)

    def _empty_collection(self, collection: str) -> None:
        """The objects of a kind that is no longer defined go, and nobody watches them."""
        for key in list(self.store.collection(collection).objects):
            self.store.delete(collection, key)
        for stream in tuple(self._streams):
            if stream.collection == collection:
                stream.close()

    def _on_definition(self, event: Event) -> None:
        """A kind is served while its definition is there and established."""
        kind = custom_resources.defined_kind(event.object.data)
        if kind is None:
            return
        if event.type == "DELETED":
            self.catalogue.remove(kind)
        else:
            self.catalogue.add(kind)

    def _answer(self, status: int, kind: ServedKind, stored: Stored) -> Response:
        return Response(status, self.catalogue.plain(kind).object(stored))

    def _create_system_objects(self) -> None:
        for name in _SYSTEM_NAMESPACES:
            self._create(Target(NAMESPACES), {"metadata": {"name": name}})
        for name, value in _SYSTEM_PRIORITIES.items():
            identity = Identity(
                namespace="",
                name=name,
                uid=str(uuid.UUID(int=self._rng.getrandbits(128), version=4)),
                creation_timestamp=timestamp(self._clock.now()),
            )
            data: JsonObject = {
                "kind": PRIORITY_CLASSES.kind,
                "apiVersion": PRIORITY_CLASSES.api_version,
                "metadata": {
                    "name": identity.name,
                    "uid": identity.uid,
                    "creationTimestamp": identity.creation_timestamp,
                    "generation": 1,
                },
                "value": value,
                "preemptionPolicy": "PreemptLowerPriority",
            }
            self.store.put(PRIORITY_CLASSES.collection, name, data)


def error_response(error: ApiError) -> Response:
    """The answer that carries a refusal's Status."""
    headers = _NO_HEADERS
    if error.details and "retryAfterSeconds" in error.details:
        headers = {"Retry-After": str(error.details["retryAfterSeconds"])}
    return Response(error.code, _encode(error.status), headers=headers)


def _deleted_status(target: Target, deleted: Stored) -> JsonObject:
    kind = target.kind
    details: JsonObject = {"name": target.name}
    if kind.group:
        details["group"] = kind.group
    details["kind"] = kind.plural
    details["uid"] = deleted.data["metadata"]["uid"]
    return {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Success",
        "details": details,
    }
