"""The conformance suite: what the runtime relies on, checked for any plugin.

    @parametrize_with_checks([NodeHeat], pods=PODS, nodes=NODES)
    def test_conformance(check):
        check()

Each check makes the plugin anew, with its arguments, over tables of ``nodes`` and judges all
``pods``. The more the samples differ in what the plugin looks at, the more the checks find.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from pyscheduler.api.core_v1 import Node, Pod
from pyscheduler.framework.cluster_events import EventResource
from pyscheduler.framework.functions import FunctionPlugin
from pyscheduler.framework.interface import Plugin
from pyscheduler.testing.fakes import fake_handle
from pyscheduler.testing.follow_checks import check_following_is_exact
from pyscheduler.testing.harness import make_plugin
from pyscheduler.testing.hook_checks import (
    check_answers_have_their_types,
    check_hints_answer,
    check_permit_answers_a_pair,
    check_rejections_have_events,
    check_reserve_can_be_undone,
    check_sort_keys_compare,
    check_unreserve_is_safe,
    check_wrong_args_are_refused,
)
from pyscheduler.testing.node_checks import (
    check_depends_on_is_complete,
    check_few_nodes,
    check_forms_agree,
    check_inputs_stay_unchanged,
    check_order_does_not_matter,
    check_scores_are_valid,
    check_signature_decides,
    check_two_calls_agree,
    check_what_ifs_are_exact,
)
from pyscheduler.testing.subject import CheckFailedError, Subject

if TYPE_CHECKING:
    import pytest

__all__ = ["CHECKS", "CheckFailedError", "Checkable", "check_plugin", "parametrize_with_checks"]

#: a plugin with its arguments, a class whose defaults do, or a plugin of plain functions
Checkable = Plugin[Any] | type[Plugin[Any]] | FunctionPlugin

#: every check, in the order in which they run
CHECKS: tuple[Callable[[Subject], None], ...] = (
    check_answers_have_their_types,
    check_forms_agree,
    check_scores_are_valid,
    check_inputs_stay_unchanged,
    check_few_nodes,
    check_order_does_not_matter,
    check_two_calls_agree,
    check_signature_decides,
    check_depends_on_is_complete,
    check_what_ifs_are_exact,
    check_following_is_exact,
    check_rejections_have_events,
    check_hints_answer,
    check_unreserve_is_safe,
    check_reserve_can_be_undone,
    check_permit_answers_a_pair,
    check_sort_keys_compare,
    check_wrong_args_are_refused,
)


def check_plugin(
    plugin: Checkable,
    *,
    pods: Sequence[Pod],
    nodes: Sequence[Node],
    existing: Sequence[Pod] = (),
    objects: Mapping[EventResource | str, Sequence[object]] | None = None,
) -> None:
    """Runs every check; the arguments are those of `parametrize_with_checks`.

    Raises:
        CheckFailedError: the first promise that the plugin breaks.
    """
    subject = Subject(_instance(plugin), pods, nodes, existing, objects or {})
    for check in CHECKS:
        check(subject)


def parametrize_with_checks(
    plugins: Sequence[Checkable],
    *,
    pods: Sequence[Pod],
    nodes: Sequence[Node],
    existing: Sequence[Pod] = (),
    objects: Mapping[EventResource | str, Sequence[object]] | None = None,
) -> pytest.MarkDecorator:
    """Runs a test once per plugin and check; the test calls its argument ``check``.

    Args:
        plugins: instances, whose class and arguments are what is checked; classes whose arguments
            all have defaults; ``plugin("Name")`` objects.
        pods: pending pods to judge, with different names.
        nodes: the cluster.
        existing: pods that are bound to ``nodes``.
        objects: samples of other kinds that the plugin has hints or listers for, by the resource it
            registered for; custom resources as dicts, or as the plugin's own struct.
    """
    # tests have pytest; the scheduler, which this package comes with, does not need it
    import pytest

    return pytest.mark.parametrize(
        "check",
        [
            pytest.param(
                partial(check, Subject(plugin, pods, nodes, existing, objects or {})),
                id=f"{plugin.name}-{check.__name__.removeprefix('check_')}",
            )
            for plugin in map(_instance, plugins)
            for check in CHECKS
        ],
    )


def _instance(plugin: Checkable) -> Plugin[Any]:
    if isinstance(plugin, FunctionPlugin):
        plugin = plugin.build()
    if isinstance(plugin, type):
        return make_plugin(plugin, handle=fake_handle())
    return plugin
