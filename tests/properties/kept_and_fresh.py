"""Holds what is kept of a class of pods against a fresh judgement, for tests of kept answers."""

from __future__ import annotations

from pyscheduler.api.core_v1 import Pod
from pyscheduler.runtime.filtering import Filtering
from pyscheduler.runtime.profile import Profile
from pyscheduler.runtime.scoring import Scoring


async def check_kept(profile: Profile, filtering: Filtering, scoring: Scoring, pod: Pod) -> None:
    """What is kept of the pod's class equals what a fresh judgement gives."""
    kept = await filtering.evaluate(pod, profile.sign(pod))
    fresh = await filtering.judge_all(pod)
    n = fresh.n
    assert kept.feasible[:n].tolist() == fresh.feasible[:n].tolist()
    assert kept.feasible_count == fresh.feasible_count
    for entry in (kept, fresh):
        if entry.feasible_count > 1:
            await scoring.score(entry, pod)
    assert not filtering.differing_plugins(kept, fresh)
    if not fresh.feasible_count:
        assert filtering.diagnose(kept).message == filtering.diagnose(fresh).message
    elif fresh.feasible_count > 1:
        assert kept.totals[:n].tolist() == fresh.totals[:n].tolist()
        assert kept.skip_scores == fresh.skip_scores
