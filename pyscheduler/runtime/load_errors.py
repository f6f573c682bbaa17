"""Why a plugin cannot be loaded, and where: what the user must read to mend it.

Importing a plugin runs foreign code, whose exception may come from anywhere. What helps is the line
of the plugin's own file that led there, so that is what a `LoadProblem` names.

Made by: ``registry``, ``plugin_files``. Read by: the command line and the configuration's checks.
"""

from __future__ import annotations

import traceback
from collections.abc import Callable
from dataclasses import dataclass

from pyscheduler.errors import PySchedulerError

#: modules whose frames lie between us and the imported file
_IMPORT_SYSTEM = ("importlib", "_frozen_importlib")
#: ours that run an author's code or are called by it
_OURS = ("pyscheduler.runtime.", "pyscheduler.framework.")


@dataclass(frozen=True, slots=True)
class Place:
    """A line of a file."""

    file: str
    line: int | None = None

    def __str__(self) -> str:
        return self.file if self.line is None else f"{self.file}:{self.line}"


@dataclass(frozen=True, slots=True)
class LoadProblem:
    """One plugin, or one file of plugins, that cannot be used."""

    reason: str
    #: as the user refers to it; empty for a file that did not come so far as to have a plugin
    plugin: str = ""
    #: whence it was to come: ``module:Class from package 1.0``, or the file
    source: str = ""
    #: the line to look at, where one is known
    place: Place | None = None

    def __str__(self) -> str:
        if not self.source:
            return f"plugin {self.plugin}: {self.reason}"
        if self.place is not None and self.place.file == self.source:
            who = f"plugin {self.plugin}: " if self.plugin else ""
            return f"{self.place}: {who}{self.reason}"
        origin = "" if self.source == self.plugin else f" ({self.source})"
        where = "" if self.place is None else f", at {self.place}"
        return f"plugin {self.plugin}{origin}: {self.reason}{where}"


class PluginLoadError(PySchedulerError):
    """Plugins that cannot be loaded: one line each, naming plugin, place and reason."""

    def __init__(self, *problems: LoadProblem) -> None:
        self.problems = problems
        super().__init__("\n".join(map(str, problems)))


def reason_of(error: BaseException) -> str:
    """The exception in one line."""
    text = error.msg if isinstance(error, SyntaxError) else str(error)
    return f"{type(error).__name__}: {' '.join(text.split())}".removesuffix(": ")


def place_in(error: BaseException, *, is_ours: Callable[[str], bool]) -> Place | None:
    """The deepest line of a file that ``is_ours`` on the way to the exception."""
    if isinstance(error, SyntaxError) and error.filename and is_ours(error.filename):
        return Place(error.filename, error.lineno)
    found = [
        Place(frame.f_code.co_filename, line)
        for frame, line in traceback.walk_tb(error.__traceback__)
        if is_ours(frame.f_code.co_filename)
    ]
    return found[-1] if found else None


def place_in_package(error: BaseException) -> Place | None:
    """The deepest line of the package that was being imported or called."""
    frames = [
        (frame.f_globals.get("__name__", ""), Place(frame.f_code.co_filename, line))
        for frame, line in traceback.walk_tb(error.__traceback__)
    ]
    foreign = [(_top(module), place) for module, place in frames if not _is_between(module)]
    if isinstance(error, SyntaxError) and error.filename and not foreign:
        return Place(error.filename, error.lineno)
    own = [place for package, place in foreign if package == foreign[0][0]]
    return own[-1] if own else None


def _top(module: str) -> str:
    return module.partition(".")[0]


def _is_between(module: str) -> bool:
    return _top(module) in _IMPORT_SYSTEM or module.startswith(_OURS)
