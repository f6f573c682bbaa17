"""What the conformance checks look at: a plugin, a small cluster, and what it says of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pyscheduler.api.core_v1 import Node, Pod
from pyscheduler.api.frozen_map import frozen
from pyscheduler.cache import Snapshot
from pyscheduler.errors import PySchedulerError
from pyscheduler.framework.cluster_events import EventResource
from pyscheduler.framework.interface import Plugin
from pyscheduler.framework.nodes import NodeTable
from pyscheduler.framework.status import Status
from pyscheduler.testing.answers import filter_answers, filter_forms, score_answers, score_forms
from pyscheduler.testing.fakes import fake_handle
from pyscheduler.testing.resources import FakeInformers
from pyscheduler.testing.tables import snapshot_of

#: form -> node name -> verdict or (raw, normalised) score; or the one answer for all nodes
Answers = dict[str, object]


class CheckFailedError(PySchedulerError, AssertionError):
    """A plugin breaks a promise; the message says which, for which pod and node."""


@dataclass(frozen=True)
class Subject:
    """A plugin and the samples it is checked with."""

    plugin: Plugin[Any]
    pods: Sequence[Pod]
    nodes: Sequence[Node]
    #: pods that are bound to ``nodes``
    existing: Sequence[Pod] = ()
    #: samples of whatever else the plugin looks at, by the resource its hints registered for;
    #: custom resources are there for its listers, too
    objects: Mapping[EventResource | str, Sequence[object]] = field(default_factory=dict)

    def snapshot(self) -> Snapshot:
        """The sample cluster."""
        return snapshot_of(self.nodes, self.existing)

    def made_for(self, snapshot: Snapshot) -> Plugin[Any]:
        """The plugin again, over ``snapshot``."""
        informers = FakeInformers()
        for resource, samples in self.objects.items():
            if isinstance(resource, EventResource):
                continue
            for number, sample in enumerate(samples):
                key = "" if _has_name(sample) else f"sample-{number}"
                informers.of(resource).put(sample, key=key)
        features = self.plugin.handle.features
        handle = fake_handle(snapshot, informers=informers, features=features)
        return type(self.plugin)(self.plugin.args, handle)

    def samples_of(self, resource: EventResource | str) -> Sequence[object]:
        """Those of ``objects``, read-only as a scheduler has them."""
        return [frozen(sample) for sample in self.objects.get(resource, ())]

    def answers(self) -> dict[str, Answers]:
        """Everything the plugin says about the sample cluster, by pod key."""
        snapshot = self.snapshot()
        plugin = self.made_for(snapshot)
        return {pod.key: answers_of(plugin, pod, snapshot.nodes) for pod in self.pods}

    def fail(self, what: str) -> CheckFailedError:
        """The failure, with the plugin's name."""
        return CheckFailedError(f"plugin {self.plugin.name}: {what}")


def _has_name(sample: object) -> bool:
    return hasattr(sample, "metadata") or (isinstance(sample, Mapping) and "metadata" in sample)


def answers_of(
    plugin: Plugin[Any], pod: Pod, nodes: NodeTable, *, prepared_on: NodeTable | None = None
) -> Answers:
    """Verdicts and scores of every form, by node name.

    PreFilter and PreScore see ``prepared_on`` if it is given, Filter and Score only ``nodes``.
    """
    answers: Answers = {}
    names = list(nodes.names)
    for form in filter_forms(plugin):
        statuses = filter_answers(plugin, pod, nodes, form, prepared_on=prepared_on)
        answers[f"filter, {form.value}"] = (
            statuses if isinstance(statuses, Status) else dict(zip(names, statuses, strict=True))
        )
    for form in score_forms(plugin):
        scores = score_answers(plugin, pod, nodes, form, prepared_on=prepared_on)
        pairs = None if scores is None else zip(*(s.tolist() for s in scores), strict=True)
        answers[f"score, {form.value}"] = (
            None if pairs is None else dict(zip(names, pairs, strict=True))
        )
    return answers
