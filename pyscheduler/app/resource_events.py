"""From the events that plugins register for to the resources that are watched for their sake.

Pods and nodes are watched anyway. Any other kind is watched only if a plugin of some profile named
it, or hears of everything because it registered nothing at all; the latter does not hold up the
start on a cluster that lacks the kind.

Called by: ``app.assembly``, once.
Source: kube-scheduler 1.37, ``eventhandlers.go`` addAllEventHandlers. Knowing difference: a plugin
that can reject no pod is not asked for, so that scoring and sorting alone start no watch.
"""

from __future__ import annotations

from collections.abc import Mapping

from pyscheduler.client.informers import SharedInformers
from pyscheduler.cycle.event_handlers import ResourceEvents
from pyscheduler.framework.cluster_events import EVERYTHING, EventResource
from pyscheduler.framework.interface import (
    BindPlugin,
    EnqueueExtensions,
    FilterPlugin,
    PermitPlugin,
    PostFilterPlugin,
    PreBindPlugin,
    PreEnqueuePlugin,
    PreFilterPlugin,
    ReservePlugin,
)
from pyscheduler.queueing.hints import QueueingHintMap
from pyscheduler.queueing.scheduling_queue import SchedulingQueue
from pyscheduler.runtime.instrument import PluginFault
from pyscheduler.runtime.profile import Profile

#: Where the built-in kinds live. Pods and nodes have handlers of their own; pod groups are not
#: scheduled yet, so nothing is raised for them.
RESOURCES: Mapping[EventResource, str] = {
    EventResource.PERSISTENT_VOLUME: "persistentvolumes.v1",
    EventResource.PERSISTENT_VOLUME_CLAIM: "persistentvolumeclaims.v1",
    EventResource.CSI_NODE: "csinodes.v1.storage.k8s.io",
    EventResource.CSI_DRIVER: "csidrivers.v1.storage.k8s.io",
    EventResource.VOLUME_ATTACHMENT: "volumeattachments.v1.storage.k8s.io",
    EventResource.CSI_STORAGE_CAPACITY: "csistoragecapacities.v1.storage.k8s.io",
    EventResource.STORAGE_CLASS: "storageclasses.v1.storage.k8s.io",
    EventResource.RESOURCE_CLAIM: "resourceclaims.v1.resource.k8s.io",
    EventResource.RESOURCE_SLICE: "resourceslices.v1.resource.k8s.io",
    EventResource.DEVICE_CLASS: "deviceclasses.v1.resource.k8s.io",
}

_REJECTING = (
    PreEnqueuePlugin,
    PreFilterPlugin,
    FilterPlugin,
    PostFilterPlugin,
    ReservePlugin,
    PermitPlugin,
    PreBindPlugin,
    BindPlugin,
)


def raise_registered_events(
    profiles: Mapping[str, Profile],
    hints: QueueingHintMap,
    *,
    informers: SharedInformers,
    queue: SchedulingQueue,
) -> None:
    """Has the resources followed that ``hints`` speak of, and their changes told to ``queue``.

    Raises:
        PluginFault: a plugin registered for what is no resource.
    """
    raised: set[EventResource | str] = set()
    for scheduler_name, registrations in hints.items():
        plugins: Mapping[str, object] = profiles[scheduler_name].plugins
        for registration in registrations:
            # extenders have no plugin, and hear of everything
            plugin = plugins.get(registration.plugin)
            if plugin is not None and not _hears(plugin):
                continue
            for resource in _expand(registration.event.resource):
                name = RESOURCES.get(resource) if isinstance(resource, EventResource) else resource
                if name is None:
                    continue
                is_named = registration.event.resource is not EventResource.WILDCARD
                try:
                    informer = informers.follow(
                        name,
                        asked_by=registration.plugin,
                        is_required=is_named and isinstance(plugin, EnqueueExtensions),
                    )
                except ValueError as error:
                    raise PluginFault(registration.plugin, "EnqueueExtensions", error) from error
                if resource not in raised:
                    raised.add(resource)
                    informer.add_handler(ResourceEvents(queue, resource))


def _hears(plugin: object) -> bool:
    return isinstance(plugin, (EnqueueExtensions, *_REJECTING))


def _expand(resource: EventResource | str) -> list[EventResource | str]:
    if resource is EventResource.WILDCARD:
        return [known.event.resource for known in EVERYTHING]
    return [resource]
