"""The range of scores and the usual normalisation.

Source: kube-scheduler 1.37, ``plugins/helper/normalize_score.go`` (behaviour).
"""

from __future__ import annotations

import numpy as np

from pyscheduler.framework.arithmetic import truncated_quotient
from pyscheduler.framework.status import Int64Array

MIN_NODE_SCORE = 0
MAX_NODE_SCORE = 100


def default_normalize(scores: Int64Array, *, reverse: bool = False) -> Int64Array:
    """Scores (F,) scaled so that the highest becomes 100; reversed if the lowest is best.

    All zero stays all zero, or becomes all 100 when reversed.
    """
    highest = int(scores.max(initial=0))
    if highest == 0:
        return np.full_like(scores, MAX_NODE_SCORE) if reverse else scores
    scaled = truncated_quotient(scores * MAX_NODE_SCORE, highest)
    return MAX_NODE_SCORE - scaled if reverse else scaled
