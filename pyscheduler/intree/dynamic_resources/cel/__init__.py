"""Device selectors in CEL, as Kubernetes understands it."""

from pyscheduler.intree.dynamic_resources.cel.selectors import DeviceSelectors, SelectorError

__all__ = ["DeviceSelectors", "SelectorError"]
