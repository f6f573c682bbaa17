from __future__ import annotations

from typing import Any

import pytest

from pyscheduler.api.meta import ObjectMeta
from pyscheduler.api.policy_v1 import PodDisruptionBudget
from pyscheduler.testing import FakeInformers, fake_handle

GANGS = "gangs.v1.example.com"


class Told:
    def __init__(self) -> None:
        self.calls: list[tuple[Any, ...]] = []

    def on_add(self, added: Any, initial: bool) -> None:
        self.calls.append(("add", added["size"], initial))

    def on_update(self, old: Any, new: Any) -> None:
        self.calls.append(("update", old["size"], new["size"]))

    def on_delete(self, deleted: Any) -> None:
        self.calls.append(("delete", deleted["size"]))


def gang(name: str, *, size: int, namespace: str = "shop") -> dict[str, Any]:
    return {"metadata": {"name": name, "namespace": namespace}, "size": size}


def test_handlers_hear_what_the_test_does() -> None:
    informers = FakeInformers()
    handle = fake_handle(informers=informers)
    gangs = informers.of(GANGS)
    gangs.put(gang("a", size=1))
    told = Told()
    handle.informers.of(GANGS).add_handler(told)
    gangs.put(gang("a", size=2))
    gangs.put(gang("b", size=3, namespace="mine"))
    gangs.remove("shop/a")

    assert told.calls == [("add", 1, True), ("update", 1, 2), ("add", 3, False), ("delete", 2)]
    assert handle.listers.of(GANGS).get("mine/b") == gang("b", size=3, namespace="mine")
    assert handle.listers.of(GANGS).list("shop") == []
    assert informers.followed == (GANGS,)


def test_json_is_as_read_only_as_in_a_scheduler() -> None:
    gangs = FakeInformers().of(GANGS)
    gangs.put(gang("a", size=1))

    with pytest.raises(TypeError, match="does not change"):
        gangs.list()[0]["metadata"]["name"] = "b"


def test_structs_are_known_by_their_metadata() -> None:
    budget = PodDisruptionBudget(ObjectMeta(name="web", namespace="shop"))
    budgets = FakeInformers().of("poddisruptionbudgets.v1.policy", PodDisruptionBudget)
    budgets.put(budget)

    assert budgets.list() == [budget]
    assert budgets.get("shop/web") is budget
