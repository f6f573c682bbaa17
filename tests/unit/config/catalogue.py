"""A catalogue of made-up plugins, some under names that kube-scheduler has too."""

from __future__ import annotations

from collections.abc import Collection, Sequence
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
    """Five in-tree plugins and some of others."""

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

    def names(self) -> Sequence[str]:
        return list(self._PLUGINS)

    def default_plugins(self) -> Sequence[tuple[str, int]]:
        return [
            ("SchedulingGates", 0),
            ("PrioritySort", 0),
            ("TaintToleration", 3),
            ("NodeResourcesFit", 1),
            ("DefaultBinder", 0),
        ]

    def args_model(self, name: str) -> type[BaseModel] | None:
        assert name in self._PLUGINS
        models: dict[str, type[BaseModel]] = {"NodeResourcesFit": FitArgs, "Needy": NeedyArgs}
        return models.get(name)

    def points(self, name: str) -> Collection[str] | None:
        if name.startswith("broken:"):
            raise PySchedulerError(f'plugin "{name}" cannot be imported: no module named broken')
        return self._PLUGINS.get(name)
