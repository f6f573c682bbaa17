from __future__ import annotations

import pytest

from pyscheduler.config.feature_gates import FeatureGates, parse_feature_gates


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("", False, id="none"),
        pytest.param("SchedulerPreQueueingHints=true", True, id="on"),
        pytest.param("SchedulerPreQueueingHints=T", True, id="as Go reads it"),
        pytest.param(
            "SchedulerQueueingHints=true, SchedulerPreQueueingHints=1,", True, id="several"
        ),
        pytest.param(
            "SchedulerPreQueueingHints=true,SchedulerPreQueueingHints=false", False, id="twice"
        ),
    ],
)
def test_gates_are_read(text: str, expected: bool) -> None:
    assert parse_feature_gates(text) == FeatureGates(pre_queueing_hints=expected)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        pytest.param(
            "NoSuchGate=true",
            "unrecognized feature gate: NoSuchGate; known are InPlacePod.*"
            "SchedulerPreQueueingHints, SchedulerQueueingHints, .*WatchListClient$",
            id="unknown",
        ),
        pytest.param(
            "SchedulerPreQueueingHints", "missing bool value for SchedulerPreQ", id="no value"
        ),
        pytest.param(
            "SchedulerPreQueueingHints=yes",
            "invalid value of SchedulerPreQueueingHints=yes: not a bool",
            id="no bool",
        ),
        pytest.param(
            "SchedulerAsyncPreemption=false",
            "cannot set feature gate SchedulerAsyncPreemption to false: it is always on",
            id="always on",
        ),
    ],
)
def test_what_cannot_be_switched_is_refused(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        parse_feature_gates(text)
