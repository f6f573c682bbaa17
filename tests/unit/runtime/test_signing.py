"""Pods are of one class when all plugins sign them alike."""

from __future__ import annotations

from typing import Any

import pytest

from pyscheduler.api.core_v1 import Pod
from pyscheduler.clock import FakeClock
from pyscheduler.runtime.instrument import Instrument, PluginFault
from pyscheduler.runtime.signing import Signer, SignFn, Signing
from pyscheduler.telemetry.current_work import CurrentWork
from pyscheduler.testing import make_pod


def _signing(**signs: SignFn) -> Signing:
    """Of plugins with these names; those that end in ``spec`` sign the spec alone."""
    signers = [
        Signer(name, sign, signs_spec=name.endswith("spec"), skips_unsigned=True)
        for name, sign in signs.items()
    ]
    return Signing(signers, Instrument(CurrentWork(), FakeClock()))


def _labels(pod: Pod) -> tuple[Any, ...]:
    return (pod.labels,) if pod.labels else ()


def _priority(pod: Pod) -> tuple[Any, ...]:
    return (pod.priority,)


def test_pods_that_are_signed_alike_share_one_signature() -> None:
    signing = _signing(by_labels=_labels, by_spec=_priority)
    first, second = make_pod("a").label("app", "web"), make_pod("b").label("app", "web")

    assert signing.sign(first.obj()) is signing.sign(second.obj())


def test_pods_of_one_spec_that_are_signed_otherwise_do_not() -> None:
    signing = _signing(by_labels=_labels, by_spec=_priority)
    web, db = make_pod("a").label("app", "web").obj(), make_pod("b").label("app", "db").obj()

    signatures = [signing.sign(pod) for pod in (web, db, web)]

    assert signatures[0] == signatures[2] != signatures[1]


def test_pods_of_other_specs_do_not() -> None:
    signing = _signing(by_labels=_labels, by_spec=_priority)

    assert signing.sign(make_pod("a").obj()) != signing.sign(make_pod("b").priority(7).obj())


def test_a_pod_that_one_plugin_does_not_sign_is_like_no_other() -> None:
    signing = _signing(by_labels=lambda pod: _labels(pod) or None, by_spec=_priority)
    labelled = make_pod("a").label("app", "web").obj()

    assert signing.sign(labelled) is not None
    assert signing.sign(make_pod("b").obj()) is None
    assert signing.sign(labelled) is not None


def test_those_that_sign_nothing_of_a_pod_are_not_concerned() -> None:
    signing = _signing(by_labels=_labels, by_spec=lambda pod: ())
    plain = signing.sign(make_pod("a").obj())
    labelled = signing.sign(make_pod("b").label("app", "web").obj())

    assert plain is not None
    assert labelled is not None
    assert signing.unconcerned(plain) == {"by_labels", "by_spec"}
    assert signing.unconcerned(labelled) == {"by_spec"}


@pytest.mark.parametrize("guilty", ["by_labels", "by_spec"])
def test_what_cannot_be_a_key_is_its_plugins_fault_each_time(guilty: str) -> None:
    signs: dict[str, SignFn] = {"by_labels": _labels, "by_spec": _priority, "other_spec": _priority}
    signs[guilty] = lambda pod: ([],)
    signing = _signing(**signs)

    for name in ("a", "b"):
        with pytest.raises(PluginFault, match=guilty):
            signing.sign(make_pod(name).obj())
