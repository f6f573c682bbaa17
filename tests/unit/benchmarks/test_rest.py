from __future__ import annotations

import pytest

from benchmarks.places.rest import Quiet, has_pods_to_try


def quiet(*samples: tuple[float, float]) -> bool:
    found = Quiet()
    for at_s, cpu_s in samples:
        found.add(at_s, cpu_s)
    return bool(found)


@pytest.mark.parametrize(
    ("samples", "is_quiet"),
    [
        pytest.param([], False, id="never looked at"),
        pytest.param([(0.0, 3.0)], False, id="one look"),
        pytest.param([(0.0, 3.0), (0.9, 3.0)], False, id="not for long enough"),
        pytest.param([(0.0, 3.0), (1.0, 3.01)], True, id="next to nothing used"),
        pytest.param([(0.0, 3.0), (1.0, 3.2)], False, id="busy"),
        pytest.param([(0.0, 1.0), (1.0, 2.0), (2.0, 2.01)], True, id="busy before"),
        pytest.param([(0.0, 1.0), (0.9, 1.0), (1.0, 2.0)], False, id="busy again"),
        pytest.param([(0.0, 1.0), (10.0, 1.4)], True, id="by the second, not in all"),
    ],
)
def test_a_process_is_quiet_after_a_second_of_next_to_no_cpu(
    samples: list[tuple[float, float]], is_quiet: bool
) -> None:
    assert quiet(*samples) is is_quiet


@pytest.mark.parametrize(
    ("queue", "tries"),
    [("active", True), ("backoff", True), ("unschedulable", False), ("gated", False)],
)
def test_pods_that_wait_for_something_to_happen_are_not_tried(queue: str, tries: bool) -> None:
    metrics = (
        f'scheduler_pending_pods{{queue="{queue}"}} 3\nscheduler_pending_pods{{queue="other"}} 0\n'
    )
    assert has_pods_to_try(metrics) is tries
