"""Makes a difference small: drops objects and fields for as long as the difference stays.

    python -m tests.parity.shrink bench-results/parity/differences/s1w7-alpha-p3.json

The result, with the oracle's answer, goes to ``tests/parity/cases/shrunk``, where the test command
replays it from then on without any control plane. Give it a name that says what it is about.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import yaml

from tests.controlplane.api_client import ApiError
from tests.parity import worlds
from tests.parity.explained import unexplained
from tests.parity.rig import Rig
from tests.parity.worlds import Case, Incoming, Manifest, World, duplicate, reference_of

CASES = Path(__file__).parent / "cases" / "shrunk"

#: Whether a case still shows the difference.
Claim = Callable[[Case], Awaitable[bool]]

#: Never dropped: without them an object is none, or somebody else would complete it.
_KEPT = (
    "apiVersion",
    "kind",
    "name",
    "namespace",
    "containers",
    "image",
    "conditions",
    "allocatable",
    "nodeName",
    "schedulerName",
)


async def shrink(case: Case, still_differs: Claim) -> Case:
    """The smallest case found that still differs; the claim holds for the one given."""
    while True:
        smaller = await _once(case, still_differs)
        if smaller is case:
            return case
        case = smaller


async def _once(case: Case, still_differs: Claim) -> Case:
    """One round: halves of the objects, then single ones, then fields of what is left."""
    objects = list(case.world.objects)
    size = max(len(objects) // 2, 1)
    while size:
        start = 0
        while start < len(objects):
            fewer = objects[:start] + objects[start + size :]
            attempt = _with(case, objects=fewer)
            if await still_differs(attempt):
                case, objects = attempt, fewer
            else:
                start += size
        size //= 2
    for number in reversed(range(len(case.world.nominated))):
        fewer = [*case.world.nominated[:number], *case.world.nominated[number + 1 :]]
        attempt = _with(case, nominated=fewer)
        if await still_differs(attempt):
            case = attempt
    case = await _fewer_around_the_pod(case, still_differs)
    return await _fewer_fields(case, still_differs)


async def _fewer_around_the_pod(case: Case, still_differs: Claim) -> Case:
    """Without the event, and without companions, where they do not matter."""
    incoming = case.incoming
    attempts = [replace(incoming, event=None)] if incoming.event else []
    attempts += [
        replace(incoming, companions=[one for one in incoming.companions if one is not dropped])
        for dropped in incoming.companions
    ]
    for fewer in attempts:
        attempt = _with(case, incoming=fewer)
        if await still_differs(attempt):
            return await _fewer_around_the_pod(attempt, still_differs)
    return case


async def _fewer_fields(case: Case, still_differs: Claim) -> Case:
    for position in range(len(_parts(case))):
        tried: set[tuple[Any, ...]] = set()
        while True:
            part = _parts(case)[position]
            path = next((p for p in _paths(part) if p not in tried), None)
            if path is None:
                break
            tried.add(path)
            attempt = _with_part(case, position, _without(part, path))
            if await still_differs(attempt):
                case = attempt
    return case


def _parts(case: Case) -> list[Manifest]:
    """The incoming pod, its companions, and the objects of the world."""
    return [case.incoming.pod, *case.incoming.companions, *case.world.objects]


def _with_part(case: Case, position: int, manifest: Manifest) -> Case:
    parts = _parts(case)
    parts[position] = manifest
    pod, *others = parts
    count = len(case.incoming.companions)
    incoming = replace(case.incoming, pod=pod, companions=others[:count])
    return _with(case, incoming=incoming, objects=others[count:])


def _is_whole(case: Case) -> bool:
    """Whether what the event is about is there to change or to leave."""
    event = case.incoming.event
    return (
        event is None
        or event.verb == "create"
        or reference_of(event.manifest) in map(reference_of, _parts(case))
    )


def _with(
    case: Case,
    *,
    objects: Sequence[Manifest] | None = None,
    nominated: Sequence[Manifest] | None = None,
    incoming: Incoming | None = None,
) -> Case:
    one = incoming or case.incoming
    world = World(
        case.world.name,
        case.world.objects if objects is None else objects,
        (one,),
        case.world.nominated if nominated is None else nominated,
    )
    return Case(case.name, world, one)


def _paths(value: Any, prefix: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Where something could be dropped, outermost first."""
    entries: Iterator[tuple[Any, Any]] | list[tuple[Any, Any]] = []
    if isinstance(value, dict):
        entries = list(value.items())
    elif isinstance(value, list):
        entries = list(enumerate(value))
    for key, _ in entries:
        if key not in _KEPT and key not in ("metadata", "spec"):
            yield (*prefix, key)
    for key, inner in entries:
        yield from _paths(inner, (*prefix, key))


def _without(manifest: Manifest, path: tuple[Any, ...]) -> Manifest:
    smaller = duplicate(manifest)
    *way, last = path
    inner: Any = smaller
    for key in way:
        inner = inner[key]
    del inner[last]
    return smaller


async def _shrink_on_the_rig(path: Path) -> tuple[Case, dict[str, Any]]:
    (case,) = worlds.from_data(worlds.load(path)["world"]).cases()
    answer: dict[str, Any] = {}
    async with Rig.start() as rig:

        async def still_differs(attempt: Case) -> bool:
            if not _is_whole(attempt):
                return False
            try:
                judged = await rig.judge_alone(attempt)
            except (ApiError, ExceptionGroup):
                return False  # the API server does not take it
            if not unexplained(attempt, judged.found):
                return False
            answer.update(theirs=judged.theirs.to_data(), ours=judged.ours.to_data())
            sys.stderr.write(".")
            return True

        if not await still_differs(case):
            raise SystemExit(f"{case.name}: no difference any more")
        return await shrink(case, still_differs), answer


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description="a difference made small")
    parser.add_argument("difference", type=Path)
    parser.add_argument("--name", default="", help="of the case; the difference's own if not given")
    options = parser.parse_args()
    case, answer = asyncio.run(_shrink_on_the_rig(options.difference))
    name = options.name or options.difference.stem
    CASES.mkdir(parents=True, exist_ok=True)
    data = {"world": worlds.to_data(case.world), "answers": [answer["theirs"]]}
    text = yaml.safe_dump(data, sort_keys=False, width=100)
    (CASES / f"{name}.yaml").write_text(text)
    sys.stdout.write(f"\n{text}\nours: {answer['ours']}\n")


if __name__ == "__main__":
    main()
