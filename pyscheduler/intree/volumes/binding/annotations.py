"""What claims and volumes are annotated with while they are being bound, and by whom.

Source: kube-scheduler 1.37, ``component-helpers/storage/volume/pv_helpers.go``.
"""

from __future__ import annotations

from typing import Final

from pyscheduler.api.volumes_v1 import PersistentVolumeClaim

#: Of a claim: both sides of the binding are written; the value does not matter.
BIND_COMPLETED: Final = "pv.kubernetes.io/bind-completed"
#: Of a volume: a controller chose the claim, not a user.
BOUND_BY_CONTROLLER: Final = "pv.kubernetes.io/bound-by-controller"
#: Of a claim: the node its volume is to be made for. Whoever fails to make it takes it away.
SELECTED_NODE: Final = "volume.kubernetes.io/selected-node"
#: The provisioner of classes whose volumes nobody makes.
NO_PROVISIONER: Final = "kubernetes.io/no-provisioner"


def is_bound(claim: PersistentVolumeClaim) -> bool:
    """True when the claim has its volume and the controller has said so."""
    return bool(claim.spec.volume_name) and BIND_COMPLETED in claim.annotations
