"""Which device class provides an extended resource, such as ``example.com/gpu``.

A class provides the resource that its ``extendedResourceName`` says, and one named after itself
(``deviceclass.resource.kubernetes.io/<class>``). On a node that has none of such a resource to
allocate, a pod that asks for it gets devices through a claim. That concerns whoever counts
resources and whoever allocates devices; they know nothing of one another, so each makes a lookup of
its own over the informer that they share.

Of several classes with one name the newest provides it, of equally old ones the first by name.

Called by: in-tree plugins. Source: kube-scheduler 1.37,
``k8s.io/dynamic-resource-allocation/deviceclass/extendedresourcecache``. Knowing difference: there
the class depends on the order of events when several have one name (an older one that comes later
is not even known by its own name, and takes nothing over when the newer one goes).
"""

from __future__ import annotations

from typing import Final

from pyscheduler.api.resource_v1 import DEVICE_CLASS_RESOURCE_PREFIX, DeviceClass
from pyscheduler.framework.handle import Handle

DEVICE_CLASSES: Final = "deviceclasses.v1.resource.k8s.io"


def is_extended_resource(resource: str) -> bool:
    """True for a name with a domain that is not Kubernetes' own."""
    return (
        "/" in resource
        and "kubernetes.io/" not in resource
        and not resource.startswith("requests.")
    )


def may_be_devices(resource: str) -> bool:
    """True for a name that a device class can provide."""
    return is_extended_resource(resource) or resource.startswith(DEVICE_CLASS_RESOURCE_PREFIX)


class ExtendedResources:
    """Device classes by the extended resources that they provide."""

    def __init__(self, handle: Handle) -> None:
        self._classes: dict[str, DeviceClass] = {}
        self._by_resource: dict[str, DeviceClass] = {}
        handle.informers.of(DEVICE_CLASSES, DeviceClass).add_handler(self)

    def __len__(self) -> int:
        return len(self._by_resource)

    def class_of(self, resource: str) -> DeviceClass | None:
        """The class that provides ``resource``; None when none does."""
        return self._by_resource.get(resource)

    # what the informer calls

    def on_add(self, added: DeviceClass, initial: bool) -> None:  # the informer's own signature
        """A class is there."""
        self._put(added)

    def on_update(self, old: DeviceClass, new: DeviceClass) -> None:
        """A class changed, perhaps in what it provides."""
        self._put(new)

    def on_delete(self, deleted: DeviceClass) -> None:
        """A class is gone."""
        if self._classes.pop(deleted.metadata.name, None) is not None:
            self._look_again()

    def _put(self, device_class: DeviceClass) -> None:
        self._classes[device_class.metadata.name] = device_class
        self._look_again()

    def _look_again(self) -> None:
        """All anew: there are few classes, and they hardly ever change."""
        by_resource: dict[str, DeviceClass] = {}
        # the last one to come keeps the name: the newest, and of these the first by name
        by_name = sorted(
            self._classes.values(), key=lambda known: known.metadata.name, reverse=True
        )
        for known in sorted(by_name, key=lambda known: known.metadata.creation_timestamp or ""):
            if known.spec.extended_resource_name:
                by_resource[known.spec.extended_resource_name] = known
            by_resource[DEVICE_CLASS_RESOURCE_PREFIX + known.metadata.name] = known
        self._by_resource = by_resource
