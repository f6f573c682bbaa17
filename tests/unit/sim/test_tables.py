from __future__ import annotations

import pytest

from pyscheduler.sim.tables import human_duration


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        (0, "0s"),
        (119, "119s"),
        (120, "2m"),
        (192, "3m12s"),
        (600, "10m"),
        (3 * 3600 - 1, "179m"),
        (4 * 3600 + 120, "4h2m"),
        (9 * 3600 + 120, "9h"),
        (3 * 86400 + 7200, "3d2h"),
        (30 * 86400, "30d"),
        (800 * 86400, "2y70d"),
        (-5, "<invalid>"),
    ],
)
def test_ages_read_as_kubectl_writes_them(seconds: float, expected: str) -> None:
    assert human_duration(seconds) == expected
