"""Kinds of pods are found by label, and forgotten with their last pod."""

from __future__ import annotations

from pyscheduler import framework as fwk
from pyscheduler.api.frozen_map import FrozenMap
from pyscheduler.api.selectors import EVERYTHING, labels_selector
from pyscheduler.cache import SchedulerCache, Snapshot
from pyscheduler.cache.pod_kinds import KINDS, KindIndex, PodKind, kind_of
from pyscheduler.testing import make_node, make_pod

WEB = make_pod("web").label("app", "web").node("n").obj()
WEB_TWIN = make_pod("twin").label("app", "web").node("n").obj()
DB = make_pod("db").label("app", "db").node("n").obj()
OF_WEB = fwk.PodMatcher([fwk.PodTerm(None, labels_selector(FrozenMap({"app": "web"})))])
OF_ALL = fwk.PodMatcher([fwk.PodTerm(None, EVERYTHING)])


def test_only_kinds_that_have_what_a_matcher_names_are_candidates_for_it() -> None:
    cache = SchedulerCache()
    cache.add_node(make_node("n").obj())
    for pod in (WEB, WEB_TWIN, DB):
        cache.add_pod(pod)
    snapshot, index = Snapshot(cache), KindIndex()

    def candidates(matcher: fwk.PodMatcher) -> set[PodKind]:
        snapshot.refresh()
        found = index.candidates(matcher, snapshot.nodes.tally(KINDS))
        return {kind for kind in found if isinstance(kind, PodKind)}

    assert candidates(OF_WEB) == {kind_of(WEB)}
    assert candidates(OF_ALL) == {kind_of(WEB), kind_of(DB)}
    cache.remove_pod(WEB)
    assert candidates(OF_WEB) == {kind_of(WEB_TWIN)}
    cache.remove_pod(WEB_TWIN)
    assert candidates(OF_WEB) == set()
