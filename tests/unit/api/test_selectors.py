from collections.abc import Sequence

import pytest

from pyscheduler.api.core_v1 import (
    Affinity,
    NodeAffinity,
    NodeSelector,
    NodeSelectorRequirement,
    NodeSelectorTerm,
    Pod,
    PodSpec,
)
from pyscheduler.api.frozen_map import FrozenMap
from pyscheduler.api.meta import LabelSelector, LabelSelectorRequirement, ObjectMeta
from pyscheduler.api.selectors import (
    InvalidSelector,
    labels_selector,
    node_selector_term_matches,
    parse_int64,
    required_node_affinity,
    selector,
)

LABELS = {"zone": "a", "cpus": "16", "gpu": ""}


@pytest.mark.parametrize(
    ("key", "operator", "values", "expected"),
    [
        ("zone", "In", ("a", "b"), True),
        ("zone", "In", ("c",), False),
        ("absent", "In", ("a",), False),
        ("zone", "NotIn", ("a",), False),
        ("zone", "NotIn", ("c",), True),
        ("absent", "NotIn", ("a",), True),
        ("gpu", "Exists", (), True),
        ("absent", "Exists", (), False),
        ("gpu", "DoesNotExist", (), False),
        ("absent", "DoesNotExist", (), True),
        ("cpus", "Gt", ("8",), True),
        ("cpus", "Gt", ("16",), False),
        ("cpus", "Lt", ("32",), True),
        ("cpus", "Lt", ("16",), False),
        ("zone", "Gt", ("1",), False),
        ("absent", "Lt", ("1",), False),
    ],
)
def test_a_node_requirement_matches(
    key: str, operator: str, values: tuple[str, ...], expected: bool
) -> None:
    term = NodeSelectorTerm((NodeSelectorRequirement(key, operator, values),))
    assert node_selector_term_matches(term, LABELS, "n") is expected


@pytest.mark.parametrize(
    ("requirement", "named"),
    [
        pytest.param(NodeSelectorRequirement("k", "Near", ("1",)), "'Near'", id="operator"),
        pytest.param(NodeSelectorRequirement("k", "In"), "In needs values", id="no values"),
        pytest.param(NodeSelectorRequirement("k", "Exists", ("1",)), "no values", id="values"),
        pytest.param(
            NodeSelectorRequirement("k", "Gt", ("x",)), "one integer, got 'x'$", id="no integer"
        ),
        pytest.param(
            NodeSelectorRequirement("k", "Lt", ("1", "2")), "integer, got '1', '2'$", id="two"
        ),
    ],
)
def test_a_bad_node_requirement_is_refused_by_name(
    requirement: NodeSelectorRequirement, named: str
) -> None:
    with pytest.raises(InvalidSelector, match=named):
        node_selector_term_matches(NodeSelectorTerm((requirement,)), {}, "n")


@pytest.mark.parametrize(
    ("requirement", "named"),
    [
        (NodeSelectorRequirement("metadata.uid", "In", ("n",)), "metadata.uid"),
        (NodeSelectorRequirement("metadata.name", "Exists"), "Exists"),
        (NodeSelectorRequirement("metadata.name", "In", ("n", "m")), "exactly one value"),
    ],
    ids=["field", "operator", "two values"],
)
def test_a_bad_field_requirement_is_refused_by_name(
    requirement: NodeSelectorRequirement, named: str
) -> None:
    with pytest.raises(InvalidSelector, match=named):
        node_selector_term_matches(NodeSelectorTerm((), (requirement,)), {}, "n")


def test_all_expressions_and_fields_of_a_term_must_match() -> None:
    term = NodeSelectorTerm(
        (NodeSelectorRequirement("zone", "In", ("a",)), NodeSelectorRequirement("gpu", "Exists")),
        (NodeSelectorRequirement("metadata.name", "In", ("n",)),),
    )
    assert node_selector_term_matches(term, LABELS, "n")
    assert not node_selector_term_matches(term, LABELS, "m")
    assert not node_selector_term_matches(term, {"zone": "a"}, "n")


def test_an_empty_term_matches_nothing() -> None:
    assert not node_selector_term_matches(NodeSelectorTerm(), LABELS, "n")


def _pod(
    node_selector: dict[str, str] | None = None, terms: Sequence[NodeSelectorTerm] | None = None
) -> Pod:
    affinity = None
    if terms is not None:
        affinity = Affinity(node_affinity=NodeAffinity(required=NodeSelector(tuple(terms))))
    spec = PodSpec(node_selector=FrozenMap(node_selector or {}), affinity=affinity)
    return Pod(ObjectMeta(name="p"), spec)


def _label_term(key: str, value: str) -> NodeSelectorTerm:
    return NodeSelectorTerm((NodeSelectorRequirement(key, "In", (value,)),))


def _name_term(*names: str) -> NodeSelectorTerm:
    return NodeSelectorTerm(
        (), tuple(NodeSelectorRequirement("metadata.name", "In", (name,)) for name in names)
    )


def test_a_pod_that_requires_nothing_matches_every_node() -> None:
    required = required_node_affinity(_pod())
    assert required.is_empty
    assert required.matches({}, "n")
    assert required.names is None


def test_node_selector_and_one_of_the_terms_must_match() -> None:
    required = required_node_affinity(
        _pod({"disk": "ssd"}, [_label_term("zone", "a"), _label_term("zone", "b")])
    )
    assert not required.is_empty
    assert required.matches({"disk": "ssd", "zone": "b"}, "n")
    assert not required.matches({"disk": "ssd", "zone": "c"}, "n")
    assert not required.matches({"zone": "a"}, "n")


def test_required_affinity_without_terms_matches_nothing() -> None:
    required = required_node_affinity(_pod(terms=[]))
    assert not required.is_empty
    assert not required.matches({}, "n")


@pytest.mark.parametrize(
    ("terms", "names"),
    [
        pytest.param([_name_term("a")], {"a"}, id="one"),
        pytest.param([_name_term("a"), _name_term("b")], {"a", "b"}, id="union of terms"),
        pytest.param([_name_term("a", "b")], set(), id="conflict within a term"),
        pytest.param([_name_term("a"), _label_term("zone", "a")], None, id="one is not pinned"),
    ],
)
def test_names_are_those_that_terms_pin(
    terms: Sequence[NodeSelectorTerm], names: set[str] | None
) -> None:
    assert required_node_affinity(_pod(terms=terms)).names == names


_BAD = NodeSelectorTerm((NodeSelectorRequirement("cores", "Gt", ("many",)),))
_BAD_AND_PINNED = NodeSelectorTerm(
    (NodeSelectorRequirement("cores", "Gt", ("many",)),),
    (NodeSelectorRequirement("metadata.name", "In", ("b",)),),
)


def test_a_bad_term_matches_nothing_and_the_others_count() -> None:
    required = required_node_affinity(_pod(terms=[_BAD, _label_term("zone", "a")]))

    assert required.matches({"zone": "a", "cores": "4"}, "n")
    assert not required.matches({"zone": "b", "cores": "4"}, "n")
    assert required.names is None


def test_the_names_of_a_bad_term_are_still_names() -> None:
    required = required_node_affinity(_pod(terms=[_BAD_AND_PINNED, _name_term("a")]))

    assert required.names == frozenset({"a", "b"})
    assert not required.matches({"cores": "4"}, "b")


def test_required_affinity_of_bad_terms_alone_is_refused_by_name() -> None:
    with pytest.raises(InvalidSelector, match="key 'cores': operator Gt needs one integer"):
        required_node_affinity(_pod(terms=[_BAD, _BAD_AND_PINNED]))


def test_pods_of_one_template_share_the_compiled_form() -> None:
    first, second = (_pod({"a": "b"}, [_label_term("zone", "a")]) for _ in range(2))
    assert required_node_affinity(first) is required_node_affinity(second)


def test_label_selector_of_none_matches_nothing_and_an_empty_one_everything() -> None:
    assert not selector(None).matches({"a": "b"})
    assert selector(LabelSelector()).matches({})


def test_label_selector_needs_labels_and_expressions() -> None:
    compiled = selector(
        LabelSelector(
            FrozenMap({"app": "web"}),
            (
                LabelSelectorRequirement("tier", "In", ("front", "back")),
                LabelSelectorRequirement("canary", "DoesNotExist"),
            ),
        )
    )
    assert compiled.matches({"app": "web", "tier": "front"})
    assert not compiled.matches({"app": "web", "tier": "front", "canary": "1"})
    assert not compiled.matches({"app": "db", "tier": "front"})
    assert compiled.keys == {"app", "tier", "canary"}


def test_label_selectors_know_no_numbers() -> None:
    with pytest.raises(InvalidSelector, match="'Gt'"):
        selector(LabelSelector(match_expressions=(LabelSelectorRequirement("a", "Gt", ("1",)),)))


def test_labels_selector_compares_every_label() -> None:
    compiled = labels_selector(FrozenMap({"a": "1", "b": "2"}))
    assert compiled.matches({"a": "1", "b": "2", "c": "3"})
    assert not compiled.matches({"a": "1"})


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("0", 0),
        ("-5", -5),
        ("+5", 5),
        ("007", 7),
        (str(2**63 - 1), 2**63 - 1),
        (str(-(2**63)), -(2**63)),
        (str(2**63), None),
        ("", None),
        ("-", None),
        ("1.0", None),
        ("1_0", None),
        (" 1", None),
        ("٣", None),
    ],
)
def test_integers_are_read_as_go_does(text: str, number: int | None) -> None:
    assert parse_int64(text) == number
