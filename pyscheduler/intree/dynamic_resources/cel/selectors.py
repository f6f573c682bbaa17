"""Compiles device selectors and asks them about devices."""

from __future__ import annotations

from pyscheduler.api.resource_v1 import Device
from pyscheduler.errors import PySchedulerError


class SelectorError(PySchedulerError):
    """An expression that cannot be compiled, or not be evaluated for a device."""


class DeviceSelector:
    """One compiled expression."""

    def matches(self, device: Device, *, driver: str) -> bool:
        """Whether the expression selects the device.

        Raises:
            SelectorError: it cannot be evaluated for this device.
        """
        raise SelectorError(driver)


class DeviceSelectors:
    """Compiles device selectors and keeps them."""

    def compile(self, expression: str) -> DeviceSelector:
        """Returns the compiled expression.

        Raises:
            SelectorError: it cannot be compiled.
        """
        raise SelectorError(expression)
