"""From a chosen node to the binding cycle: Reserve and Permit, and the one undo.

Called by: ``cycle.binding``.
"""

from __future__ import annotations

from numbers import Real

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
            return rejection_or_fault(name, "Reserve", status)
    return None


def run_permit(
    profile: Profile, state: CycleState, pod: Pod, node_name: str
) -> Status | dict[str, float]:
    """The first rejection; else who wants the pod to wait, and how many seconds at most."""
    timeouts_s: dict[str, float] = {}
    for name, hook in profile.permits:
        try:
            status, timeout_s = _permit_answer(name, hook(state, pod, node_name))
        except PluginFault as fault:
            return fault.status()
        if status is None or status.is_success:
            continue
        if status.code is not Code.WAIT:
            return rejection_or_fault(name, "Permit", status)
        timeouts_s[name] = timeout_s
    return timeouts_s


def run_unreserve(profile: Profile, state: CycleState, pod: Pod, node_name: str) -> None:
    """Undoes Reserve of all plugins, in reverse order; faults are logged and passed over."""
    for _, hook in profile.unreserves:
        try:
            hook(state, pod, node_name)
        except PluginFault:
            continue  # logged where it was raised; the others must still undo theirs


def rejection_or_fault(plugin: str, hook: str, status: Status) -> Status:
    """What a status that is no success comes to: a rejection as it is, anything else an error."""
    if status.is_rejected:
        return status.by(plugin)
    cause = status.message or f"status {status.code.label} is not for {hook}"
    return PluginFault(plugin, hook, cause).status()


def _permit_answer(plugin: str, answer: tuple[object, ...]) -> tuple[Status | None, float]:
    """The answer, if it is a status and a number.

    Raises:
        PluginFault: it is something else.
    """
    if len(answer) != 2:  # a status and a time limit
        wrong = f"answered {len(answer)} values instead of a status and seconds"
        raise PluginFault(plugin, "Permit", wrong)
    status, timeout_s = answer
    if not (status is None or isinstance(status, Status)):
        raise PluginFault(plugin, "Permit", f"answered {status!r} instead of a status or None")
    if status is None or status.code is not Code.WAIT:
        return status, 0.0
    if not isinstance(timeout_s, Real) or timeout_s != timeout_s:
        raise PluginFault(plugin, "Permit", f"lets the pod wait for {timeout_s!r}, not for seconds")
    return status, float(timeout_s)
