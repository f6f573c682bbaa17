"""Who is spared before whom, and which node costs the least.

Called by: ``dry_run`` (the order of pods), ``evaluator`` (the choice of the node).
Source: kube-scheduler 1.37, ``framework/preemption/preemption.go`` pickOneNodeForPreemption and
``util.go`` MoreImportantVictim. Knowing difference: where upstream takes whatever its map gives
first, the first candidate is taken; candidates stand in the order of a search with a random start.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from pyscheduler.api.core_v1 import Pod
from pyscheduler.preemption.candidates import Candidate, unix_seconds

#: ``score(candidate)``: the highest is best
ScoreFunction = Callable[[Candidate], float]


def start_time(pod: Pod, *, now: float) -> float:
    """Unix seconds at which ``pod`` started; ``now`` for one that has not."""
    return now if pod.status.start_time is None else unix_seconds(pod.status.start_time)


def importance(pod: Pod, *, now: float) -> tuple[int, float]:
    """A key that sorts the most important pod first: by priority, then who has run for longer."""
    return -pod.priority, start_time(pod, now=now)


def default_score_functions(now: float) -> tuple[ScoreFunction, ...]:
    """The criteria of kube-scheduler, the first of them the most important.

    Fewest broken budgets, lowest highest priority, lowest sum of priorities, fewest victims, and
    the latest start among the victims of the highest priority, of which the earliest counts.
    """

    def latest_start(candidate: Candidate) -> float:
        cost = candidate.victims.cost
        return cost.earliest_start if cost.have_begun else min(cost.earliest_start, now)

    return (
        lambda candidate: -candidate.victims.pdb_violations,
        lambda candidate: -candidate.victims.cost.highest_priority,
        lambda candidate: -candidate.victims.cost.priorities,
        lambda candidate: -len(candidate.victims.pods),
        latest_start,
    )


def best_candidate(
    candidates: Sequence[Candidate], score_functions: Sequence[ScoreFunction]
) -> Candidate:
    """The candidate left by one criterion after the other; the first of those that tie in all.

    Args:
        candidates: at least one.
        score_functions: in the order in which they decide.
    """
    left = list(candidates)
    for score in score_functions:
        if len(left) == 1:
            break
        scores = [score(candidate) for candidate in left]
        best = max(scores)
        if scores.count(best) == len(scores):
            continue
        left = [candidate for candidate, found in zip(left, scores, strict=True) if found == best]
    return left[0]
