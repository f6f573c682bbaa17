"""Volumes counted as things change equal those counted afresh, whatever comes and goes."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from hypothesis import given, settings
from hypothesis import strategies as st

from pyscheduler.api.core_v1 import (
    AWSElasticBlockStoreVolumeSource,
    EphemeralVolumeSource,
    Pod,
    Volume,
)
from pyscheduler.cache import SchedulerCache, Snapshot
from pyscheduler.intree.volumes.limits import NodeVolumeLimits
from pyscheduler.testing import (
    FakeInformers,
    fake_handle,
    make_attachment,
    make_claim,
    make_csi_driver,
    make_csi_node,
    make_node,
    make_plugin,
    make_pod,
    make_storage_class,
    make_volume,
)
from pyscheduler.testing.answers import Form, filter_answers

EBS = "ebs.csi.aws.com"
DRIVERS = (EBS, "other")
NUMBERS = st.integers(0, 5)

STEPS = st.lists(
    st.tuples(
        st.sampled_from(
            [
                *("pod", "pod", "pod", "assume", "assume", "unpod", "node", "unnode"),
                *("claim", "claim", "unclaim", "volume", "volume", "unvolume", "class", "unclass"),
                *("csi_node", "csi_node", "uncsi_node", "attachment", "attachment", "detach"),
                *("driver", "undriver"),
            ]
        ),
        NUMBERS,
        NUMBERS,
        st.booleans(),
    ),
    min_size=10,
    max_size=80,
)


def _pod(name: str, i: int, j: int) -> Pod:
    builder = make_pod(name)
    if i % 2:
        builder = builder.claim(f"c{i}")
    if j % 3 == 0:
        builder = builder.claim(f"c{j}")
    if j == 1:
        source = AWSElasticBlockStoreVolumeSource(f"h{i}" if i else "aws://odd")
        builder = builder.volume(Volume("inline", aws_elastic_block_store=source))
    if j == 2:
        builder = builder.volume(Volume("data", ephemeral=EphemeralVolumeSource()))
    return builder.obj()


class Cluster:
    """A cluster and the plugin over it, changed step by step."""

    def __init__(self) -> None:
        self.cache = SchedulerCache()
        self.snapshot = Snapshot(self.cache)
        self.informers = FakeInformers()
        handle = fake_handle(self.snapshot, informers=self.informers)
        self.plugin = make_plugin(NodeVolumeLimits, handle=handle)
        self.pods: dict[str, Pod] = {}
        self.steps: dict[str, Callable[[int, int], None]] = {
            name.removeprefix("do_"): getattr(self, name)
            for name in dir(self)
            if name.startswith("do_")
        }
        for number in range(6):
            if number < 3:
                self.do_node(number, 0)
            self.do_csi_node(number, 5)
            self.do_class(number, number // 3)
            self.do_claim(number, 5 - number)
            self.do_volume(number, 2 + number % 4)
        probes = make_storage_class("probes").provisioner("other").waits()
        self._put("storageclasses.v1.storage.k8s.io", probes.obj())
        for number in range(3):
            probe = make_claim(f"probe{number}").storage_class("probes")
            self._put("persistentvolumeclaims.v1", probe.obj())

    # --- pods and nodes ---

    def do_node(self, i: int, _j: int) -> None:
        self.cache.add_node(make_node(f"n{i}").obj())

    def do_unnode(self, i: int, _j: int) -> None:
        self.cache.remove_node(f"n{i}")

    def do_pod(self, i: int, j: int) -> None:
        """A pod is bound; one that was assumed possibly to another node."""
        name = f"p{i}{j}"
        known = self.pods.get(name)
        bound = make_pod_on(_pod(name, i, j), f"n{(i + j) % 3}")
        self.pods[name] = bound
        (self.cache.add_pod if known is None else self.cache.update_pod)(bound)

    def do_assume(self, i: int, j: int) -> None:
        name = f"p{i}{j}"
        if name not in self.pods:
            self.pods[name] = _pod(name, i, j)
            self.cache.assume(self.pods[name], f"n{i % 3}")

    def do_unpod(self, i: int, j: int) -> None:
        if self.pods:
            name = sorted(self.pods)[(6 * i + j) % len(self.pods)]
            self.cache.remove_pod(self.pods.pop(name))

    # --- storage ---

    def do_claim(self, i: int, j: int) -> None:
        claim = make_claim(f"c{i}").storage_class(f"s{j % 3}")
        if j > 2:
            claim = claim.bound_to(f"pv{j}")
        self._put("persistentvolumeclaims.v1", claim.obj())
        owned = make_claim(f"p{i}2-data").storage_class("s1").bound_to(f"pv{j}")
        owner = f"uid-default-p{i}2" if j % 2 else "another"
        self._put("persistentvolumeclaims.v1", owned.controlled_by("Pod", "p", owner).obj())

    def do_unclaim(self, i: int, _j: int) -> None:
        self._remove("persistentvolumeclaims.v1", f"default/c{i}")

    def do_volume(self, i: int, j: int) -> None:
        volume = make_volume(f"pv{i}")
        if j == 0:
            volume = volume.spec(
                aws_elastic_block_store=AWSElasticBlockStoreVolumeSource(f"aws://z/vol-{i}")
            )
        elif j > 1:
            volume = volume.csi(DRIVERS[j % 2], f"h{j}")
        self._put("persistentvolumes.v1", volume.obj())

    def do_unvolume(self, i: int, _j: int) -> None:
        self._remove("persistentvolumes.v1", f"pv{i}")

    def do_class(self, i: int, j: int) -> None:
        provisioner = (EBS, "other", "kubernetes.io/aws-ebs", "kubernetes.io/azure-file", "", EBS)
        built = make_storage_class(f"s{i % 3}").provisioner(provisioner[j]).waits()
        self._put("storageclasses.v1.storage.k8s.io", built.obj())

    def do_unclass(self, i: int, _j: int) -> None:
        self._remove("storageclasses.v1.storage.k8s.io", f"s{i % 3}")

    def do_csi_node(self, i: int, j: int) -> None:
        built = make_csi_node(f"n{i}").driver(EBS, limit=j)
        if j % 2:
            built = built.driver("other", limit=None if j == 3 else 4)
        self._put("csinodes.v1.storage.k8s.io", built.obj())

    def do_uncsi_node(self, i: int, _j: int) -> None:
        self._remove("csinodes.v1.storage.k8s.io", f"n{i}")

    def do_attachment(self, i: int, j: int) -> None:
        built = make_attachment(f"at{j}", driver=DRIVERS[i % 2], node=f"n{i % 3}", volume=f"pv{j}")
        self._put("volumeattachments.v1.storage.k8s.io", built)

    def do_detach(self, _i: int, j: int) -> None:
        self._remove("volumeattachments.v1.storage.k8s.io", f"at{j}")

    def do_driver(self, i: int, j: int) -> None:
        driver = make_csi_driver(DRIVERS[i % 2], prevents_pods=bool(j % 2))
        self._put("csidrivers.v1.storage.k8s.io", driver)

    def do_undriver(self, i: int, _j: int) -> None:
        self._remove("csidrivers.v1.storage.k8s.io", DRIVERS[i % 2])

    def _put(self, resource: str, built: object) -> None:
        self.informers.of(resource).put(built)

    def _remove(self, resource: str, key: str) -> None:
        if self.informers.of(resource).get(key) is not None:
            self.informers.of(resource).remove(key)

    # --- what must hold ---

    def check(self) -> None:
        self.snapshot.refresh()
        for pod in (*self._probes(), make_pod("a").claim("c1").obj(), _pod("c", 2, 1)):
            assert self._answers(pod, Form.WHOLE_CLUSTER) == self._answers(pod, Form.PER_NODE)

    def _probes(self) -> Iterator[Pod]:
        """Pods with ever more volumes that nobody has: they find out how many there are."""
        ebs = other = make_pod("probe")
        for number in range(5):
            source = AWSElasticBlockStoreVolumeSource(f"probe{number}")
            ebs = ebs.volume(Volume(f"v{number}", aws_elastic_block_store=source))
            yield ebs.obj()
        for number in range(3):
            other = other.claim(f"probe{number}")
            yield other.obj()

    def _answers(self, pod: Pod, form: Form) -> object:
        return filter_answers(self.plugin, pod, self.snapshot.nodes, form)


def make_pod_on(pod: Pod, node: str) -> Pod:
    """The pod as it is once it is bound."""
    builder = make_pod(pod.name).node(node)
    for volume in pod.spec.volumes:
        builder = builder.volume(volume)
    return builder.obj()


@settings(max_examples=120, deadline=None)
@given(STEPS)
def test_volumes_counted_as_they_come_equal_those_counted_afresh(
    steps: list[tuple[str, int, int, bool]],
) -> None:
    cluster = Cluster()
    for action, i, j, is_looked_at in steps:
        cluster.steps[action](i, j)
        if is_looked_at:
            cluster.check()
    cluster.check()
