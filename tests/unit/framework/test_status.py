"""Statuses, verdicts over all nodes, and the words of a condition."""

from __future__ import annotations

import numpy as np
import pytest

from pyscheduler import framework as fwk
from pyscheduler.framework.status import Diagnosis, NodeVerdict, ReasonTable, Status


def _mask(*bits: int) -> np.ndarray[tuple[int, ...], np.dtype[np.bool_]]:
    return np.array(bits, dtype=np.bool_)


def test_rejections_are_unschedulable_unresolvable_and_pending() -> None:
    rejected = [code for code in fwk.Code if Status(code).is_rejected]

    assert [code.label for code in rejected] == [
        "Unschedulable",
        "UnschedulableAndUnresolvable",
        "Pending",
    ]


@pytest.mark.parametrize(
    ("status", "message"),
    [
        pytest.param(fwk.unschedulable("a", "b"), "a, b", id="reasons-are-joined"),
        pytest.param(Status(fwk.Code.ERROR, error=OSError("down")), "down", id="fault-alone"),
        pytest.param(
            Status(fwk.Code.ERROR, ("a",), error=OSError("down")), "down: a", id="fault-first"
        ),
        pytest.param(fwk.SUCCESS, "", id="success-says-nothing"),
    ],
)
def test_the_message_joins_reasons_behind_the_fault(status: Status, message: str) -> None:
    assert status.message == message


def test_a_status_remembers_its_plugin() -> None:
    status = fwk.unschedulable("a").by("P")

    assert status.plugin == "P"
    assert status.by("P") is status


def test_a_verdict_without_rejections_passes_all() -> None:
    verdict = NodeVerdict(2).reject(_mask(0, 0), "a")

    assert verdict.all_pass
    assert not verdict.rejected().any()


def test_reasons_of_a_node_add_up_and_the_least_resolvable_code_wins() -> None:
    verdict = NodeVerdict(4)
    verdict.reject(_mask(0, 1, 1, 0), "a").reject(_mask(0, 0, 1, 1), "b", unresolvable=True)
    reasons = ReasonTable()

    codes, indexes = verdict.resolve(reasons)

    assert codes.tolist() == [0, 2, 3, 3]
    assert [reasons[i] for i in indexes.tolist()] == [(), ("a",), ("a", "b"), ("b",)]


def test_one_rejection_is_resolved_alike() -> None:
    reasons = ReasonTable()

    codes, indexes = NodeVerdict(2).reject(_mask(1, 0), "a").resolve(reasons)

    assert codes.tolist() == [2, 0]
    assert [reasons[i] for i in indexes.tolist()] == [("a",), ()]


def test_a_mask_of_another_size_is_refused() -> None:
    with pytest.raises(ValueError, match=r"shape \(2,\), the table has 3 nodes"):
        NodeVerdict(3).reject(_mask(1, 0), "a")


def test_equal_reasons_share_a_number() -> None:
    reasons = ReasonTable()

    assert reasons.index(("a",)) == reasons.index(("a",)) == 1
    assert reasons.index(("a", "b")) == 2
    assert len(reasons) == 3


def test_the_condition_counts_reasons_in_alphabetical_order() -> None:
    diagnosis = Diagnosis(5)
    diagnosis.count(["node(s) were unschedulable"], 1)
    diagnosis.count(["Insufficient cpu", "Insufficient memory"], 3)
    diagnosis.count(["Insufficient cpu"])

    assert diagnosis.message == (
        "0/5 nodes are available: 1 node(s) were unschedulable, 3 Insufficient memory,"
        " 4 Insufficient cpu."
    )


def test_a_message_of_pre_filter_replaces_the_counts_and_post_filter_adds() -> None:
    diagnosis = Diagnosis(2, pre_filter_message="no", post_filter_message="preemption: no")

    assert diagnosis.message == "0/2 nodes are available: no. preemption: no"
    assert Diagnosis(0).message == "0/0 nodes are available:"
