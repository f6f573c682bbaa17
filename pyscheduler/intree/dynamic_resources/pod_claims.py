"""What the plugin remembers of one pod from PreFilter to PreBind: its claims and what was found.

Written by PreFilter, filled by Filter node by node, used by Reserve and PreBind. The claim for
extended resources, if there is one, comes last; what it asks for depends on the node.

Called by: ``plugin``.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field

from msgspec.structs import replace

from pyscheduler.api.core_v1 import Pod
from pyscheduler.api.resource_v1 import (
    AllocationResult,
    DeviceRequest,
    ResourceClaim,
)
from pyscheduler.api.selectors import NodeTerm
from pyscheduler.intree.dynamic_resources.allocation import Allocator
from pyscheduler.intree.dynamic_resources.extended_resources import DeviceNeeds, device_needs

#: Preference among alternatives counts down from here. Source: resource/v1,
#: FirstAvailableDeviceRequestMaxSize.
_MOST_ALTERNATIVES = 8


@dataclass(frozen=True, slots=True)
class FoundOnNode:
    """What the pod would get on one node."""

    #: by index of the claim, for those that have to be allocated there
    allocations: Mapping[int, AllocationResult]
    #: what the claim for extended resources asks for there; None: it is not needed
    needs: DeviceNeeds | None = None


@dataclass(slots=True, eq=False)
class PodClaims:
    """The claims of one pod in one attempt."""

    #: as decided about; replaced by what the API server answers
    claims: list[ResourceClaim]
    #: index of the claim for extended resources; None if the pod needs none
    special: int | None = None
    #: by index: where an allocated claim can be used; None: everywhere, or not allocated
    selectors: list[tuple[NodeTerm, ...] | None] = field(default_factory=list)
    #: what the pod asks for of extended resources, by name
    extended: Mapping[str, int] = field(default_factory=dict)
    #: None when nothing has to be allocated
    allocator: Allocator | None = None
    #: nodes that passed Filter, while something has to be allocated
    found: dict[str, FoundOnNode] = field(default_factory=dict)
    #: indexes of allocated claims that cannot be used on some node, for PostFilter
    unavailable: set[int] = field(default_factory=set)
    #: set by Reserve: what is to be written, by index
    reserved: Mapping[int, AllocationResult] = field(default_factory=dict)
    #: uids of the claims that this pod has in flight
    in_flight: set[str] = field(default_factory=set)
    #: variants of the claim for extended resources, by the classes that provide them
    _variants: dict[tuple[tuple[str, str], ...], tuple[DeviceNeeds, ResourceClaim]] = field(
        default_factory=dict
    )

    @property
    def special_claim(self) -> ResourceClaim | None:
        """The claim for extended resources."""
        return None if self.special is None else self.claims[self.special]

    def named(self) -> Iterator[tuple[int, ResourceClaim]]:
        """Those that the pod itself names."""
        return ((i, claim) for i, claim in enumerate(self.claims) if i != self.special)

    def unallocated(self) -> Iterator[tuple[int, ResourceClaim]]:
        """Those without an allocation."""
        return ((i, c) for i, c in enumerate(self.claims) if c.status.allocation is None)

    def variant(
        self, pod: Pod, class_names: Mapping[str, str]
    ) -> tuple[DeviceNeeds, ResourceClaim]:
        """The claim for those extended resources; the same object for nodes that are alike."""
        key = tuple(sorted(class_names.items()))
        known = self._variants.get(key)
        if known is None:
            claim = self.special_claim
            assert claim is not None, "only asked for pods with extended resources"
            needs = device_needs(pod, class_names)
            known = self._variants[key] = needs, replace(claim, spec=needs.spec)
        return known

    def score(self, node_name: str) -> int:
        """The sum over all alternatives chosen on the node, the first one counting most.

        Source: kube-scheduler 1.37, ``dynamicresources.go`` computeScore.
        """
        found = self.found.get(node_name)
        if found is None:
            return 0
        score = 0
        for i, claim in enumerate(self.claims):
            allocation = claim.status.allocation or found.allocations.get(i)
            if allocation is None:
                continue
            chosen = {result.request for result in allocation.devices.results}
            score += sum(_worth(request, chosen) for request in claim.spec.devices.requests)
        return score


def _worth(request: DeviceRequest, chosen: Collection[str]) -> int:
    """How much it is worth for one request that these alternatives were chosen."""
    return sum(
        _MOST_ALTERNATIVES - place
        for place, alternative in enumerate(request.first_available)
        if f"{request.name}/{alternative.name}" in chosen
    )
