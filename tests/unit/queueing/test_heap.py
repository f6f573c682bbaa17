from __future__ import annotations

import random

import pytest

from pyscheduler.queueing.heap import KeyedHeap


def test_gives_the_lowest_key_first_and_equals_in_order_of_arrival() -> None:
    heap: KeyedHeap[str] = KeyedHeap()
    for uid, key in [("a", 2), ("b", 1), ("c", 2), ("d", 1)]:
        heap.push(uid, (key,), uid)
    assert heap.in_order() == ["b", "d", "a", "c"]
    assert [heap.pop() for _ in range(5)] == ["b", "d", "a", "c", None]


def test_push_replaces_the_item_of_the_same_uid() -> None:
    heap: KeyedHeap[str] = KeyedHeap()
    heap.push("a", (1,), "old")
    heap.push("b", (2,), "b")
    heap.push("a", (3,), "new")
    assert len(heap) == 2
    assert heap.get("a") == "new"
    assert [heap.pop(), heap.pop(), heap.pop()] == ["b", "new", None]


def test_a_removed_item_is_neither_seen_nor_popped() -> None:
    heap: KeyedHeap[str] = KeyedHeap()
    heap.push("a", (1,), "a")
    heap.push("b", (2,), "b")
    assert heap.remove("a") == "a"
    assert heap.remove("a") is None
    assert "a" not in heap
    assert heap.peek() == "b"


def test_items_need_no_order_of_their_own() -> None:
    heap: KeyedHeap[object] = KeyedHeap()
    heap.push("a", (1,), object())
    heap.push("b", (1,), object())
    heap.validate()


def test_stale_entries_stay_bounded() -> None:
    heap: KeyedHeap[int] = KeyedHeap()
    for i in range(1000):
        heap.push("a", (i,), i)
        heap.validate()
    assert heap.pop() == 999


def test_agrees_with_sorting_under_random_use() -> None:
    rng = random.Random(4)
    heap: KeyedHeap[str] = KeyedHeap()
    expected: dict[str, int] = {}
    for i in range(500):
        uid = f"u{rng.randrange(60)}"
        if rng.random() < 0.3:
            assert heap.remove(uid) == (uid if expected.pop(uid, None) is not None else None)
        else:
            expected[uid] = rng.randrange(1000) * 1000 + i
            heap.push(uid, (expected[uid],), uid)
    heap.validate()
    popped = [heap.pop() for _ in range(len(heap))]
    assert popped == sorted(expected, key=expected.__getitem__)


@pytest.mark.parametrize("jitter", [0, 3, 1000], ids=["in order", "nearly in order", "in no order"])
def test_agrees_with_sorting_while_items_come_and_go(jitter: int) -> None:
    rng = random.Random(7)
    heap: KeyedHeap[int] = KeyedHeap()
    plain: dict[str, tuple[int, int]] = {}
    for i in range(600):
        uid = f"u{rng.randrange(60)}"
        if rng.random() < 0.4:
            first = min(plain, key=plain.__getitem__, default=None)
            assert heap.pop() == (None if first is None else plain.pop(first)[1])
        elif rng.random() < 0.2:
            assert (heap.remove(uid) is None) is (plain.pop(uid, None) is None)
        else:
            plain[uid] = (i + rng.randrange(jitter + 1), i)
            heap.push(uid, plain[uid][:1], i)
        heap.validate()
        assert heap.in_order() == [item for _, item in sorted(plain.values())]


class Counted(int):
    """A number that counts how often it is compared."""

    comparisons = 0

    def __lt__(self, other: int) -> bool:
        Counted.comparisons += 1
        return int(self) < int(other)


def test_what_comes_in_order_leaves_without_a_search() -> None:
    heap: KeyedHeap[int] = KeyedHeap()
    for i in range(1000):
        heap.push(f"u{i}", (Counted(i),), i)
    Counted.comparisons = 0
    assert [heap.pop() for _ in range(1000)] == list(range(1000))
    assert Counted.comparisons == 0
