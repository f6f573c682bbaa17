"""`policy/v1`: disruption budgets, which say how many pods of a kind may be evicted right now."""

from pyscheduler.api.frozen_map import EMPTY, StringMap
from pyscheduler.api.meta import KubeStruct, LabelSelector, ObjectMeta


class PodDisruptionBudgetSpec(KubeStruct, frozen=True):
    """Which pods the budget is about; the wanted numbers are the disruption controller's affair."""

    selector: LabelSelector | None = None


class PodDisruptionBudgetStatus(KubeStruct, frozen=True):
    """What the disruption controller made of the budget."""

    disruptions_allowed: int = 0
    #: pod name -> when its eviction was admitted; these are counted already
    disrupted_pods: StringMap = EMPTY


class PodDisruptionBudget(KubeStruct, frozen=True):
    """A disruption budget."""

    metadata: ObjectMeta
    spec: PodDisruptionBudgetSpec = PodDisruptionBudgetSpec()
    status: PodDisruptionBudgetStatus = PodDisruptionBudgetStatus()
