"""Which events may help a pod that InterPodAffinity rejected.

The rules are kube-scheduler's with what they miss, so that the same pods wake there and here. A
``namespaceSelector`` is held against a namespace without labels, hence one that asks for a label
selects none; nobody notices that the waiting pod became the first of its group when the last of the
others left; and a node that joins wakes no pod that only the anti-affinity of others keeps out.
Such a pod waits for another event or for the five-minute flush.

Called by: ``plugin``. Source: kube-scheduler 1.37, ``plugins/interpodaffinity/plugin.go``.
"""

from __future__ import annotations

from collections.abc import Iterable

from pyscheduler import framework as fwk
from pyscheduler.api.core_v1 import Node, Pod
from pyscheduler.intree.inter_pod_affinity.terms import Term, terms_of

_QUEUE, _SKIP = fwk.QueueingHint.QUEUE, fwk.QueueingHint.SKIP


def after_pod_change(pod: Pod, old: object, new: object) -> fwk.QueueingHint:
    """QUEUE when a placed pod came to be near, went away, or changed its labels to that effect."""
    before = old if isinstance(old, Pod) else None
    after = new if isinstance(new, Pod) else None
    if any(other is not None and not _is_placed(other) for other in (before, after)):
        return _SKIP
    terms = terms_of(pod)
    if not (terms.can_read_affinity and terms.can_read_anti_affinity):
        return _QUEUE
    if before is None:
        helps = after is not None and _all_mean(terms.affinity, after)
    elif after is None:
        helps = _any_means(terms.anti_affinity, before) or _kept_out(pod, before)
    else:
        comes_near = not _all_mean(terms.affinity, before) and _all_mean(terms.affinity, after)
        goes_away = _any_means(terms.anti_affinity, before) and not _any_means(
            terms.anti_affinity, after
        )
        helps = comes_near or goes_away
    return _QUEUE if helps else _SKIP


def after_node_change(pod: Pod, old: object, new: object) -> fwk.QueueingHint:
    """QUEUE when a node joined a domain that matters, or left one that kept the pod out."""
    if not isinstance(new, Node):
        return _SKIP
    terms = terms_of(pod)
    if not (terms.can_read_affinity and terms.can_read_anti_affinity):
        return _QUEUE
    if not isinstance(old, Node):
        # a node that joins may be the one without any pod to keep away from
        helps = bool(terms.anti_affinity) or any(
            term.topology_key in new.labels for term in terms.affinity
        )
        return _QUEUE if helps else _SKIP
    joins = any(_gets_another(t.topology_key, old, new) for t in terms.affinity)
    leaves = any(_gets_another(t.topology_key, new, old) for t in terms.anti_affinity)
    return _QUEUE if joins or leaves else _SKIP


def _gets_another(key: str, before: Node, after: Node) -> bool:
    """True when ``after`` is in a domain of ``key``, and ``before`` in another or in none."""
    value = after.labels.get(key)
    return value is not None and value != before.labels.get(key)


def _is_placed(pod: Pod) -> bool:
    return bool(pod.spec.node_name or pod.status.nominated_node_name)


def _all_mean(terms: tuple[Term, ...], pod: Pod) -> bool:
    return bool(terms) and all(term.matches(pod) for term in terms)


def _any_means(terms: Iterable[Term], pod: Pod) -> bool:
    return any(term.matches(pod) for term in terms)


def _kept_out(pod: Pod, gone: Pod) -> bool:
    """True when the anti-affinity of ``gone`` was against ``pod``, as far as it can be read."""
    terms = terms_of(gone)
    return not terms.can_read_anti_affinity or _any_means(terms.anti_affinity, pod)
