"""A plugin whose kept answers are wrong, for the tests of who notices."""

from __future__ import annotations

from typing import Any

import numpy as np

from pyscheduler import framework as fwk
from pyscheduler.api.core_v1 import Pod


class Liar(fwk.FilterPlugin, fwk.SignPlugin, fwk.Plugin[fwk.NoArgs]):
    """Depends on the pod's name, and says that it does not."""

    depends_on = ()

    def filter_nodes(
        self, state: fwk.CycleState, pod: Pod, nodes: fwk.NodeTable
    ) -> fwk.NodeVerdict:
        return nodes.verdict().reject(np.full(len(nodes), pod.name == "bad"), "bad")

    def sign_pod(self, pod: Pod) -> tuple[Any, ...]:
        return ()
