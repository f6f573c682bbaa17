"""The plugin API. Authors write ``from pyscheduler import framework as fwk`` and nothing else.

One base class per extension point (`interface`), or a plugin of plain functions (`functions`);
answers (`status`), nodes one by one or all at once (`nodes`), columns (`columns`), events and hints
(`cluster_events`).
"""

from pyscheduler.framework.args import Args, NoArgs
from pyscheduler.framework.arithmetic import round_half_away, truncated_quotient
from pyscheduler.framework.cluster_events import (
    ASSIGNED_POD_ADDED,
    ASSIGNED_POD_DELETED,
    NODE_ADDED,
    NODE_ALLOCATABLE_CHANGED,
    NODE_ANNOTATIONS_CHANGED,
    NODE_CONDITIONS_CHANGED,
    NODE_DELETED,
    NODE_LABELS_CHANGED,
    NODE_TAINTS_CHANGED,
    POD_ADDED,
    POD_DELETED,
    ActionType,
    ClusterEvent,
    ClusterEventWithHint,
    EventResource,
    HintFn,
    QueueingHint,
)
from pyscheduler.framework.columns import Aspect, Column, NodeColumn, PodColumn, StateColumn
from pyscheduler.framework.cycle_state import CycleState, StateKey
from pyscheduler.framework.entities import QueuedEntity
from pyscheduler.framework.functions import FunctionPlugin, plugin
from pyscheduler.framework.handle import Handle
from pyscheduler.framework.informers import Informer, Informers, JsonObject, Lister
from pyscheduler.framework.interface import (
    BindPlugin,
    EnqueueExtensions,
    FilterPlugin,
    PermitPlugin,
    Plugin,
    PluginDefinitionError,
    PostBindPlugin,
    PostFilterPlugin,
    PreBindPlugin,
    PreEnqueuePlugin,
    PreFilterPlugin,
    PreScorePlugin,
    QueueSortPlugin,
    ReservePlugin,
    ScorePlugin,
    SignPlugin,
)
from pyscheduler.framework.node_statuses import NodeStatuses
from pyscheduler.framework.nodes import NodeInfo, NodeTable
from pyscheduler.framework.scores import MAX_NODE_SCORE, MIN_NODE_SCORE, default_normalize
from pyscheduler.framework.status import (
    SKIP,
    SUCCESS,
    Code,
    NodeVerdict,
    PostFilterResult,
    PreBindPreFlightResult,
    PreFilterResult,
    Status,
    pending,
    unresolvable,
    unschedulable,
    wait,
)
from pyscheduler.framework.waiting import WaitingPod, WaitingPods
from pyscheduler.framework.what_if import WhatIf

__all__ = [
    "ASSIGNED_POD_ADDED",
    "ASSIGNED_POD_DELETED",
    "MAX_NODE_SCORE",
    "MIN_NODE_SCORE",
    "NODE_ADDED",
    "NODE_ALLOCATABLE_CHANGED",
    "NODE_ANNOTATIONS_CHANGED",
    "NODE_CONDITIONS_CHANGED",
    "NODE_DELETED",
    "NODE_LABELS_CHANGED",
    "NODE_TAINTS_CHANGED",
    "POD_ADDED",
    "POD_DELETED",
    "SKIP",
    "SUCCESS",
    "ActionType",
    "Args",
    "Aspect",
    "BindPlugin",
    "ClusterEvent",
    "ClusterEventWithHint",
    "Code",
    "Column",
    "CycleState",
    "EnqueueExtensions",
    "EventResource",
    "FilterPlugin",
    "FunctionPlugin",
    "Handle",
    "HintFn",
    "Informer",
    "Informers",
    "JsonObject",
    "Lister",
    "NoArgs",
    "NodeColumn",
    "NodeInfo",
    "NodeStatuses",
    "NodeTable",
    "NodeVerdict",
    "PermitPlugin",
    "Plugin",
    "PluginDefinitionError",
    "PodColumn",
    "PostBindPlugin",
    "PostFilterPlugin",
    "PostFilterResult",
    "PreBindPlugin",
    "PreBindPreFlightResult",
    "PreEnqueuePlugin",
    "PreFilterPlugin",
    "PreFilterResult",
    "PreScorePlugin",
    "QueueSortPlugin",
    "QueuedEntity",
    "QueueingHint",
    "ReservePlugin",
    "ScorePlugin",
    "SignPlugin",
    "StateColumn",
    "StateKey",
    "Status",
    "WaitingPod",
    "WaitingPods",
    "WhatIf",
    "default_normalize",
    "pending",
    "plugin",
    "round_half_away",
    "truncated_quotient",
    "unresolvable",
    "unschedulable",
    "wait",
]
