"""From a chosen node to the binding cycle: Reserve and Permit, and the one undo.

Called by: ``cycle.binding``.
"""

from __future__ import annotations

from collections.abc import Collection

from pyscheduler.api.core_v1 import Pod
from pyscheduler.framework.cycle_state import CycleState
from pyscheduler.framework.status import Code, Status
from pyscheduler.runtime.instrument import PluginFault
from pyscheduler.runtime.profile import Profile


def run_reserve(
    profile: Profile,
    state: CycleState,
    pod: Pod,
    node_name: str,
    *,
    but_not: Collection[str] = (),
) -> Status | None:
    """None when every plugin ``but_not`` these reserved; the first other status ends it."""
    for name, hook in profile.reserves:
        if name in but_not:
            continue
        try:
            status = hook(state, pod, node_name)
        except PluginFault as fault:
            return fault.status()
        if status is not None and not status.is_success:
            return status.by(name)
    return None


def run_permit(
    profile: Profile, state: CycleState, pod: Pod, node_name: str
) -> Status | dict[str, float]:
    """The first rejection; else who wants the pod to wait, and how many seconds at most."""
    timeouts_s: dict[str, float] = {}
    for name, hook in profile.permits:
        try:
            status, timeout_s = hook(state, pod, node_name)
        except PluginFault as fault:
            return fault.status()
        if status is None or status.is_success:
            continue
        if status.code is not Code.WAIT:
            return status.by(name)
        timeouts_s[name] = float(timeout_s)
    return timeouts_s


def run_unreserve(profile: Profile, state: CycleState, pod: Pod, node_name: str) -> None:
    """Undoes Reserve of all plugins, in reverse order; faults are logged and passed over."""
    for _, hook in profile.unreserves:
        try:
            hook(state, pod, node_name)
        except PluginFault:
            continue  # logged where it was raised; the others must still undo theirs
