from pyscheduler.api.interner import MAX_KEY_BYTES, Generations, Interner, Table


def test_equal_bytes_are_decoded_once() -> None:
    calls = []

    def decode(raw: bytes) -> bytes:
        calls.append(raw)
        return raw.upper()

    table = Table(decode, limit=10)
    assert table.get(b"a") is table.get(b"a")
    assert calls == [b"a"]


def test_different_bytes_of_equal_value_share_the_value() -> None:
    table = Table(lambda raw: tuple(raw.split()), limit=10)
    assert table.get(b"a b") is table.get(b"a  b")


def test_long_bytes_are_shared_by_value_and_not_kept() -> None:
    table: Table[bytes] = Table(bytes.strip, limit=10)
    raw = b"a" + b" " * MAX_KEY_BYTES
    assert table.get(raw) is table.get(raw + b" ")
    assert len(table) == 1


def test_entries_stay_within_two_generations() -> None:
    known: Generations[int, str] = Generations(limit=10)
    for number in range(1000):
        known.put(number, str(number))
    assert len(known) <= 20
    assert known.get(999) == "999"
    assert known.get(0) is None


def test_what_is_in_use_survives_what_is_not() -> None:
    known: Generations[str, str] = Generations(limit=10)
    known.put("used", "kept")
    for number in range(1000):
        known.put(str(number), "x")
        assert known.get("used") == "kept"


def test_tables_are_made_once_by_name() -> None:
    interner = Interner()
    table = interner.table("a", bytes.upper)
    assert interner.table("a", bytes.lower) is table
    table.get(b"x")
    assert len(interner) == 2


def split(raw: bytes) -> tuple[bytes, ...]:
    return tuple(raw.split())


def test_what_nobody_refers_to_any_more_is_forgotten() -> None:
    table = Table(split, limit=10_000)
    used = [table.get(b"used %d" % number) for number in range(10)]
    for number in range(1000):
        table.get(b"x %d" % number)
        table.get(b"x  %d" % number)

    table.compact()
    assert len(table) == 2 * len(used)
    assert all(table.get(b"used %d" % number) is value for number, value in enumerate(used))


def test_used_values_that_are_known_by_value_alone_are_kept() -> None:
    table = Table(split, limit=10_000)
    used = table.share(split(b"a b"))
    table.share(split(b"c d"))

    table.compact()
    assert len(table) == 1
    assert table.get(b"a b") is used


def test_a_table_of_what_comes_and_goes_stays_small_by_itself() -> None:
    table = Table(split, limit=1_000_000)
    used = [table.get(b"used %d" % number) for number in range(100)]
    largest = 0
    for number in range(20_000):
        table.get(b"x %d" % number)
        largest = max(largest, len(table))

    assert largest < 5 * 2 * len(used)
