"""Reads a flame graph again: which function was on the processor, and which had it below itself.

py-spy writes one SVG and no figures. In it every frame says where it begins and how wide it is, in
samples (`fg:x`, `fg:w`), and how deep it lies (`y`); that is all there was to know.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree as ET

_SVG = "{http://www.w3.org/2000/svg}"
_INFERNO = "{http://github.com/jonhoo/inferno}"


@dataclass(frozen=True, slots=True)
class Frame:
    """A function called from one place of the stack; `samples` begin at sample `begin`."""

    name: str
    depth: int
    begin: int
    samples: int

    @property
    def end(self) -> int:
        return self.begin + self.samples


@dataclass(frozen=True, slots=True)
class Costs:
    """Samples by function.

    Attributes:
        own: of those in which it was on top of the stack.
        total: of those in which it was on the stack.
        samples: all there are.
    """

    own: Counter[str]
    total: Counter[str]
    samples: int


def read(graph: Path) -> list[Frame]:
    """Returns the frames of a flame graph that py-spy wrote, outermost first.

    Raises:
        ValueError: it is none.
    """
    placed: list[tuple[float, str, int, int]] = []
    for group in ET.parse(graph).iter(f"{_SVG}g"):  # our own file
        title, box = group.findtext(f"{_SVG}title"), group.find(f"{_SVG}rect")
        if title is None or box is None or f"{_INFERNO}w" not in box.attrib:
            continue
        name = title.rpartition(" (")[0]  # without the number of samples
        begin, samples = int(box.attrib[f"{_INFERNO}x"]), int(box.attrib[f"{_INFERNO}w"])
        placed.append((float(box.attrib["y"]), name, begin, samples))
    if not placed:
        raise ValueError(f"{graph} holds no frames")
    depths = {y: depth for depth, y in enumerate(sorted({y for y, *_ in placed}))}
    found = [Frame(name, depths[y], begin, samples) for y, name, begin, samples in placed]
    return sorted(found, key=lambda frame: (frame.depth, frame.begin))


def beneath(frames: Sequence[Frame], name: str) -> list[Frame]:
    """Returns the frames whose name begins so, outermost ones only, with all above them."""
    roots: list[Frame] = []
    found = []
    for frame in sorted(frames, key=lambda frame: frame.depth):
        if any(root.begin <= frame.begin < root.end for root in roots):
            found.append(frame)
        elif frame.name.startswith(name):
            roots.append(frame)
            found.append(frame)
    return found


def costs(frames: Sequence[Frame]) -> Costs:
    """Returns what each function had; one that calls itself is counted once a stack."""
    own: Counter[str] = Counter()
    total: Counter[str] = Counter()
    below: Counter[tuple[int, int]] = Counter()  # depth, begin -> samples of the frames above it
    open_frames: list[Frame] = []
    for frame in sorted(frames, key=lambda frame: (frame.begin, frame.depth)):
        while open_frames and open_frames[-1].depth >= frame.depth:
            open_frames.pop()
        if open_frames:
            below[open_frames[-1].depth, open_frames[-1].begin] += frame.samples
        if all(outer.name != frame.name for outer in open_frames):
            total[frame.name] += frame.samples
        open_frames.append(frame)
    for frame in frames:
        own[frame.name] += frame.samples - below[frame.depth, frame.begin]
    return Costs(+own, total, own.total())
