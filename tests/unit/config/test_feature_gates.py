from __future__ import annotations

import pytest

from pyscheduler.config.feature_gates import DEFAULT_GATES, GATES, Stage, parse_feature_gates


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("", False, id="none"),
        pytest.param("SchedulerPreQueueingHints=true", True, id="on"),
        pytest.param("SchedulerPreQueueingHints=T", True, id="as Go reads it"),
        pytest.param("kube:SchedulerPreQueueingHints=true", True, id="of a component"),
        pytest.param(
            "SchedulerAsyncPreemption=true, SchedulerPreQueueingHints=1,", True, id="several"
        ),
        pytest.param(
            "SchedulerPreQueueingHints=true,SchedulerPreQueueingHints=false", False, id="twice"
        ),
        pytest.param(
            "SchedulerPreQueueingHints=true,AllAlpha=false", True, id="by name, and its stage"
        ),
    ],
)
def test_gates_are_read(text: str, expected: bool) -> None:
    gates = parse_feature_gates(text)

    assert gates == {**DEFAULT_GATES, "SchedulerPreQueueingHints": expected}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        pytest.param(
            "NoSuchGate=true",
            "^unrecognized feature gate: NoSuchGate; known are AllAlpha, AllBeta, .*Client$",
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
            "^cannot set feature gate SchedulerAsyncPreemption to false: the feature is always on$",
            id="always on",
        ),
        pytest.param(
            "GenericWorkload=true",
            "^cannot set feature gate GenericWorkload to true: the feature is not here yet$",
            id="not here",
        ),
        pytest.param(
            "NodeDeclaredFeatures=false",
            "^cannot set feature gate NodeDeclaredFeatures to false, feature is locked to true$",
            id="locked",
        ),
        pytest.param(
            "AllAlpha=true",
            "^cannot set feature gate CompositePodGroup to true: the feature is not here yet$",
            id="all of a stage, of which some are not here",
        ),
        pytest.param(
            "AllBeta=false", "^cannot set feature gate DRA.* to false: .*always on", id="all beta"
        ),
    ],
)
def test_what_cannot_be_switched_is_refused(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        parse_feature_gates(text)


def test_defaults_are_here() -> None:
    assert [gate.name for gate in GATES.values() if gate.default not in gate.values] == []


def test_only_finished_features_are_locked() -> None:
    locked = [gate for gate in GATES.values() if gate.is_locked]

    assert locked
    assert [gate for gate in locked if gate.stage is not Stage.GA or not gate.default] == []


def test_alpha_features_are_off() -> None:
    alpha = [gate for gate in GATES.values() if gate.stage is Stage.ALPHA]

    assert alpha
    assert [gate for gate in alpha if gate.default] == []
