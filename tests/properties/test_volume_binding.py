"""VolumeBinding finds what a plain search would find, and takes back all that it assumed.

The plain search asks each volume about each claim on each node, as the rule is written.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from pyscheduler.api.core_v1 import Node, Pod
from pyscheduler.api.quantity import nano_value
from pyscheduler.api.selectors import node_selector_term_matches
from pyscheduler.api.volumes_v1 import PersistentVolume, PersistentVolumeClaim
from pyscheduler.intree.volumes.binding.known import known_storage
from pyscheduler.intree.volumes.binding.plugin import PREPARED
from pyscheduler.testing import PluginHarness, make_node, make_pod
from pyscheduler.testing.volume_builders import make_claim, make_storage_class, make_volume
from tests.unit.intree.volumes.binding.world import StorageWorld

KEYS = ("zone", "host")
VALUES = ("a", "b", "c")
SIZES = ("1Gi", "2Gi", "3Gi")
MODES = ("ReadWriteOnce", "ReadOnlyMany")


def random_volume(rng: Random, number: int) -> PersistentVolume:
    volume = (
        make_volume(f"pv-{number}")
        .storage_class(rng.choice(("late", "late", "late", "other")))
        .capacity(rng.choice(SIZES))
        .access_modes(*rng.sample(MODES, rng.choice((1, 2))))
        .phase(rng.choice(("Available", "Available", "Available", "Released")))
    )
    if rng.random() < 0.2:
        volume = volume.label("tier", "fast")
    if rng.random() < 0.2:
        volume = volume.kept_for(f"default/{rng.choice(('c-0', 'c-1', 'stranger'))}")
    for _ in range(rng.choice((0, 1, 1, 2))):
        operator = rng.choice(("In", "In", "NotIn", "Exists", "DoesNotExist"))
        values = rng.sample(VALUES, rng.choice((1, 2))) if "In" in operator else ()
        volume = volume.reachable_from(rng.choice(KEYS), *values, operator=operator)
    return volume.obj()


def random_claim(rng: Random, number: int) -> PersistentVolumeClaim:
    claim = make_claim(f"c-{number}").storage_class("late").request(rng.choice(SIZES))
    claim = claim.access_modes(*rng.sample(MODES, rng.choice((1, 1, 2))))
    return (claim.selector({"tier": "fast"}) if rng.random() < 0.2 else claim).obj()


def random_node(rng: Random, number: int) -> Node:
    node = make_node(f"n-{number}")
    for key in KEYS:
        if rng.random() < 0.8:
            node = node.label(key, rng.choice(VALUES))
    return node.obj()


def plainly(
    claims: Sequence[PersistentVolumeClaim],
    volumes: Sequence[PersistentVolume],
    labels: Mapping[str, str],
) -> dict[str, str] | None:
    """Volume by claim on a node with these labels; None if one of them finds none."""
    found: dict[str, str] = {}
    for claim in sorted(claims, key=_size_of_claim):
        volume = _first(claim, [v for v in volumes if v.name not in found.values()], labels)
        if volume is None:
            return None
        found[claim.name] = volume.name
    return found


def _first(
    claim: PersistentVolumeClaim, volumes: Sequence[PersistentVolume], labels: Mapping[str, str]
) -> PersistentVolume | None:
    smallest: PersistentVolume | None = None
    for volume in volumes:
        reference = volume.spec.claim_ref
        if volume.class_name != claim.class_name or _size(volume) < _size_of_claim(claim):
            continue
        if reference is not None:
            if reference.name == claim.name:
                return volume if _reaches(volume, labels) else None
            continue
        suits = (
            volume.status.phase == "Available"
            and (claim.spec.selector is None or volume.labels.get("tier") == "fast")
            and {*claim.spec.access_modes} <= {*volume.spec.access_modes}
            and _reaches(volume, labels)
        )
        if suits and (smallest is None or _size(volume) < _size(smallest)):
            smallest = volume
    return smallest


def _reaches(volume: PersistentVolume, labels: Mapping[str, str]) -> bool:
    affinity = volume.spec.node_affinity
    return (
        affinity is None
        or affinity.required is None
        or any(
            node_selector_term_matches(term, labels, "")
            for term in affinity.required.node_selector_terms
        )
    )


def _size(volume: PersistentVolume) -> int:
    return nano_value(volume.spec.capacity["storage"])


def _size_of_claim(claim: PersistentVolumeClaim) -> int:
    return nano_value(claim.spec.resources.requests["storage"])


@settings(max_examples=100, deadline=None)
@given(seed=st.integers(0, 2**32))
def test_what_is_found_is_what_a_plain_search_finds(seed: int) -> None:
    rng = Random(seed)
    volumes = [random_volume(rng, number) for number in range(rng.randrange(8))]
    claims = [random_claim(rng, number) for number in range(1 + rng.randrange(3))]
    nodes = [random_node(rng, number) for number in range(8)]
    world = StorageWorld(*volumes, *claims, make_storage_class("late").waits().obj())
    harness = world.harness(nodes)
    pod = _user("p", claims)

    statuses = harness.filter(pod)

    search = harness.state(pod).read(PREPARED).search
    assert search is not None
    for row, node in enumerate(nodes):
        expected = plainly(claims, volumes, node.labels)
        outcome = search.on(harness.nodes.node(row))
        found = {match.claim.name: match.volume.name for match in outcome.matches}
        assert (statuses[node.name] is None) == (expected is not None)
        assert found == (expected or {})


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 2**32))
def test_what_is_reserved_is_given_once_and_taken_back_without_a_trace(seed: int) -> None:
    rng = Random(seed)
    volumes = [random_volume(rng, number) for number in range(6)]
    claims = [random_claim(rng, number) for number in range(4)]
    nodes = [random_node(rng, number) for number in range(4)]
    late = make_storage_class("late").waits().provisioner(rng.choice(("", "csi.example.com")))
    world = StorageWorld(*volumes, *claims, late.obj())
    harness = world.harness(nodes)
    reserved: dict[str, tuple[Pod, str]] = {}

    for number, claim in enumerate(claims):
        pod = _user(f"p-{number}", [claim])
        feasible = harness.feasible(pod)
        if feasible:
            node = rng.choice(feasible)
            assert harness.reserve(pod, node) is None
            reserved[pod.name] = (pod, node)
        if reserved and rng.random() < 0.3:
            harness.unreserve(*reserved.pop(rng.choice(sorted(reserved))))
        _each_volume_has_one_claim(harness, len(reserved))

    for pod, node in reserved.values():
        harness.unreserve(pod, node)
    known = known_storage(harness.handle)
    assert [v for v in volumes if known.volumes.is_assumed(v.name)] == []
    assert [c for c in claims if known.claims.is_assumed(c.key)] == []
    assert list(known.volumes.list()) == [world.volume(v.name) for v in volumes]


def _each_volume_has_one_claim(harness: PluginHarness, pods: int) -> None:
    known = known_storage(harness.handle)
    holders = [
        volume.spec.claim_ref.name
        for volume in known.volumes.list()
        if volume.spec.claim_ref is not None and known.volumes.is_assumed(volume.name)
    ]
    making = [claim.name for claim in known.claims.list() if known.claims.is_assumed(claim.key)]
    assert len({*holders, *making}) == len(holders) + len(making) <= pods


def _user(name: str, claims: Sequence[PersistentVolumeClaim]) -> Pod:
    pod = make_pod(name)
    for claim in claims:
        pod = pod.claim(claim.name)
    return pod.obj()
