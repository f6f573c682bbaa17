"""The arguments of PodTopologySpread: how pods are spread that have no constraints of their own.

Source: kube-scheduler 1.37, ``apis/config/types_pluginargs.go`` and its validation;
`SYSTEM_CONSTRAINTS` are those of ``plugins/podtopologyspread/plugin.go``.
"""

from __future__ import annotations

from typing import Annotated, Final, Literal

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    ValidationInfo,
    field_validator,
)

from pyscheduler import framework as fwk
from pyscheduler.api.core_v1 import TopologySpreadConstraint
from pyscheduler.api.keys import HOSTNAME, ZONE
from pyscheduler.config.resource_names import checked_qualified_name
from pyscheduler.intree.pod_topology_spread.constraints import SCHEDULE_ANYWAY

#: What upstream spreads a workload's pods by unless told otherwise: softly, and more over nodes.
SYSTEM_CONSTRAINTS: Final = (
    TopologySpreadConstraint(max_skew=3, topology_key=HOSTNAME, when_unsatisfiable=SCHEDULE_ANYWAY),
    TopologySpreadConstraint(max_skew=5, topology_key=ZONE, when_unsatisfiable=SCHEDULE_ANYWAY),
)


def _refuse(_value: object) -> None:
    raise ValueError("must not be given: each pod is spread with its workload's selector")


class DefaultConstraint(fwk.Args):
    """A topology spread constraint for pods that have none; its selector is the workload's."""

    max_skew: int = Field(ge=1)
    topology_key: Annotated[str, AfterValidator(checked_qualified_name)]
    when_unsatisfiable: Literal["DoNotSchedule", "ScheduleAnyway"]
    label_selector: Annotated[None, BeforeValidator(_refuse)] = Field(
        default=None, validate_default=False
    )
    min_domains: int | None = None
    node_affinity_policy: Literal["Honor", "Ignore"] | None = None
    node_taints_policy: Literal["Honor", "Ignore"] | None = None
    match_label_keys: Annotated[tuple[str, ...], Field(strict=False)] = ()

    def as_struct(self) -> TopologySpreadConstraint:
        """The same as an API object, but for ``matchLabelKeys``: the selector is another's."""
        return TopologySpreadConstraint(
            max_skew=self.max_skew,
            topology_key=self.topology_key,
            when_unsatisfiable=self.when_unsatisfiable,
            min_domains=self.min_domains,
            node_affinity_policy=self.node_affinity_policy,
            node_taints_policy=self.node_taints_policy,
        )


class PodTopologySpreadArgs(fwk.Args):
    """Arguments of PodTopologySpread."""

    default_constraints: Annotated[tuple[DefaultConstraint, ...], Field(strict=False)] = ()
    #: System: `SYSTEM_CONSTRAINTS`; List: `default_constraints`
    defaulting_type: Annotated[
        Literal["System", "List"], BeforeValidator(lambda kind: kind or "System")
    ] = "System"

    @property
    def is_system(self) -> bool:
        """True when the scheduler's own constraints are the default."""
        return self.defaulting_type == "System"

    @property
    def defaults(self) -> tuple[TopologySpreadConstraint, ...]:
        """The constraints of a pod that has none, without their selector."""
        if self.is_system:
            return SYSTEM_CONSTRAINTS
        return tuple(constraint.as_struct() for constraint in self.default_constraints)

    @field_validator("default_constraints")
    @classmethod
    def _must_differ(
        cls, constraints: tuple[DefaultConstraint, ...]
    ) -> tuple[DefaultConstraint, ...]:
        pairs = [(c.topology_key, c.when_unsatisfiable) for c in constraints]
        if len(set(pairs)) < len(pairs):
            raise ValueError("a topologyKey and whenUnsatisfiable are repeated")
        return constraints

    @field_validator("defaulting_type")
    @classmethod
    def _must_let_a_list_be_used(cls, kind: str, info: ValidationInfo) -> str:
        if info.data.get("default_constraints") and kind == "System":
            raise ValueError("must be List with defaultConstraints")
        return kind
