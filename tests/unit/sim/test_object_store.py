from __future__ import annotations

import pytest

from pyscheduler.sim.object_store import Buffer, Compacted, Event, ObjectStore


def put(store: ObjectStore, key: str, **data: object) -> None:
    store.put("things", key, {"metadata": {"name": key}, **data})


def test_versions_rise_over_all_collections() -> None:
    store = ObjectStore()

    first = store.put("things", "a", {"metadata": {}})
    second = store.put("others", "a", {"metadata": {}})

    assert second.version == first.version + 1 == store.version
    assert second.data["metadata"]["resourceVersion"] == str(second.version)
    assert b'"resourceVersion":"%d"' % second.version in second.raw


def test_a_past_state_is_told_from_the_window() -> None:
    store = ObjectStore()
    put(store, "a", value=1)
    put(store, "b", value=1)
    then = store.version
    put(store, "a", value=2)
    store.delete("things", "b")
    put(store, "c", value=1)

    state = store.collection("things").at(then)

    assert {key: stored.data["value"] for key, stored in state.items()} == {"a": 1, "b": 1}


def test_events_since_a_version_are_those_after_it() -> None:
    store = ObjectStore()
    put(store, "a")
    then = store.version
    put(store, "a", value=2)
    store.delete("things", "a")

    events = store.collection("things").since(then)

    assert [event.type for event in events] == ["MODIFIED", "DELETED"]
    assert events[1].version == store.version
    assert events[1].line.startswith(b'{"type":"DELETED","object":{"metadata":')


def test_the_window_forgets_the_oldest_events() -> None:
    store = ObjectStore(window=2)
    for key in "abcd":
        put(store, key)

    collection = store.collection("things")

    assert len(collection.since(store.version - 2)) == 2
    with pytest.raises(Compacted, match=r"too old resource version: 2 \(3\)"):
        collection.since(2)


def test_compaction_refuses_all_before_now() -> None:
    store = ObjectStore()
    put(store, "a")
    then = store.version
    put(store, "b")

    store.compact()

    assert store.collection("things").since(store.version) == []
    with pytest.raises(Compacted):
        store.collection("things").at(then)


def test_listeners_hear_until_they_stop() -> None:
    store = ObjectStore()
    heard: list[Event] = []
    stop = store.collection("things").listen(heard.append)

    put(store, "a")
    stop()
    put(store, "b")

    assert [event.object.key for event in heard] == ["a"]


async def test_a_buffer_gives_what_gathered_then_ends() -> None:
    buffer = Buffer(limit=10)
    buffer.push(b"one\n")
    buffer.push(b"two\n")
    buffer.close()

    assert await buffer.read() == b"one\ntwo\n"
    assert await buffer.read() == b""


async def test_a_buffer_that_overflows_ends_at_once() -> None:
    buffer = Buffer(limit=2)
    for _ in range(3):
        buffer.push(b"line\n")

    assert await buffer.read() == b""
