"""Feature gates: what can be switched, under kube-scheduler's names and with its defaults.

`GATES` lists every gate that concerns kube-scheduler 1.37 and says which of its values are here.
Any other gate is refused, and so is a value that is not here: a gate that is accepted and does
nothing misleads. Whoever builds a feature changes the last word of its gate's row.

Called by: ``cli.run`` (reads the flag), ``app.assembly`` (acts on it), ``testing``; plugins find
the values in ``handle.features``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Final

PRE_QUEUEING_HINTS: Final = "SchedulerPreQueueingHints"


class Stage(StrEnum):
    """How far a feature has come."""

    ALPHA = "alpha"
    BETA = "beta"
    GA = "GA"


@dataclass(frozen=True, slots=True)
class Gate:
    """One feature gate of kube-scheduler."""

    name: str
    stage: Stage
    #: what kube-scheduler does unless told otherwise
    default: bool
    #: kube-scheduler itself refuses the other value
    is_locked: bool
    #: the values that this scheduler has
    values: frozenset[bool]

    def why_not(self, value: bool) -> str:
        """Returns why the gate cannot have that value; empty if it can."""
        if value in self.values:
            return ""
        said = f"cannot set feature gate {self.name} to {str(value).lower()}"
        if self.is_locked:
            return f"{said}, feature is locked to {str(self.default).lower()}"
        return f"{said}: the feature {'is not here yet' if value else 'is always on'}"


_BOTH: Final = frozenset((False, True))
_ON: Final = frozenset((True,))
_OFF: Final = frozenset((False,))


def _locked(name: str) -> Gate:
    return Gate(name, Stage.GA, default=True, is_locked=True, values=_ON)


def _ga(name: str, values: frozenset[bool]) -> Gate:
    return Gate(name, Stage.GA, default=True, is_locked=False, values=values)


def _on(name: str, values: frozenset[bool]) -> Gate:
    return Gate(name, Stage.BETA, default=True, is_locked=False, values=values)


def _off(name: str, values: frozenset[bool]) -> Gate:
    return Gate(name, Stage.BETA, default=False, is_locked=False, values=values)


def _alpha(name: str, values: frozenset[bool]) -> Gate:
    return Gate(name, Stage.ALPHA, default=False, is_locked=False, values=values)


#: Source: pkg/features/kube_features.go of Kubernetes 1.37.1, as far as kube-scheduler asks for it.
GATES: Final[Mapping[str, Gate]] = MappingProxyType(
    {
        gate.name: gate
        for gate in (
            _alpha("CompositePodGroup", _OFF),
            _off("CoordinatedLeaderElection", _OFF),
            _locked("DRAAdminAccess"),
            _on("DRAConsumableCapacity", _ON),
            _alpha("DRADerivedAttributes", _OFF),
            _on("DRADeviceBindingConditions", _ON),
            _alpha("DRADeviceCompatibilityGroups", _OFF),
            _ga("DRADeviceTaintRules", _ON),
            _ga("DRADeviceTaints", _ON),
            _locked("DRAExtendedResource"),
            # on only with --min-compatibility-version=1.37, which is 1.36 by default
            _off("DRAFractionalCapacityRange", _BOTH),
            _alpha("DRAListTypeAttributes", _OFF),
            _alpha("DRANodeAllocatableResources", _OFF),
            _alpha("DRAOptionalNodeOperations", _OFF),
            _on("DRAPartitionableDevices", _ON),
            _locked("DRAPrioritizedList"),
            _locked("DRAResourceClaimDeviceStatus"),
            _on("DRASchedulerFilterTimeout", _ON),
            _off("DRAWorkloadResourceClaims", _OFF),
            _locked("DynamicResourceAllocation"),
            _off("GenericWorkload", _OFF),
            _on("InPlacePodLevelResourcesVerticalScaling", _ON),
            _locked("InPlacePodVerticalScaling"),
            _alpha("InPlacePodVerticalScalingSchedulerPreemption", _OFF),
            _alpha("InterPodAffinityHostnameFastPath", _OFF),
            _on("MatchLabelKeysInPodTopologySpread", _BOTH),
            _locked("NodeDeclaredFeatures"),
            _locked("NodeInclusionPolicyInPodTopologySpread"),
            _on("NominatedNodeNameForExpectation", _ON),
            _on("OpportunisticBatching", _ON),
            _alpha("PodGroupPreemptionPolicy", _OFF),
            _on("PodLevelResources", _ON),
            _off("SchedulerAsyncAPICalls", _OFF),
            _on("SchedulerAsyncPreemption", _ON),
            _on("SchedulerPopFromBackoffQ", _ON),
            _alpha(PRE_QUEUEING_HINTS, _BOTH),
            _on("StorageCapacityScoring", _BOTH),
            _alpha("TaintTolerationComparisonOperators", _BOTH),
            _alpha("TopologyAwareWorkloadScheduling", _OFF),
            _locked("VolumeAttributesClass"),
            _on("VolumeLimitScaling", _BOTH),
            _on("WatchListClient", _ON),
        )
    }
)

#: Set every gate of their stage that is not set by its own name.
_STAGE_GATES: Final = {"AllAlpha": Stage.ALPHA, "AllBeta": Stage.BETA}

#: Every gate, as it is unless told otherwise.
DEFAULT_GATES: Final[Mapping[str, bool]] = MappingProxyType(
    {name: gate.default for name, gate in GATES.items()}
)

#: What Go's strconv.ParseBool understands.
_BOOLS: Final = {
    **dict.fromkeys(("1", "t", "T", "TRUE", "true", "True"), True),
    **dict.fromkeys(("0", "f", "F", "FALSE", "false", "False"), False),
}


def with_gates(chosen: Mapping[str, bool]) -> Mapping[str, bool]:
    """Returns the value of every gate: as chosen, else its default.

    ``AllAlpha`` and ``AllBeta`` set those of their stage that are not chosen by name.

    Raises:
        ValueError: a gate is unknown, or cannot have that value.
    """
    values = dict(DEFAULT_GATES)
    for name, stage in _STAGE_GATES.items():
        if name in chosen:
            values |= {gate.name: chosen[name] for gate in GATES.values() if gate.stage is stage}
    for name, value in chosen.items():
        if name in GATES:
            values[name] = value
        elif name not in _STAGE_GATES:
            known = ", ".join(sorted((*GATES, *_STAGE_GATES)))
            raise ValueError(f"unrecognized feature gate: {name}; known are {known}")
    for name, value in values.items():
        if reason := GATES[name].why_not(value):
            raise ValueError(reason)
    return MappingProxyType(values)


def parse_feature_gates(text: str) -> Mapping[str, bool]:
    """Reads ``NAME=BOOL,...``, also as ``kube:NAME=BOOL``; of a name given twice the last counts.

    Returns:
        The value of every gate.

    Raises:
        ValueError: a name is unknown, a value no bool, or one that the gate cannot have.
    """
    chosen: dict[str, bool] = {}
    for pair in filter(None, (part.strip() for part in text.split(","))):
        name, equals, value = (part.strip() for part in pair.removeprefix("kube:").partition("="))
        if not equals:
            raise ValueError(f"missing bool value for {name}")
        if value not in _BOOLS:
            raise ValueError(f"invalid value of {name}={value}: not a bool")
        chosen[name] = _BOOLS[value]
    return with_gates(chosen)
