"""How a pod is spread that has no constraints of its own: with the pods of its workload.

The pods that belong together are those that the Services in front of the pod select, and the
ReplicationController, ReplicaSet or StatefulSet that controls it. Without any of these the pod is
not spread.

Asked for each attempt of each such pod, so what was found out is remembered by what it depends on:
namespace, labels and owners of the pod. A service or workload that comes, goes or selects otherwise
makes its namespace be looked at again.

Source: kube-scheduler 1.37, ``plugins/helper/spread.go`` and ``podtopologyspread/common.go``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol

from pyscheduler import framework as fwk
from pyscheduler.api.apps_v1 import ReplicaSet, StatefulSet
from pyscheduler.api.core_v1 import Pod, ReplicationController, Service, TopologySpreadConstraint
from pyscheduler.api.frozen_map import FrozenMap, StringMap
from pyscheduler.api.keys import object_key
from pyscheduler.api.meta import LabelSelector, ObjectMeta, OwnerReference
from pyscheduler.api.selectors import InvalidSelector, Requirement, Selector, selector
from pyscheduler.framework.informers import Informers, Lister
from pyscheduler.intree.pod_topology_spread.constraints import (
    UNCONSTRAINED,
    PodConstraints,
    default_constraints,
    joined,
    matching_labels,
)

#: Namespace, labels and owners of a pod.
_Kind = tuple[str, StringMap, tuple[OwnerReference, ...]]

#: Kinds of pods remembered, after which all are forgotten. A guess: pods of a StatefulSet differ in
#: their labels, so each is a kind of its own.
_REMEMBERED = 4096


class DefaultConstraints:
    """Gives pods without constraints the profile's default ones."""

    def __init__(
        self,
        wanted: tuple[TopologySpreadConstraint, ...],
        informers: Informers,
        *,
        needs_all_keys: bool,
    ) -> None:
        """Begins to follow services and workloads.

        Args:
            wanted: the constraints, without a selector.
            informers: where services and workloads are followed.
            needs_all_keys: see `PodConstraints`.
        """
        self._wanted = wanted
        self._needs_all_keys = needs_all_keys
        self._known: dict[_Kind, PodConstraints] = {}
        self._services = _Services(informers, self._forget)
        self._workloads = _Workloads(informers, self._forget)

    def of(self, pod: Pod) -> PodConstraints:
        """The constraints of ``pod``, which has none of its own."""
        meta = pod.metadata
        if not meta.owner_references and meta.namespace not in self._services:
            return UNCONSTRAINED
        kind = (meta.namespace, meta.labels, meta.owner_references)
        known = self._known.get(kind)
        if known is None:
            if len(self._known) >= _REMEMBERED:
                self._known.clear()
            known = self._known[kind] = self._found(meta)
        return known

    def _found(self, meta: ObjectMeta) -> PodConstraints:
        chosen = self._workloads.narrowed(self._services.labels_for(meta), meta)
        if not chosen.requirements:
            return UNCONSTRAINED
        return default_constraints(
            meta.namespace,
            meta.labels,
            self._wanted,
            chosen,
            needs_all_keys=self._needs_all_keys,
        )

    def _forget(self, namespace: str) -> None:
        for kind in [kind for kind in self._known if kind[0] == namespace]:
            del self._known[kind]


class _Services:
    """The selectors of services, by namespace."""

    def __init__(self, informers: Informers, on_change: Callable[[str], None]) -> None:
        #: namespace -> name -> selector, of services that select pods
        self._selectors: dict[str, dict[str, StringMap]] = {}
        self._on_change = on_change
        informers.of("services.v1", Service).add_handler(self)

    def __contains__(self, namespace: object) -> bool:
        return namespace in self._selectors

    def labels_for(self, meta: ObjectMeta) -> Mapping[str, str]:
        """The labels of the pod that services select it by."""
        found: dict[str, str] = {}
        for chosen in self._selectors.get(meta.namespace, {}).values():
            if chosen.items() <= meta.labels.items():
                found |= chosen
        return found

    def on_add(self, added: Service, initial: bool) -> None:  # the informer's own signature
        """A service is there."""
        meta = added.metadata
        if added.spec.selector:
            self._selectors.setdefault(meta.namespace, {})[meta.name] = added.spec.selector
            self._on_change(meta.namespace)

    def on_update(self, old: Service, new: Service) -> None:
        """A service changed."""
        if old.spec.selector != new.spec.selector:
            self.on_delete(old)
            self.on_add(new, False)

    def on_delete(self, deleted: Service) -> None:
        """A service is gone."""
        meta = deleted.metadata
        selectors = self._selectors.get(meta.namespace)
        if selectors is not None and selectors.pop(meta.name, None) is not None:
            if not selectors:
                del self._selectors[meta.namespace]
            self._on_change(meta.namespace)


class _Spec(Protocol):
    @property
    def selector(self) -> StringMap | LabelSelector | None: ...


class _Workload(Protocol):
    """What the three kinds have in common."""

    @property
    def metadata(self) -> ObjectMeta: ...
    @property
    def spec(self) -> _Spec: ...


#: apiVersion and kind of an owner -> where its kind is found, and its struct
_WORKLOADS: Mapping[tuple[str, str], tuple[str, type[Any]]] = {
    ("v1", "ReplicationController"): ("replicationcontrollers.v1", ReplicationController),
    ("apps/v1", "ReplicaSet"): ("replicasets.v1.apps", ReplicaSet),
    ("apps/v1", "StatefulSet"): ("statefulsets.v1.apps", StatefulSet),
}


class _Workloads:
    """The workloads that control pods."""

    def __init__(self, informers: Informers, on_change: Callable[[str], None]) -> None:
        self._on_change = on_change
        self._listers: dict[tuple[str, str], Lister[_Workload]] = {}
        for owner, (resource, model) in _WORKLOADS.items():
            informer: fwk.Informer[_Workload] = informers.of(resource, model)
            informer.add_handler(self)
            self._listers[owner] = informer.lister

    def narrowed(self, labels: Mapping[str, str], meta: ObjectMeta) -> Selector:
        """The pods of these labels that the pod's controller selects, if it has one."""
        chosen = self._selector_of_controller(meta)
        if isinstance(chosen, FrozenMap):
            return joined(matching_labels({**labels, **chosen}.items()))
        return joined(matching_labels(labels.items()), _requirements(chosen))

    def on_add(self, added: _Workload, initial: bool) -> None:  # the informer's own signature
        """A workload is there."""
        self._on_change(added.metadata.namespace)

    def on_update(self, old: _Workload, new: _Workload) -> None:
        """A workload changed; its status does so all the time."""
        if old.spec.selector != new.spec.selector:
            self._on_change(new.metadata.namespace)

    def on_delete(self, deleted: _Workload) -> None:
        """A workload is gone."""
        self._on_change(deleted.metadata.namespace)

    def _selector_of_controller(self, meta: ObjectMeta) -> StringMap | LabelSelector | None:
        for owner in meta.owner_references:
            if owner.controller:
                lister = self._listers.get((owner.api_version, owner.kind))
                found = lister and lister.get(object_key(meta.namespace, owner.name))
                return found.spec.selector if found else None
        return None


def _requirements(wanted: LabelSelector | None) -> tuple[Requirement, ...]:
    """What a workload's selector asks for; nothing if nobody understands it, as upstream has it."""
    try:
        return selector(wanted).requirements
    except InvalidSelector:
        return ()
