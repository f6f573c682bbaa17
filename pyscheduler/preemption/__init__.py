"""Preemption as a library: a pod that fits nowhere makes room by evicting less important ones.

A PostFilter plugin makes an `Evaluator` in its ``__init__``, returns what `Evaluator.preempt`
answers from ``post_filter``, and gates the pods for which `Evaluator.is_preempting` is true in
``pre_enqueue``. What differs from kube-scheduler's rules is overridden: who may be evicted
(`Evaluator.may_evict`), who is spared first (`Evaluator.importance`), which node is chosen
(`Evaluator.score_functions`), who may preempt at all (`Evaluator.ineligibility`).
"""

from pyscheduler.preemption.budgets import split_by_budgets
from pyscheduler.preemption.candidates import Candidate, Victims
from pyscheduler.preemption.evaluator import Evaluator, Extend, SearchLimits
from pyscheduler.preemption.ranking import ScoreFunction, best_candidate, default_score_functions

__all__ = [
    "Candidate",
    "Evaluator",
    "Extend",
    "ScoreFunction",
    "SearchLimits",
    "Victims",
    "best_candidate",
    "default_score_functions",
    "split_by_budgets",
]
