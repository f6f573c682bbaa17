"""A catalogue of made-up plugins, some under names that kube-scheduler has too."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Final

from pydantic import BaseModel, Field

from pyscheduler.errors import PySchedulerError
from pyscheduler.framework.args import Args


class Shape(Args):
    utilization: int = Field(ge=0, le=100)


class FitArgs(Args):
    ignored_resources: tuple[str, ...] = ()
    shape: tuple[Shape, ...] = ()


class NeedyArgs(Args):
    url: str


class Catalogue:
    """Five in-tree plugins, some of others, and one more in the file ``good.py``."""

    _REFERENCES: Final = {"made.up:Heat": "NodeHeat"}
    _PLUGINS: Final[dict[str, set[str]]] = {
        "SchedulingGates": {"preEnqueue"},
        "PrioritySort": {"queueSort"},
        "TaintToleration": {"filter", "preScore", "score"},
        "NodeResourcesFit": {"preFilter", "filter", "score"},
        "DefaultBinder": {"bind"},
        "NodeHeat": {"filter", "score"},
        "Needy": {"filter"},
        "OtherSort": {"queueSort"},
    }

    def __init__(self) -> None:
        self.files: list[Path] = []
        self._plugins = dict(self._PLUGINS)

    def names(self) -> Sequence[str]:
        return list(self._plugins)

    def default_plugins(self) -> Sequence[tuple[str, int]]:
        return [
            ("SchedulingGates", 0),
            ("PrioritySort", 0),
            ("TaintToleration", 3),
            ("NodeResourcesFit", 1),
            ("DefaultBinder", 0),
        ]

    def args_model(self, name: str) -> type[BaseModel] | None:
        assert name in self._plugins
        models: dict[str, type[BaseModel]] = {"NodeResourcesFit": FitArgs, "Needy": NeedyArgs}
        return models.get(name)

    def points(self, name: str) -> Collection[str] | None:
        if name.startswith("broken:"):
            raise PySchedulerError(f'plugin "{name}" cannot be imported: no module named broken')
        return self._plugins.get(self._REFERENCES.get(name, name))

    def name_of(self, reference: str) -> str:
        return self._REFERENCES.get(reference, reference)

    def add_files(self, path: Path) -> Collection[str]:
        if path.stem != "good":
            raise PySchedulerError(f"{path}, line 3: SyntaxError\n{path}, line 7: is no plugin")
        self.files.append(path)
        self._plugins["FromFile"] = {"filter"}
        return ["FromFile"]
