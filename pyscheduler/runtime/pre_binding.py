"""PreBind: which plugins have work for a pod, and the work itself, neighbours side by side.

`run_pre_flights` asks before the binding cycle and gives the work in steps; a step is one plugin,
or neighbours that all said that they may run in parallel. `run_pre_binds` does one step after the
other.

Called by: ``cycle.binding``. Source: kube-scheduler 1.37, ``framework/runtime/framework.go``
RunPreBindPreFlights and RunPreBindPlugins.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Sequence
from itertools import groupby

from pyscheduler.api.core_v1 import Pod
from pyscheduler.framework.cycle_state import CycleState
from pyscheduler.framework.status import PreBindPreFlightResult, Status
from pyscheduler.runtime.instrument import PluginFault
from pyscheduler.runtime.profile import PreBindHook, Profile

#: plugins that run concurrently
Step = tuple[PreBindHook, ...]


def run_pre_flights(
    profile: Profile,
    state: CycleState,
    pod: Pod,
    node_name: str,
    *,
    but_not: Collection[str] = (),
) -> Status | list[Step]:
    """The steps of the pod's PreBind, none if nobody has work; or what ends the attempt.

    Args:
        profile: whose plugins are asked.
        state: the pod's.
        pod: the pod.
        node_name: where it is to run.
        but_not: plugins that are known to have no work.
    """
    working: list[tuple[PreBindHook, bool]] = []
    for hook in profile.pre_binds:
        if hook.name in but_not:
            continue
        try:
            answer = hook.pre_flight(state, pod, node_name)
        except PluginFault as fault:
            return fault.status()
        if isinstance(answer, PreBindPreFlightResult):
            working.append((hook, answer.allow_parallel))
        elif answer is None or answer.is_success:
            working.append((hook, False))
    return _steps(working) if working else []


async def run_pre_binds(
    steps: Sequence[Step], state: CycleState, pod: Pod, node_name: str
) -> Status | None:
    """None when all the work is done; the first failure ends it, and cancels what runs beside."""
    for step in steps:
        if len(step) == 1:
            failure = await _pre_bind(step[0], state, pod, node_name)
        else:
            failure = await _side_by_side(step, state, pod, node_name)
        if failure is not None:
            return failure
    return None


def _steps(working: list[tuple[PreBindHook, bool]]) -> list[Step]:
    steps: list[Step] = []
    for is_parallel, neighbours in groupby(working, key=lambda entry: entry[1]):
        hooks = tuple(hook for hook, _ in neighbours)
        steps.extend([hooks] if is_parallel else [(hook,) for hook in hooks])
    return steps


async def _side_by_side(step: Step, state: CycleState, pod: Pod, node_name: str) -> Status | None:
    loop = asyncio.get_running_loop()
    tasks = [loop.create_task(_pre_bind(hook, state, pod, node_name)) for hook in step]
    try:
        running = set(tasks)
        while running:
            ended, running = await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
            # of those that failed at the same time, the first in the profile's order decides
            for task in tasks:
                if task in ended and (failure := task.result()) is not None:
                    return failure
        return None
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _pre_bind(
    hook: PreBindHook, state: CycleState, pod: Pod, node_name: str
) -> Status | None:
    try:
        status = await hook.pre_bind(state, pod, node_name)
    except PluginFault as fault:
        return fault.status()
    if status is None or status.is_success:
        return None
    return status.by(hook.name)
