"""Both forms of Filter and Score agree, on every plugin that has both.

The clusters come from ``scenes/``; see there for how a plugin brings its own.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable
from pathlib import Path
from random import Random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pyscheduler.framework import PreFilterPlugin, Status
from pyscheduler.intree.registry import IN_TREE
from pyscheduler.testing import PluginHarness, fake_handle, make_plugin
from pyscheduler.testing.answers import (
    Form,
    filter_answers,
    filter_forms,
    score_answers,
    score_forms,
)
from tests.properties import scenes
from tests.properties.scenes import general
from tests.properties.scenes.scene import Scene

#: So many random clusters are looked at, and in so many a plugin has to tell nodes apart.
LOOKED_AT, DECIDED = 150, 10

#: Of these a module of this folder compares the forms, over clusters that need more than a scene.
TOLD_ELSEWHERE = {"NodeVolumeLimits": "test_volume_limits.py"}

#: Of these the forms cannot differ but in what a scene does not reach, and the reason why.
EXEMPT = {
    "DynamicResources": "both forms of Score look up what Filter, of one form, found on each node"
}

_OWN: dict[str, Callable[[Random], Scene]] = {
    module.PLUGIN: module.scene
    for module in (
        importlib.import_module(f"{scenes.__name__}.{found.name}")
        for found in pkgutil.iter_modules(scenes.__path__)
        if found.name not in ("scene", "general")
    )
}


def _with_two(forms: Callable[..., list[Form]]) -> list[str]:
    return [
        name
        for name, plugin_class in IN_TREE.items()
        if name not in TOLD_ELSEWHERE.keys() | EXEMPT.keys()
        and len(forms(make_plugin(plugin_class, handle=fake_handle()))) == len(Form)
    ]


FILTERING = _with_two(filter_forms)
SCORING = _with_two(score_forms)

seeds = st.integers(0, 2**32)
quickly = settings(max_examples=30, deadline=None)


def _scene(plugin: str, seed: int) -> Scene:
    rng = Random(seed)
    return _OWN[plugin](rng) if plugin in _OWN else general.scene(rng, plugin)


@pytest.mark.parametrize("plugin", FILTERING)
@quickly
@given(seed=seeds)
def test_filter(plugin: str, seed: int) -> None:
    scene = _scene(plugin, seed)
    harness = scene.harness(plugin)
    some = harness.nodes.select(_some_rows(len(scene.nodes), seed))

    for nodes in (harness.nodes, some):
        by_node, at_once = (
            filter_answers(harness.plugin, scene.pod, nodes, form, prepared_on=harness.nodes)
            for form in Form
        )
        assert at_once == by_node


@pytest.mark.parametrize("plugin", SCORING)
@quickly
@given(seed=seeds)
def test_score(plugin: str, seed: int) -> None:
    scene = _scene(plugin, seed)
    harness = scene.harness(plugin)

    by_node, at_once = (_scores(harness, scene, form) for form in Form)

    assert at_once == by_node


@pytest.mark.parametrize("plugin", TOLD_ELSEWHERE)
def test_what_is_told_elsewhere_compares_the_forms(plugin: str) -> None:
    text = (Path(__file__).parent / TOLD_ELSEWHERE[plugin]).read_text()

    assert f"import {plugin}" in text
    assert "Form.PER_NODE" in text
    assert "Form.WHOLE_CLUSTER" in text


@pytest.mark.parametrize("plugin", FILTERING)
def test_the_scenes_give_the_filter_something_to_say(plugin: str) -> None:
    assert sum(_rejects_some(plugin, seed) for seed in range(LOOKED_AT)) >= DECIDED


@pytest.mark.parametrize("plugin", SCORING)
def test_the_scenes_give_the_score_something_to_say(plugin: str) -> None:
    assert sum(_prefers_some(plugin, seed) for seed in range(LOOKED_AT)) >= DECIDED


def _some_rows(n: int, seed: int) -> np.ndarray[tuple[int, ...], np.dtype[np.intp]]:
    chosen = [row for row in range(n) if Random(seed + row).random() < 0.5]
    return np.array(chosen, dtype=np.intp)


def _scores(harness: PluginHarness, scene: Scene, form: Form) -> list[list[int]] | None:
    answered = (
        harness.pre_filter(scene.pod) if isinstance(harness.plugin, PreFilterPlugin) else None
    )
    if isinstance(answered, Status) and answered.is_rejected:
        return None
    answers = score_answers(harness.plugin, scene.pod, harness.nodes, form)
    return None if answers is None else [scores.tolist() for scores in answers]


def _rejects_some(plugin: str, seed: int) -> bool:
    scene = _scene(plugin, seed)
    harness = scene.harness(plugin)
    answers = filter_answers(harness.plugin, scene.pod, harness.nodes, Form.WHOLE_CLUSTER)
    return not isinstance(answers, Status) and any(answers) and None in answers


def _prefers_some(plugin: str, seed: int) -> bool:
    scene = _scene(plugin, seed)
    scores = _scores(scene.harness(plugin), scene, Form.WHOLE_CLUSTER)
    return scores is not None and len(set(scores[0])) > 1
