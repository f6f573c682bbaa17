"""ImageLocality: prefers nodes that already have the pod's images.

An image that many nodes have counts more than one that few have, so that pods with the same rare
image do not pile up. With n images named by init containers, containers and image volumes,

    sum   = sum of trunc(size * (nodes that have the image / nodes)) over those that the node has
    score = 100 * (clamp(sum, 23 MiB, n * 1000 MiB) - 23 MiB) / (n * 1000 MiB - 23 MiB)

A name without a tag stands for ``latest``; one that is given twice counts twice. There is no state,
and nothing to normalize.

Only the whole-cluster form exists: how many nodes have an image is a fact
about the cluster, and the columns know it.

Source: kube-scheduler 1.37, ``plugins/imagelocality/image_locality.go``.
"""

from __future__ import annotations

import numpy as np

from pyscheduler import framework as fwk
from pyscheduler.api.core_v1 import Pod
from pyscheduler.api.images import normalized_image_name
from pyscheduler.framework.status import Int64Array

_MIB = 1024 * 1024
#: below this much a node gets nothing
MIN_BYTES = 23 * _MIB
#: above this much for each image a node gets everything
MAX_BYTES_PER_IMAGE = 1000 * _MIB


class ImageLocality(fwk.ScorePlugin, fwk.SignPlugin, fwk.Plugin[fwk.NoArgs]):
    """Scores by bytes of images that need not be pulled."""

    depends_on = (fwk.Aspect.IMAGES,)
    #: how many nodes have an image, of how many, counts for each of them
    cross_node = fwk.Aspect.IMAGES | fwk.Aspect.IDENTITY
    signs_spec = True

    def sign_pod(self, pod: Pod) -> tuple[str, ...]:
        """The images."""
        return tuple(_images(pod))

    def score_nodes(self, state: fwk.CycleState, pod: Pod, nodes: fwk.NodeTable) -> Int64Array:
        """(N,) int64: 0 to 100, linear between the two thresholds."""
        images = _images(pod)
        present = np.zeros(len(nodes), dtype=np.int64)
        total_nodes = len(self.handle.snapshot.nodes)
        is_any_present = False
        for name in images:
            found = nodes.image(normalized_image_name(name))
            if found is not None and found[1].size:
                image, rows = found
                present[rows] += int(image.size_bytes * (image.nodes / total_nodes))
                is_any_present = True
        if not is_any_present:
            return present
        highest = MAX_BYTES_PER_IMAGE * len(images)
        np.clip(present, MIN_BYTES, highest, out=present)
        present -= MIN_BYTES
        present *= fwk.MAX_NODE_SCORE
        present //= highest - MIN_BYTES
        return present


def _images(pod: Pod) -> list[str]:
    spec = pod.spec
    names = [container.image for container in spec.init_containers + spec.containers]
    names += [volume.image.reference for volume in spec.volumes if volume.image is not None]
    return names
