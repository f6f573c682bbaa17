"""Volumes of drivers that were once built into Kubernetes, as the CSI drivers of today see them.

Seven kinds of sources in pods and persistent volumes mean a CSI driver's volume by now. `IN_TREE`
says for each under which name its class was provisioned, which driver has it, and where its zone
stands. `of_pod` and `of_volume` translate: to the handle under which the driver knows the volume,
and a persistent volume's zones to the driver's own topology key.

Five of them count as migrated for the scheduler (`InTreePlugin.is_migrated`); the other two are
known, which some hints ask about, and are else left alone.

Called by: the volume plugins. Source: kube-scheduler 1.37, ``csi-translation-lib`` 0.37.1. Only
what a scheduler reads is translated: driver, handle, access modes and node affinity.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlsplit

from msgspec.structs import replace

from pyscheduler.api.core_v1 import (
    AWSElasticBlockStoreVolumeSource,
    AzureDiskVolumeSource,
    AzureFileVolumeSource,
    GCEPersistentDiskVolumeSource,
    NodeSelector,
    NodeSelectorRequirement,
    NodeSelectorTerm,
    Volume,
)
from pyscheduler.api.keys import REGION, ZONE
from pyscheduler.api.volumes_v1 import (
    CSIPersistentVolumeSource,
    PersistentVolume,
    PersistentVolumeSpec,
    VolumeNodeAffinity,
)
from pyscheduler.errors import PySchedulerError

BETA_ZONE: Final = "failure-domain.beta.kubernetes.io/zone"
BETA_REGION: Final = "failure-domain.beta.kubernetes.io/region"
#: Between the zones of a volume that is in several.
ZONES_DELIMITER: Final = "__"
#: Which plugins a node's kubelet leaves to CSI drivers, separated by commas; of a CSINode.
MIGRATED_PLUGINS: Final = "storage.alpha.kubernetes.io/migrated-plugins"

_UNSPECIFIED: Final = "UNSPECIFIED"
#: `{locale}-{region}-{zone}`
_PARTS_OF_A_ZONE: Final = 3
_EBS_VOLUME: Final = re.compile(r"vol-[^/]*")
_AZURE_ACCOUNT: Final = re.compile(r"azure-storage-account-(.+)-secret")
_AZURE_RESOURCE_GROUP: Final = "kubernetes.io/azure-file-resource-group"


class CannotTranslate(PySchedulerError):  # noqa: N818  # says what cannot be done
    """A source that no CSI driver would understand; names its field and value."""


@dataclass(frozen=True, slots=True)
class InTreePlugin:
    """A kind of source, and the CSI driver that it became."""

    #: as storage classes name it for their provisioner
    name: str
    driver: str
    #: the field in `Volume` and in `PersistentVolumeSpec`
    field: str
    #: the scheduler treats its volumes as the driver's
    is_migrated: bool
    #: the handle of a source in a pod of that namespace
    pod_handle: Callable[[Any, Volume, str], str]
    #: the handle of a persistent volume's source
    volume_handle: Callable[[Any, PersistentVolume], str]
    #: node labels of the driver in place of zone and region; "" leaves them
    zone_key: str = ""
    region_key: str = ""


@dataclass(frozen=True, slots=True)
class CSIVolume:
    """A volume as its driver knows it."""

    driver: str
    handle: str


# --- what there is ------------------------------------------------------------------------------


def plugin_of(source: Volume | PersistentVolumeSpec) -> InTreePlugin | None:
    """The plugin whose source is set, if it is one of these."""
    for plugin in IN_TREE:
        if getattr(source, plugin.field) is not None:
            return plugin
    return None


def plugin_named(name: str) -> InTreePlugin | None:
    """The plugin of that name, if it is one of these."""
    return _BY_NAME.get(name)


def of_pod(volume: Volume, namespace: str) -> CSIVolume | None:
    """The driver's volume that a pod of that namespace has in ``volume``; None if it has none.

    Raises:
        CannotTranslate: no driver would understand the source.
    """
    plugin = plugin_of(volume)
    if plugin is None:
        return None
    source = getattr(volume, plugin.field)
    return CSIVolume(plugin.driver, plugin.pod_handle(source, volume, namespace))


def of_volume(volume: PersistentVolume) -> PersistentVolume:
    """The volume with a CSI source and the driver's topology; itself if there is nothing to do.

    Raises:
        CannotTranslate: no driver would understand the source.
    """
    plugin = plugin_of(volume.spec)
    if plugin is None:
        return volume
    source = getattr(volume.spec, plugin.field)
    handle = plugin.volume_handle(source, volume)
    changes: dict[str, Any] = {
        plugin.field: None,
        "csi": CSIPersistentVolumeSource(
            plugin.driver, handle, read_only=bool(getattr(source, "read_only", False))
        ),
        "node_affinity": _driver_topology(volume, plugin),
    }
    if isinstance(source, GCEPersistentDiskVolumeSource):
        changes["access_modes"] = _access_modes_of_disk(volume.spec.access_modes)
    return replace(volume, spec=replace(volume.spec, **changes))


# --- handles ------------------------------------------------------------------------------------


def _ebs_handle(source: AWSElasticBlockStoreVolumeSource, _where: object, _more: str = "") -> str:
    written = source.volume_id
    if not written.startswith("aws://"):
        return written
    try:
        handle = urlsplit(written).path.strip("/")
    except ValueError as error:
        raise CannotTranslate(
            "failed to translate Kubernetes ID to EBS Volume ID"
            f" Invalid disk name ({written}): {error}"
        ) from error
    if not _EBS_VOLUME.fullmatch(handle):
        raise CannotTranslate(
            "failed to translate Kubernetes ID to EBS Volume ID"
            f" Invalid format for AWS volume ({written})"
        )
    return handle


def _pod_disk_handle(
    source: GCEPersistentDiskVolumeSource, _volume: Volume, _namespace: str
) -> str:
    return _disk_handle("zones", _UNSPECIFIED, source.pd_name)


def _volume_disk_handle(source: GCEPersistentDiskVolumeSource, volume: PersistentVolume) -> str:
    written = volume.labels.get(BETA_ZONE) or volume.labels.get(ZONE, "")
    zones = written.split(ZONES_DELIMITER)
    if len(zones) == 1:
        return _disk_handle("zones", zones[0] or _UNSPECIFIED, source.pd_name)
    return _disk_handle("regions", _region_of(zones), source.pd_name)


def _disk_handle(kind: str, place: str, name: str) -> str:
    return f"projects/{_UNSPECIFIED}/{kind}/{place}/disks/{name}"


def _region_of(zones: Iterable[str]) -> str:
    regions = set()
    for zone in zones:
        parts = zone.split("-")
        if len(parts) != _PARTS_OF_A_ZONE:
            raise CannotTranslate(
                "failed to get region from zones: zone in unexpected format, expected:"
                f" {{locale}}-{{region}}-{{zone}}, got: {zone}"
            )
        regions.add("-".join(parts[:2]))
    if len(regions) != 1:
        raise CannotTranslate(
            "failed to get region from zones: multiple or no regions gotten from zones,"
            f" got: {', '.join(sorted(regions))}"
        )
    return regions.pop()


def _access_modes_of_disk(modes: tuple[str, ...]) -> tuple[str, ...]:
    """The plugin in the tree let every mode pass, and the driver knows two of them."""
    if not modes:
        return ()
    if "ReadOnlyMany" in modes and not {"ReadWriteOnce", "ReadWriteMany"} & {*modes}:
        return ("ReadOnlyMany",)
    return ("ReadWriteOnce",)


def _azure_disk_handle(source: AzureDiskVolumeSource, _where: object, _more: str = "") -> str:
    if source.kind is not None and source.kind.lower() != "managed":
        raise CannotTranslate(f"kind({source.kind}) is not supported in csi migration")
    return source.disk_uri


def _pod_share_handle(source: AzureFileVolumeSource, volume: Volume, namespace: str) -> str:
    return _share_handle(source, volume.name, namespace or "default")


def _volume_share_handle(source: AzureFileVolumeSource, volume: PersistentVolume) -> str:
    reference = volume.spec.claim_ref
    namespace = source.secret_namespace
    if namespace is None:
        namespace = "" if reference is None else reference.namespace
    if not namespace:
        raise CannotTranslate(
            "could not find a secret namespace in PersistentVolumeSource or ClaimRef"
        )
    group = volume.annotations.get(_AZURE_RESOURCE_GROUP, "")
    return _share_handle(source, volume.name, namespace, group=group)


def _share_handle(
    source: AzureFileVolumeSource, name: str, namespace: str, *, group: str = ""
) -> str:
    found = _AZURE_ACCOUNT.search(source.secret_name)
    account = found[1] if found else source.secret_name
    return f"{group}#{account}#{source.share_name}#{name}#{namespace}"


def _field_as_handle(field: str) -> Callable[..., str]:
    def handle(source: object, _where: object, _more: str = "") -> str:
        found: str = getattr(source, field)
        return found

    return handle


# --- topology -----------------------------------------------------------------------------------


def _driver_topology(volume: PersistentVolume, plugin: InTreePlugin) -> VolumeNodeAffinity | None:
    """The node affinity with the driver's own keys in place of zone (and region)."""
    affinity = volume.spec.node_affinity or VolumeNodeAffinity()
    terms = () if affinity.required is None else affinity.required.node_selector_terms
    zone, region = _topology_keys(volume, terms)
    if plugin.zone_key:
        terms = _with_key(volume, terms, zone, plugin.zone_key, several=not plugin.region_key)
    if plugin.region_key:
        terms = _with_key(volume, terms, region, plugin.region_key, several=False)
    elif plugin.zone_key and region == BETA_REGION and _values(terms, region):
        terms = _renamed(terms, {BETA_REGION: REGION})
    if not terms:
        return volume.spec.node_affinity
    return VolumeNodeAffinity(required=NodeSelector(node_selector_terms=terms))


def _topology_keys(
    volume: PersistentVolume, terms: tuple[NodeSelectorTerm, ...]
) -> tuple[str, str]:
    """Under which labels zone and region stand: where affinity or else labels use the old ones."""
    keys = {requirement.key for term in terms for requirement in term.match_expressions}
    for known in (keys, volume.labels):
        if ZONE in known:
            return ZONE, REGION
        if BETA_ZONE in known:
            return BETA_ZONE, BETA_REGION
    return ZONE, REGION


def _with_key(
    volume: PersistentVolume,
    terms: tuple[NodeSelectorTerm, ...],
    key: str,
    driver_key: str,
    *,
    several: bool,
) -> tuple[NodeSelectorTerm, ...]:
    """``driver_key`` in place of ``key``, its values from the volume's label if no term has any."""
    if _values(terms, key):
        return _renamed(terms, {key: driver_key})
    written = volume.labels.get(key, "")
    places = written.split(ZONES_DELIMITER) if several else [written]
    values = tuple(sorted({place.strip() for place in places} - {""}))
    if not values:
        return terms
    added = NodeSelectorRequirement(key=driver_key, operator="In", values=values)
    return tuple(
        replace(term, match_expressions=(*term.match_expressions, added))
        for term in terms or (NodeSelectorTerm(),)
    )


def _values(terms: tuple[NodeSelectorTerm, ...], key: str) -> set[str]:
    return {
        value
        for term in terms
        for requirement in term.match_expressions
        if requirement.key == key
        for value in requirement.values
    }


def _renamed(
    terms: tuple[NodeSelectorTerm, ...], keys: Mapping[str, str]
) -> tuple[NodeSelectorTerm, ...]:
    return tuple(
        replace(
            term,
            match_expressions=tuple(
                replace(requirement, key=keys.get(requirement.key, requirement.key))
                for requirement in term.match_expressions
            ),
        )
        for term in terms
    )


IN_TREE: Final = (
    InTreePlugin(
        name="kubernetes.io/aws-ebs",
        driver="ebs.csi.aws.com",
        field="aws_elastic_block_store",
        is_migrated=True,
        pod_handle=_ebs_handle,
        volume_handle=_ebs_handle,
        zone_key="topology.ebs.csi.aws.com/zone",
    ),
    InTreePlugin(
        name="kubernetes.io/gce-pd",
        driver="pd.csi.storage.gke.io",
        field="gce_persistent_disk",
        is_migrated=True,
        pod_handle=_pod_disk_handle,
        volume_handle=_volume_disk_handle,
        zone_key="topology.gke.io/zone",
    ),
    InTreePlugin(
        name="kubernetes.io/cinder",
        driver="cinder.csi.openstack.org",
        field="cinder",
        is_migrated=True,
        pod_handle=_field_as_handle("volume_id"),
        volume_handle=_field_as_handle("volume_id"),
        zone_key="topology.cinder.csi.openstack.org/zone",
    ),
    InTreePlugin(
        name="kubernetes.io/azure-disk",
        driver="disk.csi.azure.com",
        field="azure_disk",
        is_migrated=True,
        pod_handle=_azure_disk_handle,
        volume_handle=_azure_disk_handle,
    ),
    InTreePlugin(
        name="kubernetes.io/azure-file",
        driver="file.csi.azure.com",
        field="azure_file",
        is_migrated=False,
        pod_handle=_pod_share_handle,
        volume_handle=_volume_share_handle,
    ),
    InTreePlugin(
        name="kubernetes.io/vsphere-volume",
        driver="csi.vsphere.vmware.com",
        field="vsphere_volume",
        is_migrated=False,
        pod_handle=_field_as_handle("volume_path"),
        volume_handle=_field_as_handle("volume_path"),
        zone_key="topology.csi.vmware.com/zone",
        region_key="topology.csi.vmware.com/region",
    ),
    InTreePlugin(
        name="kubernetes.io/portworx-volume",
        driver="pxd.portworx.com",
        field="portworx_volume",
        is_migrated=True,
        pod_handle=_field_as_handle("volume_id"),
        volume_handle=_field_as_handle("volume_id"),
    ),
)

_BY_NAME: Final = {plugin.name: plugin for plugin in IN_TREE}
