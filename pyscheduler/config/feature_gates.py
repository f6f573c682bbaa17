"""Feature gates: kube-scheduler's names for what can be switched, and for what is always on.

Only gates of which something is here are known; any other is refused, because a gate that is
accepted and does nothing misleads.

Called by: ``cli.run`` (reads the flag), ``app.assembly`` (acts on it).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

PRE_QUEUEING_HINTS: Final = "SchedulerPreQueueingHints"

#: Gates of kube-scheduler 1.37 whose feature is part of this scheduler and cannot be switched off.
ALWAYS_ON: Final = (
    "InPlacePodLevelResourcesVerticalScaling",
    "InPlacePodVerticalScaling",
    "NominatedNodeNameForExpectation",
    "PodLevelResources",
    "SchedulerAsyncPreemption",
    "SchedulerPopFromBackoffQ",
    "SchedulerQueueingHints",
    "SidecarContainers",
    "WatchListClient",
)

#: What Go's strconv.ParseBool understands.
_BOOLS: Final = {
    **dict.fromkeys(("1", "t", "T", "TRUE", "true", "True"), True),
    **dict.fromkeys(("0", "f", "F", "FALSE", "false", "False"), False),
}


@dataclass(frozen=True, slots=True)
class FeatureGates:
    """The features that can be switched, with kube-scheduler's defaults."""

    #: SchedulerPreQueueingHints, alpha: ask ``pre_hint`` which pods an event concerns
    pre_queueing_hints: bool = False


DEFAULT_GATES: Final = FeatureGates()


def parse_feature_gates(text: str) -> FeatureGates:
    """Reads ``NAME=BOOL,...``; of a name given twice the last counts.

    Raises:
        ValueError: a name is unknown, a value no bool, or the feature cannot be switched off.
    """
    is_on = DEFAULT_GATES.pre_queueing_hints
    for pair in filter(None, (part.strip() for part in text.split(","))):
        name, equals, value = (part.strip() for part in pair.partition("="))
        if not equals:
            raise ValueError(f"missing bool value for {name}")
        if value not in _BOOLS:
            raise ValueError(f"invalid value of {name}={value}: not a bool")
        if name == PRE_QUEUEING_HINTS:
            is_on = _BOOLS[value]
        elif name not in ALWAYS_ON:
            known = ", ".join(sorted((PRE_QUEUEING_HINTS, *ALWAYS_ON)))
            raise ValueError(f"unrecognized feature gate: {name}; known are {known}")
        elif not _BOOLS[value]:
            raise ValueError(f"cannot set feature gate {name} to false: it is always on")
    return FeatureGates(pre_queueing_hints=is_on)
