from __future__ import annotations

from dataclasses import replace

from pyscheduler import framework as fwk
from pyscheduler.testing import fake_handle

KEY = fwk.StateKey[list[int]]("Test.numbers")
OTHER = fwk.StateKey[list[int]]("Test.other")


def test_whoever_asks_first_makes_it_for_all() -> None:
    handle = fake_handle()
    of_another_profile = replace(handle)

    first = handle.shared.of(KEY, lambda: [1])

    assert of_another_profile.shared.of(KEY, lambda: [2]) is first
    assert handle.shared.of(OTHER, lambda: [3]) == [3]


def test_schedulers_share_nothing() -> None:
    fake_handle().shared.of(KEY, lambda: [1])

    assert fake_handle().shared.of(KEY, lambda: [2]) == [2]
