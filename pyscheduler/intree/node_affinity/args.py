"""The arguments of NodeAffinity: a node affinity that is added to every pod of the profile.

The shapes of ``core/v1`` once more, because configuration is strict where objects from the API
are lenient: an unknown field or operator is an error with its path.
"""

from collections.abc import Sequence
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from pyscheduler import framework as fwk
from pyscheduler.api import core_v1
from pyscheduler.api.selectors import InvalidSelector, node_term
from pyscheduler.config.resource_names import checked_label_value, checked_qualified_name


class Requirement(fwk.Args):
    """A condition on one label, or on ``metadata.name`` in ``matchFields``."""

    key: str = Field(min_length=1)
    operator: Literal["In", "NotIn", "Exists", "DoesNotExist", "Gt", "Lt"]
    values: Annotated[tuple[str, ...], Field(strict=False)] = ()


class LabelRequirement(Requirement):
    """A condition on one label, whose key and values are those that a label can have."""

    key: Annotated[str, AfterValidator(checked_qualified_name)]
    values: Annotated[
        tuple[Annotated[str, AfterValidator(checked_label_value)], ...], Field(strict=False)
    ] = ()


class Term(fwk.Args):
    """All conditions must hold."""

    match_expressions: Annotated[tuple[LabelRequirement, ...], Field(strict=False)] = ()
    match_fields: Annotated[tuple[Requirement, ...], Field(strict=False)] = ()

    def model_post_init(self, _context: object) -> None:
        """Refuses conditions whose values do not fit the operator.

        Raises:
            ValueError: with the key and the operator.
        """
        try:
            node_term(self.as_struct())
        except InvalidSelector as error:
            raise ValueError(str(error)) from error

    def as_struct(self) -> core_v1.NodeSelectorTerm:
        """The same as an API object."""
        return core_v1.NodeSelectorTerm(
            match_expressions=_requirements(self.match_expressions),
            match_fields=_requirements(self.match_fields),
        )


class PreferredTerm(fwk.Args):
    """A node that matches gains the weight; none is gained by 0."""

    weight: int = Field(default=0, ge=0, le=2**31 - 1)
    preference: Term = Field(default_factory=Term)


class Selector(fwk.Args):
    """One of the terms must match; without terms no node does."""

    node_selector_terms: Annotated[tuple[Term, ...], Field(strict=False)] = ()


class AddedAffinity(fwk.Args):
    """A node affinity."""

    required: Selector | None = Field(
        default=None, alias="requiredDuringSchedulingIgnoredDuringExecution"
    )
    preferred: Annotated[tuple[PreferredTerm, ...], Field(strict=False)] = Field(
        default=(), alias="preferredDuringSchedulingIgnoredDuringExecution"
    )


class NodeAffinityArgs(fwk.Args):
    """Arguments of NodeAffinity."""

    #: what every pod of the profile requires and prefers besides its own
    added_affinity: AddedAffinity | None = None


def _requirements(
    requirements: Sequence[Requirement],
) -> tuple[core_v1.NodeSelectorRequirement, ...]:
    return tuple(
        core_v1.NodeSelectorRequirement(key=r.key, operator=r.operator, values=r.values)
        for r in requirements
    )
