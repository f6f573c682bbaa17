"""VolumeRestrictions and VolumeZone say the same of a node, asked about it alone or about all."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from pyscheduler.api.codec import BUILT_IN
from pyscheduler.api.core_v1 import (
    AWSElasticBlockStoreVolumeSource,
    GCEPersistentDiskVolumeSource,
    ISCSIVolumeSource,
    Node,
    Pod,
    RBDVolumeSource,
    Volume,
)
from pyscheduler.intree.volumes.restrictions import VolumeRestrictions
from pyscheduler.intree.volumes.zone import VolumeZone
from pyscheduler.testing import (
    FakeInformers,
    PluginHarness,
    make_claim,
    make_node,
    make_pod,
    make_volume,
)

NAMES = st.sampled_from("xy")
READS = st.booleans()
DISKS = st.one_of(
    st.builds(
        lambda name, reads: {"gce_persistent_disk": GCEPersistentDiskVolumeSource(name, reads)},
        NAMES,
        READS,
    ),
    st.builds(
        lambda name, reads: {
            "aws_elastic_block_store": AWSElasticBlockStoreVolumeSource(name, reads)
        },
        NAMES,
        READS,
    ),
    st.builds(
        lambda name, reads: {"iscsi": ISCSIVolumeSource("portal", name, read_only=reads)},
        NAMES,
        READS,
    ),
    st.builds(
        lambda monitors, pool, reads: {"rbd": RBDVolumeSource(tuple(monitors), "i", pool, reads)},
        st.lists(NAMES, min_size=1, max_size=2),
        NAMES,
        READS,
    ),
).map(lambda source: Volume("disk", **source))
#: disks, claims, and whether the pod is of another namespace
PODS = st.tuples(st.lists(DISKS, max_size=2), st.lists(NAMES, max_size=2), st.booleans())

ZONE_LABELS = (
    "topology.kubernetes.io/zone",
    "topology.kubernetes.io/region",
    "failure-domain.beta.kubernetes.io/zone",
    "failure-domain.beta.kubernetes.io/region",
)
NODE_LABELS = st.dictionaries(st.sampled_from(ZONE_LABELS), st.sampled_from("ab"), max_size=4)
VOLUME_LABELS = st.dictionaries(
    st.sampled_from(ZONE_LABELS),
    st.sampled_from(("a", "b", "a__b", " a__c", "a__", "c")),
    max_size=3,
)


def _pod(name: str, drawn: tuple[list[Volume], list[str], bool], *, node: str = "") -> Pod:
    disks, claims, is_elsewhere = drawn
    builder = make_pod(name)
    if is_elsewhere:
        builder = builder.namespace("other")
    for disk in disks:
        builder = builder.volume(disk)
    for claim in claims:
        builder = builder.claim(claim)
    return builder.node(node).obj() if node else builder.obj()


def _know(informers: FakeInformers, built: object) -> None:
    resource = next(name for name, known in BUILT_IN.items() if known.struct is type(built))
    informers.of(resource).put(built)


@settings(max_examples=150, deadline=None)
@given(existing=st.lists(st.tuples(PODS, st.integers(0, 2)), max_size=6), wanted=PODS)
def test_disks_and_claims_in_use_are_found_in_either_form(
    existing: list[tuple[tuple[list[Volume], list[str], bool], int]],
    wanted: tuple[list[Volume], list[str], bool],
) -> None:
    informers = FakeInformers()
    for namespace in ("default", "other"):
        _know(informers, make_claim("x").namespace(namespace).obj())
        alone = make_claim("y").namespace(namespace).access_modes("ReadWriteOncePod")
        _know(informers, alone.obj())
    pods = [_pod(f"p{i}", drawn, node=f"n{row}") for i, (drawn, row) in enumerate(existing)]
    harness = PluginHarness(
        VolumeRestrictions,
        nodes=[make_node(f"n{row}").obj() for row in range(3)],
        pods=pods,
        informers=informers,
    )
    new = _pod("new", wanted)

    answers = harness.filter(new)  # which compares the forms

    holders = {pod.node_name for pod in pods if pod.spec.volumes}
    if not wanted[1]:
        assert all(answers[name] is None for name in answers.keys() - holders), (
            "nobody to share with"
        )


@settings(max_examples=150, deadline=None)
@given(nodes=st.lists(NODE_LABELS, min_size=1, max_size=5), volumes=st.lists(VOLUME_LABELS))
def test_zones_are_compared_in_either_form(
    nodes: list[dict[str, str]], volumes: list[dict[str, str]]
) -> None:
    informers = FakeInformers()
    pod = make_pod("p")
    for number, labels in enumerate(volumes):
        volume = make_volume(f"pv{number}")
        for label, value in labels.items():
            volume = volume.label(label, value)
        _know(informers, volume.obj())
        _know(informers, make_claim(f"c{number}").bound_to(f"pv{number}").obj())
        pod = pod.claim(f"c{number}")
    harness = PluginHarness(
        VolumeZone,
        nodes=[_node(f"n{row}", labels) for row, labels in enumerate(nodes)],
        informers=informers,
    )

    answers = harness.filter(pod.obj())  # which compares the forms

    assert all(answers[f"n{row}"] is None for row, labels in enumerate(nodes) if not labels)


def _node(name: str, labels: dict[str, str]) -> Node:
    builder = make_node(name)
    for label, value in labels.items():
        builder = builder.label(label, value)
    return builder.obj()
