"""Pods between their decision and their binding, as other plugins meet them.

A pod that a Permit plugin told to wait is a `WaitingPod` until every such plugin allows it, one
rejects it, or its time is up. From there to Bind it is a `PodInPreBind`, which can be cancelled
until it is about to be bound. Both are reached through the handle: gang plugins allow their
siblings, preemption takes victims back without an API call.

Called by: plugins and ``preemption``; ``runtime.waiting_pods`` implements it.
Source: kube-scheduler 1.37, ``framework/runtime/waiting_pods_map.go``.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

from pyscheduler.api.core_v1 import Pod


class WaitingPod(Protocol):
    """One pod that waits at Permit."""

    @property
    def pod(self) -> Pod:
        """The pod."""

    @property
    def node_name(self) -> str:
        """The node it was assumed on."""

    @property
    def pending_plugins(self) -> tuple[str, ...]:
        """The plugins that have not allowed it yet."""

    def allow(self, plugin: str) -> None:
        """``plugin`` no longer objects; the last one lets the pod go on."""

    def reject(self, plugin: str, message: str) -> bool:
        """Ends the wait with a rejection by ``plugin``; False when it had ended before."""

    def preempt(self, plugin: str, message: str) -> bool:
        """The same for a victim: it is tried again after its backoff instead of upon an event."""


class WaitingPods(Protocol):
    """The pods that wait at Permit, of all profiles."""

    def get(self, uid: str) -> WaitingPod | None:
        """The waiting pod of that uid."""

    def __iter__(self) -> Iterator[WaitingPod]:
        """All of them, oldest first; the set may change while one is dealt with."""

    def __len__(self) -> int:
        """How many wait."""

    def reject(self, uid: str) -> bool:
        """Rejects that pod in nobody's name; False when it does not wait."""


class PodInPreBind(Protocol):
    """One pod in PreBind."""

    @property
    def pod(self) -> Pod:
        """The pod."""

    def cancel(self, message: str) -> bool:
        """Stops its binding cycle; False when it is too late: the binding is being sent."""


class PodsInPreBind(Protocol):
    """The pods in PreBind, of all profiles."""

    def get(self, uid: str) -> PodInPreBind | None:
        """The pod of that uid, while it can still be cancelled."""
