from __future__ import annotations

import pytest

from pyscheduler.framework.entities import QueuedEntity
from pyscheduler.queueing.backoff_queue import BackoffQueue, leaves_at
from tests.unit.queueing.queue_harness import make_pod


def failed(name: str, *, at: float, rejections: int = 0, errors: int = 0) -> QueuedEntity:
    return QueuedEntity(
        make_pod(name),
        timestamp=at,
        unschedulable_count=rejections,
        consecutive_errors=errors,
        unschedulable_plugins=frozenset({"Fit"}) if rejections else frozenset(),
    )


@pytest.mark.parametrize(
    ("failures", "backoff_s"),
    [
        pytest.param(0, None, id="none"),
        pytest.param(1, 1, id="first"),
        pytest.param(2, 2, id="second"),
        pytest.param(3, 4, id="third"),
        pytest.param(4, 8, id="fourth"),
        pytest.param(5, 10, id="capped"),
        pytest.param(5000, 10, id="many"),
    ],
)
def test_backoff_doubles_up_to_its_limit(failures: int, backoff_s: int | None) -> None:
    queue = BackoffQueue(initial_s=1, max_s=10)
    entity = failed("a", at=100.0, rejections=failures)
    assert queue.expiration(entity) == (0 if backoff_s is None else 100 + backoff_s)


def test_errors_in_a_row_decide_before_rejections() -> None:
    queue = BackoffQueue(initial_s=1, max_s=10)
    assert queue.expiration(failed("a", at=100.0, rejections=4, errors=2)) == 102


def test_an_initial_backoff_above_the_limit_is_the_limit() -> None:
    queue = BackoffQueue(initial_s=20, max_s=10)
    assert queue.expiration(failed("a", at=100.0, rejections=1)) == 110


def test_backoff_lasts_until_its_last_second_is_over() -> None:
    queue = BackoffQueue(initial_s=1, max_s=10)
    entity = failed("a", at=100.7, errors=1)
    entity.backoff_expiration = queue.expiration(entity)
    assert entity.backoff_expiration == 101
    assert queue.is_backing_off(entity, now=101.99)
    assert not queue.is_backing_off(entity, now=102.0)
    assert leaves_at(entity) == 102


def test_expired_ones_leave_both_heaps() -> None:
    queue = BackoffQueue(initial_s=1, max_s=10)
    for entity in (
        failed("rejected", at=100.0, rejections=1),
        failed("error", at=100.0, errors=1),
        failed("later", at=100.0, errors=3),
    ):
        entity.backoff_expiration = queue.expiration(entity)
        queue.push(entity)
    queue.validate()
    assert queue.next_expiry() == 102
    assert queue.pop_expired(now=101.9, limit=9) == []
    assert len(queue.pop_expired(now=102, limit=1)) == 1
    assert queue.next_expiry() == 102, "the rest is due at once"
    assert len(queue.pop_expired(now=102, limit=9)) == 1
    assert queue.next_expiry() == 105
    assert queue.remove("later") is not None
    assert queue.next_expiry() is None


def test_only_rejected_ones_leave_early() -> None:
    queue = BackoffQueue(initial_s=1, max_s=10)
    error = failed("error", at=100.0, errors=1)
    error.backoff_expiration = 101
    queue.push(error)
    assert not queue.has_early
    assert queue.pop_early() is None
    assert queue.get("error") is error
