"""Node selectors, required and preferred terms, and what the profile adds."""

from __future__ import annotations

from typing import Any

import pydantic
import pytest

from pyscheduler import framework as fwk
from pyscheduler.api.core_v1 import Node
from pyscheduler.framework import QueueingHint
from pyscheduler.intree.node_affinity import NodeAffinity
from pyscheduler.testing import (
    PluginHarness,
    PodBuilder,
    fake_handle,
    make_node,
    make_plugin,
    make_pod,
)

MISMATCH = fwk.unresolvable("node(s) didn't match Pod's node affinity/selector")
ENFORCED = fwk.unresolvable("node(s) didn't match scheduler-enforced node affinity")
QUEUE, SKIP = QueueingHint.QUEUE, QueueingHint.SKIP

NODES = [
    make_node("a").label("zone", "a").label("cores", "4").obj(),
    make_node("b").label("zone", "b").label("cores", "16").obj(),
    make_node("bare").obj(),
]


@pytest.mark.parametrize(
    ("pod", "feasible"),
    [
        pytest.param(make_pod("p"), ["a", "b", "bare"], id="requires-nothing"),
        pytest.param(make_pod("p").node_selector({"zone": "a"}), ["a"], id="selector"),
        pytest.param(
            make_pod("p").required_affinity(("zone", "In", ["a", "b"])), ["a", "b"], id="in"
        ),
        pytest.param(
            make_pod("p").required_affinity(("zone", "NotIn", ["a"])), ["b", "bare"], id="not-in"
        ),
        pytest.param(
            make_pod("p").required_affinity(("zone", "Exists", [])), ["a", "b"], id="exists"
        ),
        pytest.param(
            make_pod("p").required_affinity(("zone", "DoesNotExist", [])), ["bare"], id="absent"
        ),
        pytest.param(make_pod("p").required_affinity(("cores", "Gt", ["8"])), ["b"], id="gt"),
        pytest.param(make_pod("p").required_affinity(("cores", "Lt", ["8"])), ["a"], id="lt"),
        pytest.param(
            make_pod("p").required_affinity(("zone", "In", ["a"]), ("cores", "Gt", ["8"])),
            [],
            id="all-of-a-term",
        ),
        pytest.param(
            make_pod("p")
            .required_affinity(("zone", "In", ["a"]))
            .required_affinity(("cores", "Gt", ["8"])),
            ["a", "b"],
            id="one-of-the-terms",
        ),
        pytest.param(
            make_pod("p").node_selector({"zone": "b"}).required_affinity(("zone", "In", ["a"])),
            [],
            id="selector-and-terms",
        ),
        pytest.param(make_pod("p").required_affinity(), [], id="empty-term-matches-nothing"),
        pytest.param(
            make_pod("p").required_affinity(fields=[("metadata.name", "NotIn", ["a"])]),
            ["b", "bare"],
            id="not-that-name",
        ),
        pytest.param(
            make_pod("p").required_affinity(
                ("zone", "In", ["a"]), fields=[("metadata.name", "In", ["a"])]
            ),
            ["a"],
            id="name-and-label",
        ),
    ],
)
def test_required_affinity_rejects_what_does_not_match(
    pod: PodBuilder, feasible: list[str]
) -> None:
    answers = PluginHarness(NodeAffinity, nodes=NODES).filter(pod.obj())

    assert [name for name, status in answers.items() if status is None] == feasible


def test_the_reason_says_what_was_not_matched() -> None:
    pod = make_pod("p").node_selector({"zone": "a"}).obj()

    assert PluginHarness(NodeAffinity, nodes=NODES).filter(pod) == {
        "a": None,
        "b": MISMATCH,
        "bare": MISMATCH,
    }


def _named(*terms: list[str]) -> PodBuilder:
    pod = make_pod("p")
    for names in terms:
        pod = pod.required_affinity(fields=[("metadata.name", "In", [n]) for n in names])
    return pod


@pytest.mark.parametrize(
    ("pod", "expected"),
    [
        pytest.param(_named(["a"]), fwk.PreFilterResult(frozenset({"a"})), id="one-name"),
        pytest.param(_named(["a"], ["b"]), fwk.PreFilterResult(frozenset({"a", "b"})), id="union"),
        pytest.param(
            _named(["a", "b"]), fwk.unresolvable("pod affinity terms conflict"), id="conflict"
        ),
        pytest.param(
            _named(["a", "b"], ["b"]), fwk.PreFilterResult(frozenset({"b"})), id="one-conflicts"
        ),
        pytest.param(
            _named(["a"]).required_affinity(("zone", "Exists", [])), None, id="term-without-name"
        ),
        pytest.param(make_pod("p"), fwk.SKIP, id="nothing-required"),
        pytest.param(
            make_pod("p").preferred_affinity(1, ("zone", "Exists", [])), fwk.SKIP, id="only-wishes"
        ),
    ],
)
def test_names_narrow_the_search(
    pod: PodBuilder, expected: fwk.PreFilterResult | fwk.Status | None
) -> None:
    assert PluginHarness(NodeAffinity, nodes=NODES).pre_filter(pod.obj()) == expected


def test_an_unknown_operator_rejects_the_pod_alone() -> None:
    pod = make_pod("p").required_affinity(("zone", "Near", ["a"])).obj()

    answer = PluginHarness(NodeAffinity, nodes=NODES).pre_filter(pod)

    assert answer == fwk.unresolvable("invalid node affinity: key 'zone': unknown operator 'Near'")


def test_a_term_that_nobody_understands_leaves_the_others() -> None:
    harness = PluginHarness(NodeAffinity, nodes=NODES)
    pod = make_pod("p").required_affinity(("cores", "Gt", ["many"]))

    answers = harness.filter(pod.required_affinity(("zone", "In", ["a"])).obj())

    assert answers == {"a": None, "b": MISMATCH, "bare": MISMATCH}


@pytest.mark.parametrize(
    ("pod", "feasible"),
    [
        pytest.param(make_pod("p").required_affinity(("cores", "Gt", ["4"])), ["b"], id="greater"),
        pytest.param(make_pod("p").required_affinity(("cores", "Lt", ["16"])), ["a"], id="less"),
        pytest.param(
            make_pod("p").required_affinity(("cores", "Gt", [str(2**63 - 1)])), [], id="greatest"
        ),
        pytest.param(
            make_pod("p").required_affinity(("cores", "Gt", [str(-(2**63))])),
            ["a", "b"],
            id="least",
        ),
        pytest.param(
            make_pod("p").required_affinity(("zone", "Gt", ["0"])), [], id="label-is-no-number"
        ),
        pytest.param(
            make_pod("p").required_affinity(fields=[("metadata.name", "NotIn", ["a"])]),
            ["b", "bare"],
            id="any-other-name",
        ),
    ],
)
def test_numbers_and_names_are_compared(pod: PodBuilder, feasible: list[str]) -> None:
    assert PluginHarness(NodeAffinity, nodes=NODES).feasible(pod.obj()) == feasible


@pytest.mark.parametrize(
    ("pod", "expected"),
    [
        pytest.param(make_pod("p"), {}, id="no-wishes"),
        pytest.param(
            make_pod("p").preferred_affinity(3, ("zone", "In", ["a"])),
            {"a": 100, "b": 0, "bare": 0},
            id="one-term",
        ),
        pytest.param(
            make_pod("p")
            .preferred_affinity(10, ("zone", "Exists", []))
            .preferred_affinity(20, ("zone", "In", ["b"])),
            {"a": 33, "b": 100, "bare": 0},
            id="weights-add-up",
        ),
        pytest.param(
            make_pod("p").preferred_affinity(10),
            {"a": 0, "b": 0, "bare": 0},
            id="empty-term-matches-nothing",
        ),
    ],
)
def test_preferred_terms_score(pod: PodBuilder, expected: dict[str, int]) -> None:
    assert PluginHarness(NodeAffinity, nodes=NODES).score(pod.obj()) == expected


# --- addedAffinity ---


def _in_zone(*zones: str) -> dict[str, Any]:
    return {"matchExpressions": [{"key": "zone", "operator": "In", "values": list(zones)}]}


def _added(
    *, required: dict[str, Any] | None = None, preferred: dict[str, Any] | None = None
) -> dict[str, Any]:
    added: dict[str, Any] = {}
    if required is not None:
        added["requiredDuringSchedulingIgnoredDuringExecution"] = {"nodeSelectorTerms": [required]}
    if preferred is not None:
        added["preferredDuringSchedulingIgnoredDuringExecution"] = [
            {"weight": 5, "preference": preferred}
        ]
    return {"addedAffinity": added}


def test_added_affinity_is_enforced_before_the_pods_own() -> None:
    harness = PluginHarness(NodeAffinity, args=_added(required=_in_zone("a")), nodes=NODES)

    assert harness.filter(make_pod("p").obj()) == {"a": None, "b": ENFORCED, "bare": ENFORCED}
    assert harness.filter(make_pod("p").node_selector({"zone": "b"}).obj()) == {
        "a": MISMATCH,
        "b": ENFORCED,
        "bare": ENFORCED,
    }


def test_added_preferences_score_every_pod() -> None:
    harness = PluginHarness(NodeAffinity, args=_added(preferred=_in_zone("b")), nodes=NODES)

    assert harness.score(make_pod("p").obj()) == {"a": 0, "b": 100, "bare": 0}


@pytest.mark.parametrize(
    ("args", "path"),
    [
        pytest.param({"addedafinity": {}}, "addedafinity", id="misspelt"),
        pytest.param(
            _added(required={"matchExpressions": [{"key": "zone", "operator": "Near"}]}),
            "addedAffinity.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms.0."
            "matchExpressions.0.operator",
            id="unknown-operator",
        ),
        pytest.param(
            _added(required={"matchExpressions": [{"key": "zone", "operator": "In"}]}),
            "addedAffinity.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms.0",
            id="in-without-values",
        ),
        pytest.param(
            _added(required={"matchFields": [{"key": "spec", "operator": "In", "values": ["x"]}]}),
            "addedAffinity.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms.0",
            id="unknown-field",
        ),
    ],
)
def test_bad_added_affinity_is_refused_with_its_path(args: dict[str, Any], path: str) -> None:
    with pytest.raises(pydantic.ValidationError) as caught:
        make_plugin(NodeAffinity, args, handle=fake_handle())

    assert [".".join(map(str, error["loc"])) for error in caught.value.errors()] == [path]


# --- hints ---


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        pytest.param(None, NODES[0], QUEUE, id="match-joins"),
        pytest.param(None, NODES[1], SKIP, id="mismatch-joins"),
        pytest.param(NODES[2], make_node("bare").label("zone", "a").obj(), QUEUE, id="labelled"),
        pytest.param(NODES[0], NODES[0], SKIP, id="matched-before"),
    ],
)
def test_a_node_that_matches_now_wakes_the_pod(
    old: Node | None, new: Node, expected: QueueingHint
) -> None:
    pod = make_pod("p").node_selector({"zone": "a"}).obj()
    event = fwk.NODE_ADDED if old is None else fwk.NODE_LABELS_CHANGED

    assert PluginHarness(NodeAffinity).hint(event, pod, old=old, new=new) is expected
