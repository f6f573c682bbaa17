"""Compiles device selectors and asks them about devices."""

from pyscheduler.api.resource_v1 import Device
from pyscheduler.errors import PySchedulerError


class SelectorError(PySchedulerError):
    """An expression that cannot be compiled or evaluated."""


class DeviceSelectors:
    """Compiles device selectors and keeps them."""

    def matches(self, expression: str, *, driver: str, device: Device) -> bool:
        """Whether the expression selects the device.

        Raises:
            SelectorError: it cannot be compiled, or not be evaluated for this device.
        """
        raise SelectorError(expression)
