import copy
import pickle
from collections.abc import Callable

import pytest

from pyscheduler.api.frozen_map import FrozenMap, frozen


def test_reads_like_a_dict_and_equals_one() -> None:
    frozen = FrozenMap({"a": "1", "b": "2"})
    assert frozen == {"b": "2", "a": "1"}
    assert frozen.get("c") is None
    assert "a" in frozen
    assert list(frozen) == ["a", "b"]


def test_equal_maps_have_equal_hashes_whatever_the_order() -> None:
    assert hash(FrozenMap({"a": "1", "b": "2"})) == hash(FrozenMap({"b": "2", "a": "1"}))
    assert len({FrozenMap({"a": "1"}), FrozenMap({"a": "1"}), FrozenMap({"a": "2"})}) == 2


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda m: m.__setitem__("a", "2"), id="set"),
        pytest.param(lambda m: m.__delitem__("a"), id="delete"),
        pytest.param(lambda m: m.__ior__({"b": "1"}), id="ior"),
        pytest.param(lambda m: m.clear(), id="clear"),
        pytest.param(lambda m: m.pop("a"), id="pop"),
        pytest.param(lambda m: m.popitem(), id="popitem"),
        pytest.param(lambda m: m.setdefault("b", "1"), id="setdefault"),
        pytest.param(lambda m: m.update(b="1"), id="update"),
    ],
)
def test_refuses_every_change(change: Callable[[FrozenMap[str, str]], object]) -> None:
    frozen = FrozenMap({"a": "1"})
    with pytest.raises(TypeError, match="does not change"):
        change(frozen)
    assert frozen == {"a": "1"}


def test_copies_and_pickles_stay_equal() -> None:
    frozen = FrozenMap({"a": "1"})
    assert copy.copy(frozen) is frozen
    assert copy.deepcopy(frozen) is frozen
    again = pickle.loads(pickle.dumps(frozen))
    assert again == frozen
    assert isinstance(again, FrozenMap)


def test_frozen_json_is_equal_hashable_and_read_only_throughout() -> None:
    value = frozen({"spec": {"sizes": [1, {"a": None}], "on": True}})

    assert value == {"spec": {"sizes": (1, {"a": None}), "on": True}}
    assert hash(value) == hash(frozen({"spec": {"on": True, "sizes": [1, {"a": None}]}}))
    with pytest.raises(TypeError, match="does not change"):
        value["spec"]["sizes"][1]["a"] = 2
