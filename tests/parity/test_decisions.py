"""kube-scheduler's decisions as data: the same nodes, the same answers.

The cases name the release whose rules they follow; objects go through the codec, so that a case
is what an API server would send. Both forms of every plugin must give the answer.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from pyscheduler.api.codec import NODES, PODS, decoder
from pyscheduler.api.core_v1 import Node, Pod
from pyscheduler.api.interner import Interner
from pyscheduler.intree.registry import IN_TREE
from pyscheduler.testing import PluginHarness

CASES = Path(__file__).parent / "cases"


def _cases(kind: str) -> list[Any]:
    loaded = yaml.safe_load((CASES / f"{kind}.yaml").read_text())
    return [pytest.param(case, id=f"{case['plugin']}-{case['id']}") for case in loaded["cases"]]


def _pod(manifest: dict[str, Any]) -> Pod:
    return decoder(PODS, Interner()).object(json.dumps(_quantities(manifest)).encode())


def _node(manifest: dict[str, Any]) -> Node:
    return decoder(NODES, Interner()).object(json.dumps(_quantities(manifest)).encode())


def _quantities(manifest: Any, *, inside: bool = False) -> Any:
    """The API server gives quantities as strings, whatever the manifest had."""
    if isinstance(manifest, dict):
        return {
            key: _quantities(value, inside=inside or key in ("requests", "allocatable"))
            for key, value in manifest.items()
        }
    if isinstance(manifest, list):
        return [_quantities(value, inside=inside) for value in manifest]
    return str(manifest) if inside else manifest


def _harness(case: dict[str, Any]) -> PluginHarness:
    return PluginHarness(
        IN_TREE[case["plugin"]],
        args=case.get("args"),
        nodes=[_node(node) for node in case["nodes"]],
        pods=[_pod(pod) for pod in case.get("pods", [])],
    )


@pytest.mark.parametrize("case", _cases("filter"))
def test_the_same_nodes_are_rejected_in_the_same_words(case: dict[str, Any]) -> None:
    answers = _harness(case).filter(_pod(case["pod"]))

    assert {
        name: list(status.reasons) if status is not None else [] for name, status in answers.items()
    } == case["expected"]


@pytest.mark.parametrize("case", _cases("score"))
def test_nodes_get_the_same_scores(case: dict[str, Any]) -> None:
    assert _harness(case).score(_pod(case["pod"])) == case["expected"]
