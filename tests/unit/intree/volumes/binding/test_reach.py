"""Rules about labels: what can be reached from a node, found without asking each."""

from __future__ import annotations

from random import Random

import pytest

from pyscheduler.api.meta import LabelSelector, LabelSelectorRequirement
from pyscheduler.api.selectors import RequiredNodeAffinity, selector
from pyscheduler.api.volumes_v1 import PersistentVolume
from pyscheduler.intree.volumes.binding.reach import ANYWHERE, ByLabels, reach_of, rule_of
from pyscheduler.intree.volumes.binding.remembered import Remembered
from pyscheduler.testing.volume_builders import make_volume
from tests.unit.intree.volumes.binding.world import StorageWorld

_OPERATORS = ("In", "NotIn", "Exists", "DoesNotExist")


def random_reach(rng: Random) -> RequiredNodeAffinity:
    """A rule over three labels with three values each."""
    if rng.random() < 0.3:
        expressions = tuple(
            LabelSelectorRequirement(key=key, operator=operator, values=values)
            for key, operator, values in _requirements(rng)
        )
        return RequiredNodeAffinity(labels=selector(LabelSelector(match_expressions=expressions)))
    volume = make_volume("pv")
    for _ in range(rng.randrange(3)):
        for key, operator, values in _requirements(rng)[:1]:
            volume = volume.reachable_from(key, *values, operator=operator)
    return reach_of(volume.obj())


def _requirements(rng: Random) -> list[tuple[str, str, tuple[str, ...]]]:
    found = []
    for _ in range(1 + rng.randrange(2)):
        operator = rng.choice(("In", *_OPERATORS))
        values = tuple(rng.sample("abc", 1 + rng.randrange(2)))
        found.append((rng.choice("xyz"), operator, values if "In" in operator else ()))
    return found


@pytest.mark.parametrize("seed", range(20))
def test_what_is_found_is_what_asking_each_would_find(seed: int) -> None:
    rng = Random(seed)
    rules = [random_reach(rng) for _ in range(30)]
    by_labels: ByLabels[int] = ByLabels()
    for number, rule in enumerate(rules):
        by_labels.add(number, rule_of(rule))

    for _ in range(30):
        labels = {key: rng.choice("abc") for key in "xyz" if rng.random() < 0.7}
        expected = [number for number, rule in enumerate(rules) if rule.matches(labels, "")]
        assert list(by_labels.reachable(labels)) == expected


def test_a_volume_without_node_affinity_is_reached_from_anywhere() -> None:
    assert reach_of(make_volume("pv").obj()) is ANYWHERE


def test_what_was_worked_out_is_kept_until_the_object_changes() -> None:
    asked: list[str] = []

    def length(volume: PersistentVolume) -> int:
        asked.append(volume.name)
        return len(volume.name)

    lengths = Remembered(length)
    world = StorageWorld()
    informer = world.informers.of("persistentvolumes.v1")
    informer.add_handler(lengths)
    world.put(make_volume("pv").obj())

    known = world.volume("pv")
    assert (lengths.of(known), lengths.of(known)) == (2, 2)
    assert asked == ["pv"]

    world.put(known)
    assert lengths.of(world.volume("pv")) == 2
    assert asked == ["pv", "pv"]

    informer.remove("pv")
    assert len(lengths) == 0
