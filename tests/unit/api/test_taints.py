import pytest

from pyscheduler.api.core_v1 import Taint, Toleration
from pyscheduler.api.taints import SOFT_EFFECTS, find_untolerated, tolerates

TAINT = Taint("dedicated", "NoSchedule", "gpu")


@pytest.mark.parametrize(
    ("toleration", "expected"),
    [
        pytest.param(Toleration("dedicated", "Equal", "gpu", "NoSchedule"), True, id="equal"),
        pytest.param(Toleration("dedicated", "", "gpu"), True, id="no operator is equal"),
        pytest.param(Toleration("dedicated", "Equal", "db"), False, id="other value"),
        pytest.param(Toleration("dedicated", "Exists"), True, id="exists"),
        pytest.param(Toleration("", "Exists"), True, id="exists without key covers all"),
        pytest.param(Toleration("other", "Exists"), False, id="other key"),
        pytest.param(Toleration("dedicated", "Exists", "", "NoExecute"), False, id="other effect"),
        pytest.param(Toleration("dedicated", "Exists", "", ""), True, id="any effect"),
        pytest.param(Toleration("dedicated", "Matches", "gpu"), False, id="unknown operator"),
    ],
)
def test_tolerates(toleration: Toleration, expected: bool) -> None:
    assert tolerates(toleration, TAINT) is expected


@pytest.mark.parametrize(
    ("operator", "bound", "found", "expected"),
    [
        ("Gt", "750", "800", True),
        ("Gt", "800", "800", False),
        ("Gt", "950", "800", False),
        ("Lt", "950", "800", True),
        ("Lt", "750", "800", False),
        ("Gt", "-5", "0", True),
        ("Gt", "07", "9", False),
        ("Gt", "7", "+9", False),
        ("Lt", "abc", "1", False),
        ("Lt", "1", "", False),
        ("Gt", "1", str(2**63), False),
    ],
)
def test_comparisons_cover_by_number_only_when_enabled(
    operator: str, bound: str, found: str, expected: bool
) -> None:
    toleration = Toleration("sla", operator, bound)
    taint = Taint("sla", "NoSchedule", found)
    assert tolerates(toleration, taint, comparisons=True) is expected
    assert tolerates(toleration, taint) is False


def test_the_first_untolerated_taint_of_the_effects_is_found() -> None:
    taints = (
        Taint("soft", "PreferNoSchedule"),
        Taint("a", "NoSchedule"),
        Taint("b", "NoExecute"),
    )
    assert find_untolerated(taints, ()) == taints[1]
    assert find_untolerated(taints, (Toleration("a", "Exists"),)) == taints[2]
    assert find_untolerated(taints, (Toleration("", "Exists"),)) is None
    assert find_untolerated(taints, (), SOFT_EFFECTS) == taints[0]
