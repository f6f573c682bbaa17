"""Both forms of the resource plugins equal a plain reference on arbitrary nodes and pods.

The reference is written from the formulas with exact fractions and no regard for speed.
"""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from pyscheduler.intree.node_resources import NodeResourcesBalancedAllocation, NodeResourcesFit
from pyscheduler.testing import PluginHarness, make_node, make_pod

GPU = "example.com/gpu"
RESOURCES = ("cpu", "memory", GPU)

#: (cpu in milli, memory in bytes, GPUs)
Amounts = tuple[int, int, int]

node_amounts = st.tuples(
    st.integers(0, 128_000), st.sampled_from([0, 1, 2**31, 2**40 - 1]), st.integers(0, 16)
)
pod_amounts = st.tuples(st.integers(1, 64_000), st.integers(1, 2**39), st.integers(0, 8))
clusters = st.lists(st.tuples(node_amounts, st.lists(pod_amounts, max_size=2)), max_size=8)
shapes = st.lists(
    st.tuples(st.integers(0, 100), st.integers(0, 10)),
    min_size=1,
    max_size=4,
    unique_by=lambda point: point[0],
).map(sorted)
weights = st.tuples(*[st.integers(1, 100)] * 3)

quickly = settings(max_examples=40, deadline=None)


def _quantities(amounts: Amounts) -> dict[str, str]:
    cpu, memory, gpus = amounts
    return {"cpu": f"{cpu}m", "memory": str(memory), GPU: str(gpus)}


def _score(
    plugin: type[Any],
    args: dict[str, Any],
    cluster: list[tuple[Amounts, list[Amounts]]],
    amounts: Amounts,
) -> list[int]:
    nodes, existing = [], []
    for i, (capacity, pods) in enumerate(cluster):
        nodes.append(make_node(f"n{i}").capacity(_quantities(capacity)).obj())
        existing += [
            make_pod(f"p{i}-{j}").req(_quantities(pod)).node(f"n{i}").obj()
            for j, pod in enumerate(pods)
        ]
    harness = PluginHarness(plugin, args=args, nodes=nodes, pods=existing)
    return list(harness.score(make_pod("p").req(_quantities(amounts)).obj()).values())


def _requested(pods: list[Amounts], resource: int) -> int:
    return sum(pod[resource] for pod in pods)


def _truncated(value: Fraction) -> int:
    return math.trunc(value)


def _spec(weights_: tuple[int, ...]) -> list[dict[str, Any]]:
    return [{"name": n, "weight": w} for n, w in zip(RESOURCES, weights_, strict=True)]


def _weighted(
    cluster: list[tuple[Amounts, list[Amounts]]],
    amounts: Amounts,
    weights_: tuple[int, ...],
    *,
    is_least: bool,
) -> list[int]:
    expected = []
    for capacity, pods in cluster:
        total = weight_sum = 0
        for resource, weight in enumerate(weights_):
            allocatable = capacity[resource]
            if allocatable == 0 or (resource == 2 and amounts[2] == 0):
                continue
            used = min(
                Fraction(_requested(pods, resource) + amounts[resource], allocatable), Fraction(1)
            )
            share = 1 - used if is_least else used
            total += weight * _truncated(share * 100)
            weight_sum += weight
        expected.append(total // weight_sum if weight_sum else 0)
    return expected


@quickly
@given(cluster=clusters, amounts=pod_amounts, weights_=weights, is_least=st.booleans())
def test_allocation_scores(
    cluster: list[tuple[Amounts, list[Amounts]]],
    amounts: Amounts,
    weights_: tuple[int, ...],
    is_least: bool,
) -> None:
    kind = "LeastAllocated" if is_least else "MostAllocated"
    args = {"scoringStrategy": {"type": kind, "resources": _spec(weights_)}}

    found = _score(NodeResourcesFit, args, cluster, amounts)

    assert found == _weighted(cluster, amounts, weights_, is_least=is_least)


def _on_line(shape: list[tuple[int, int]], utilization: int) -> int:
    before = [point for point in shape if point[0] < utilization]
    after = [point for point in shape if point[0] >= utilization]
    if not before:
        return after[0][1] * 10
    if not after:
        return before[-1][1] * 10
    (x0, y0), (x1, y1) = before[-1], after[0]
    return y0 * 10 + _truncated(Fraction((y1 - y0) * 10 * (utilization - x0), x1 - x0))


@quickly
@given(cluster=clusters, amounts=pod_amounts, weights_=weights, shape=shapes)
def test_requested_to_capacity_ratio_scores(
    cluster: list[tuple[Amounts, list[Amounts]]],
    amounts: Amounts,
    weights_: tuple[int, ...],
    shape: list[tuple[int, int]],
) -> None:
    points = [{"utilization": u, "score": s} for u, s in shape]
    args = {
        "scoringStrategy": {
            "type": "RequestedToCapacityRatio",
            "resources": _spec(weights_),
            "requestedToCapacityRatio": {"shape": points},
        }
    }
    expected = []
    for capacity, pods in cluster:
        scores = []
        for resource, weight in enumerate(weights_):
            allocatable = capacity[resource]
            if allocatable == 0 or (resource == 2 and amounts[2] == 0):
                continue
            used = Fraction(_requested(pods, resource) + amounts[resource], allocatable)
            score = _on_line(shape, min(_truncated(used * 100), 100))
            if score > 0:
                scores.append((weight, score))
        weight_sum = sum(weight for weight, _ in scores)
        total = sum(weight * score for weight, score in scores)
        mean = Fraction(total, weight_sum) if weight_sum else Fraction(0)
        expected.append(math.floor(mean + Fraction(1, 2)))

    assert _score(NodeResourcesFit, args, cluster, amounts) == expected


def _balance(fractions: list[float]) -> int:
    if len(fractions) == 2:
        return int((1 - abs(fractions[0] - fractions[1]) / 2) * 100)
    if len(fractions) < 2:
        return 100
    mean = sum(fractions) / len(fractions)
    variance = sum((fraction - mean) * (fraction - mean) for fraction in fractions) / len(fractions)
    return int((1 - math.sqrt(variance)) * 100)


@quickly
@given(cluster=clusters, amounts=pod_amounts)
def test_balance_scores(cluster: list[tuple[Amounts, list[Amounts]]], amounts: Amounts) -> None:
    expected = []
    for capacity, pods in cluster:
        counted = [
            (min(used / total, 1.0), min((used + amounts[resource]) / total, 1.0))
            for resource, total in enumerate(capacity)
            if total > 0 and (resource < 2 or amounts[2] > 0)
            for used in [_requested(pods, resource)]
        ]
        before = _balance([fraction for fraction, _ in counted])
        after = _balance([fraction for _, fraction in counted])
        expected.append(50 + (50 + after - before) // 2)

    args = {"resources": _spec((1, 1, 1))}
    assert _score(NodeResourcesBalancedAllocation, args, cluster, amounts) == expected
