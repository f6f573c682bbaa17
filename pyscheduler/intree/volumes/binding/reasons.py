"""Why a node will not do, in kube-scheduler's words; those that apply are said in this order.

Source: kube-scheduler 1.37, ``plugins/volumebinding/binder.go`` FindPodVolumes.
"""

from __future__ import annotations

from typing import Final

#: A bound volume cannot be reached from there.
NODE_CONFLICT: Final = "node(s) didn't match PersistentVolume's node affinity"
#: No free volume for a claim, and none can be made there.
NO_VOLUME: Final = "node(s) didn't find available persistent volumes to bind"
#: A volume could be made there, were there room for it.
NO_ROOM: Final = "node(s) did not have enough free storage"
#: A claim is bound to a volume that is not there.
VOLUME_GONE: Final = "node(s) unavailable due to one or more pvc(s) bound to non-existent pv(s)"
