"""From a chosen node to the binding cycle: Reserve and Permit, and the one undo.

Called by: ``cycle.loop`` (reserve, permit), ``cycle.binding`` and ``cycle.loop`` (unreserve).
"""

from __future__ import annotations

from pyscheduler.api.core_v1 import Pod
from pyscheduler.framework.cycle_state import CycleState
from pyscheduler.framework.status import Code, Status
from pyscheduler.runtime.instrument import PluginFault
from pyscheduler.runtime.profile import Profile


def run_reserve(profile: Profile, state: CycleState, pod: Pod, node_name: str) -> Status | None:
    """None when every plugin reserved; the first other status ends it."""
    for name, hook in profile.reserves:
        try:
            status = hook(state, pod, node_name)
        except PluginFault as fault:
            return fault.status()
        if status is not None and not status.is_success:
            return status.by(name)
    return None


def run_permit(profile: Profile, state: CycleState, pod: Pod, node_name: str) -> Status | None:
    """None when every plugin permits; waiting comes with the complete framework."""
    for name, hook in profile.permits:
        try:
            answer = hook(state, pod, node_name)
        except PluginFault as fault:
            return fault.status()
        status = answer[0]
        if status is None or status.is_success:
            continue
        if status.code is Code.WAIT:
            return PluginFault(name, "Permit", "waiting at Permit is not available yet").status()
        return status.by(name)
    return None


def run_unreserve(profile: Profile, state: CycleState, pod: Pod, node_name: str) -> None:
    """Undoes Reserve of all plugins, in reverse order; faults are logged and passed over."""
    for _, hook in profile.unreserves:
        try:
            hook(state, pod, node_name)
        except PluginFault:
            continue  # logged where it was raised; the others must still undo theirs
