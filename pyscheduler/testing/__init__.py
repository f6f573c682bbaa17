"""For plugin authors' tests, and our own: builders, tables, a harness, fakes, conformance checks.

    def test_hot_nodes_are_rejected():
        harness = PluginHarness(NodeHeat, nodes=[make_node("hot").annotation(KEY, "90").obj()])
        assert harness.filter(make_pod("p").obj())["hot"] == unresolvable("node(s) were too hot")

Production code never imports this package.
"""

from pyscheduler.testing.budgets import BudgetBuilder, make_pdb
from pyscheduler.testing.builders import NodeBuilder, PodBuilder, make_node, make_pod
from pyscheduler.testing.checks import CheckFailedError, check_plugin, parametrize_with_checks
from pyscheduler.testing.fakes import (
    FakeActivator,
    FakePreemptionObserver,
    FakeRecorder,
    FakeRng,
    FakeTasks,
    FakeWrites,
    RecordedEvent,
    SetCondition,
    fake_handle,
)
from pyscheduler.testing.harness import PluginHarness, make_plugin
from pyscheduler.testing.resources import FakeInformer, FakeInformers
from pyscheduler.testing.tables import node_table, snapshot_of
from pyscheduler.testing.volume_builders import (
    ClaimBuilder,
    CSINodeBuilder,
    StorageClassBuilder,
    VolumeBuilder,
    make_attachment,
    make_claim,
    make_csi_driver,
    make_csi_node,
    make_storage_capacity,
    make_storage_class,
    make_volume,
)

__all__ = [
    "BudgetBuilder",
    "CSINodeBuilder",
    "CheckFailedError",
    "ClaimBuilder",
    "FakeActivator",
    "FakeInformer",
    "FakeInformers",
    "FakePreemptionObserver",
    "FakeRecorder",
    "FakeRng",
    "FakeTasks",
    "FakeWrites",
    "NodeBuilder",
    "PluginHarness",
    "PodBuilder",
    "RecordedEvent",
    "SetCondition",
    "StorageClassBuilder",
    "VolumeBuilder",
    "check_plugin",
    "fake_handle",
    "make_attachment",
    "make_claim",
    "make_csi_driver",
    "make_csi_node",
    "make_node",
    "make_pdb",
    "make_plugin",
    "make_pod",
    "make_storage_capacity",
    "make_storage_class",
    "make_volume",
    "node_table",
    "parametrize_with_checks",
    "snapshot_of",
]
