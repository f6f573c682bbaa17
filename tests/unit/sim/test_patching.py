from __future__ import annotations

from typing import Any

import pytest

from pyscheduler.sim.api_errors import ApiError
from pyscheduler.sim.patching import (
    json_patch,
    merge_patch,
    patch_format,
    strategic_merge_patch,
)


def test_merge_patch_leaves_the_present_object_alone() -> None:
    present = {"a": {"b": 1, "c": 2}, "l": [1]}

    merged = merge_patch(present, {"a": {"b": None, "d": 3}, "l": [2]})

    assert merged == {"a": {"c": 2, "d": 3}, "l": [2]}
    assert present == {"a": {"b": 1, "c": 2}, "l": [1]}


@pytest.mark.parametrize(
    ("present", "patch", "expected"),
    [
        pytest.param(
            {"conditions": [{"type": "A", "status": "True", "reason": "x"}]},
            {"conditions": [{"type": "A", "status": "False"}, {"type": "B"}]},
            {"conditions": [{"type": "A", "status": "False", "reason": "x"}, {"type": "B"}]},
            id="merged-by-key",
        ),
        pytest.param(
            {"conditions": [{"type": "A"}, {"type": "B"}]},
            {"conditions": [{"$patch": "delete", "type": "A"}]},
            {"conditions": [{"type": "B"}]},
            id="item-deleted",
        ),
        pytest.param(
            {"conditions": [{"type": "A"}]},
            {"conditions": [{"$patch": "replace"}, {"type": "B"}]},
            {"conditions": [{"type": "B"}]},
            id="list-replaced",
        ),
        pytest.param(
            {"tolerations": [{"key": "a"}]},
            {"tolerations": [{"key": "b"}]},
            {"tolerations": [{"key": "b"}]},
            id="atomic-list",
        ),
        pytest.param(
            {"finalizers": ["a", "b"]},
            {"finalizers": ["c"], "$deleteFromPrimitiveList/finalizers": ["a"]},
            {"finalizers": ["b", "c"]},
            id="primitive-list",
        ),
        pytest.param(
            {"labels": {"a": "1"}},
            {"labels": {"$patch": "replace", "b": "2"}},
            {"labels": {"b": "2"}},
            id="map-replaced",
        ),
    ],
)
def test_strategic_merge(present: Any, patch: Any, expected: Any) -> None:
    assert strategic_merge_patch(present, patch) == expected


@pytest.mark.parametrize(
    ("operation", "expected"),
    [
        pytest.param({"op": "add", "path": "/l/0", "value": 0}, {"l": [0, 1, 2]}, id="insert"),
        pytest.param({"op": "add", "path": "/l/-", "value": 3}, {"l": [1, 2, 3]}, id="append"),
        pytest.param({"op": "replace", "path": "/l/1", "value": 5}, {"l": [1, 5]}, id="replace"),
        pytest.param({"op": "remove", "path": "/l/0"}, {"l": [2]}, id="remove"),
        pytest.param({"op": "add", "path": "/a~1b", "value": 1}, {"l": [1, 2], "a/b": 1}, id="esc"),
        pytest.param({"op": "move", "from": "/l", "path": "/m"}, {"m": [1, 2]}, id="move"),
        pytest.param(
            {"op": "copy", "from": "/l/0", "path": "/m"}, {"l": [1, 2], "m": 1}, id="copy"
        ),
    ],
)
def test_json_patch(operation: Any, expected: Any) -> None:
    assert json_patch({"l": [1, 2]}, [operation]) == expected


@pytest.mark.parametrize(
    "operation",
    [
        pytest.param({"op": "remove", "path": "/missing"}, id="missing"),
        pytest.param({"op": "replace", "path": "/l/7", "value": 1}, id="beyond-the-end"),
        pytest.param({"op": "add", "path": "/missing/x", "value": 1}, id="no-parent"),
        pytest.param({"op": "test", "path": "/l/0", "value": 9}, id="failed-test"),
    ],
)
def test_json_patch_that_cannot_be_applied_is_unprocessable(operation: Any) -> None:
    with pytest.raises(ApiError) as refused:
        json_patch({"l": [1, 2]}, [operation])

    assert refused.value.code == 422


def test_server_side_apply_names_itself() -> None:
    with pytest.raises(ApiError, match=r"apply-patch\+yaml"):
        patch_format("application/apply-patch+yaml")
