from __future__ import annotations

from pyscheduler.cache.change_log import CHANGES_KEPT
from pyscheduler.runtime.class_cache import ClassCache, ClassEntry


def entry(position: int) -> ClassEntry:
    made = ClassEntry(16)
    made.position = position
    return made


def test_classes_that_came_and_went_leave_nothing_behind() -> None:
    classes = ClassCache()
    largest = 0
    for number in range(2000):
        classes.put((number,), entry(number * 1000))
        largest = max(largest, len(classes))

    assert largest < 100
    assert classes.get((1999,)) is not None


def test_a_class_that_is_up_to_date_stays_among_those_that_are_not() -> None:
    classes = ClassCache()
    used = entry(0)
    classes.put(("used",), used)
    for number in range(2000):
        used.position = number * 1000
        classes.put((number,), entry(number * 1000))

    assert classes.get(("used",)) is used


def test_classes_within_reach_of_the_change_log_stay() -> None:
    classes = ClassCache()
    for number in range(500):
        classes.put((number,), entry(CHANGES_KEPT + number))

    assert len(classes) == 500


def test_the_least_recently_used_are_forgotten_when_memory_is_used_up() -> None:
    size = entry(0).nbytes
    classes = ClassCache(max_bytes=3 * size)
    for name in "abc":
        classes.put((name,), entry(0))
    classes.get(("a",))

    classes.put(("d",), entry(0))
    classes.put(("d",), entry(0))

    assert [classes.get((name,)) is not None for name in "abcd"] == [True, False, True, True]


def test_what_was_dropped_makes_room() -> None:
    size = entry(0).nbytes
    classes = ClassCache(max_bytes=2 * size)
    for name in "ab":
        classes.put((name,), entry(0))
    classes.drop(("a",))
    classes.drop(("a",))

    classes.put(("c",), entry(0))

    assert len(classes) == 2


def test_an_entry_beyond_the_bound_is_not_kept() -> None:
    classes = ClassCache(max_bytes=entry(0).nbytes - 1)

    classes.put(("a",), entry(0))

    assert len(classes) == 0
