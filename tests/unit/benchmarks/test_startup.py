from __future__ import annotations

from benchmarks.places.contestants import OURS, THEIRS
from benchmarks.startup import Start, is_reached


def start(contestant: str, seconds: float) -> Start:
    return Start(contestant, seconds, cpu_s=0.5, peak_memory_bytes=1, stages_s={})


def test_our_median_is_what_counts() -> None:
    assert is_reached([start(OURS, 1.0), start(OURS, 2.0), start(OURS, 9.0), start(THEIRS, 5.0)])
    assert not is_reached([start(OURS, 1.0), start(OURS, 2.1), start(OURS, 2.1)])
