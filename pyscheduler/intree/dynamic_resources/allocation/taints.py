"""Device taints and who tolerates them.

Source: `resourceclaim/devicetoleration.go`, 1.37.
"""

from collections.abc import Iterable

from pyscheduler.api.keys import NO_EXECUTE, NO_SCHEDULE
from pyscheduler.api.resource_v1 import DeviceTaint, DeviceToleration

#: What keeps a device from being allocated; None, and effects yet to be invented, do not.
_HARD_EFFECTS = frozenset((NO_SCHEDULE, NO_EXECUTE))


def is_tolerated(taints: Iterable[DeviceTaint], tolerations: Iterable[DeviceToleration]) -> bool:
    """Whether a device with the taints can be allocated to a request with the tolerations."""
    return all(
        any(tolerates(toleration, taint) for toleration in tolerations)
        for taint in taints
        if taint.effect in _HARD_EFFECTS
    )


def tolerates(toleration: DeviceToleration, taint: DeviceTaint) -> bool:
    """Whether the toleration covers the taint; an empty key or effect covers every one."""
    if toleration.effect not in ("", taint.effect) or toleration.key not in ("", taint.key):
        return False
    if toleration.operator == "Exists":
        return True
    return toleration.operator in ("", "Equal") and toleration.value == taint.value
