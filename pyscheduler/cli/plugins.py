"""``pyscheduler plugins``: what plugins there are, where they are from, what they can be told."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from pyscheduler.cli.plugin_listing import Row

#: between two columns, as kubectl leaves it
_GAP = "   "
#: On a terminal: columns at the beginning that are never cut, and how far others may be.
_KEPT, _NARROWEST = 2, 8
_COLUMNS = ("NAME", "STATUS", "POINTS", "SOURCE", "ARGS", "DOCS")
#: The lines of the arguments come last, where their length moves nothing.
_WIDE_COLUMNS = ("NAME", "STATUS", "POINTS", "SOURCE", "DOCS", "ARGS")


@click.group("plugins", short_help="Show the plugins there are.")
def command() -> None:
    """Show the plugins there are."""


@command.command("list", short_help="List all plugins with points, source, arguments, docs.")
@click.option(
    "--config",
    "config_file",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="A KubeSchedulerConfiguration, whose plugins (pluginFiles, module:Class) are listed too.",
)
@click.option(
    "-o",
    "--output",
    type=click.Choice(["wide", "json", "yaml"]),
    help="wide: nothing cut, and a line for each argument. json, yaml: everything, for programs.",
)
def list_plugins(config_file: Path | None, output: str | None) -> int:
    """List all plugins: those that come with the scheduler, then those of others.

    STATUS says whether a plugin is ready, not there yet (a pod that needs it waits), or broken;
    then the command says why and exits with status 1.
    """
    # Imported here: the command's help needs none of it.
    from pyscheduler.app.assembly import in_tree_registry
    from pyscheduler.cli.plugin_listing import add_configured, list_rows
    from pyscheduler.runtime.load_errors import PluginLoadError

    registry = in_tree_registry()
    problems = [] if config_file is None else add_configured(registry, config_file)
    rows, problems = list_rows(registry, problems)
    click.echo(_rendered(rows, output))
    if problems:
        raise PluginLoadError(*problems)
    return 0


def _rendered(rows: Sequence[Row], output: str | None) -> str:
    if output == "json":
        return json.dumps(_document(rows), indent=2)
    if output == "yaml":
        import yaml

        return yaml.safe_dump(_document(rows), sort_keys=False, allow_unicode=True).rstrip()
    if output == "wide":
        return "\n".join(aligned([_WIDE_COLUMNS, *_wide_lines(rows)]))
    table = [(*_beginning(row), row.args_kind or "-", row.docs or "-") for row in rows]
    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else None
    return "\n".join(aligned([_COLUMNS, *table], width=width))


def _wide_lines(rows: Sequence[Row]) -> Iterator[tuple[str, ...]]:
    """A line for the plugin and its first argument, one for each further argument."""
    for row in rows:
        first, *others = map(str, row.args or ("-",))
        yield (*_beginning(row), row.docs or "-", first)
        for other in others:
            yield ("", "", "", "", "", other)


def _beginning(row: Row) -> tuple[str, str, str, str]:
    return (row.name, row.status, ",".join(row.points) or "-", row.source or "in-tree")


def aligned(table: Sequence[Sequence[str]], *, width: int | None = None) -> list[str]:
    """Lines whose columns begin below one another.

    Args:
        table: rows of cells, the title first.
        width: that the lines shall have at most: the widest columns give way first, but never the
            first two (names and states), nor any below `_NARROWEST`.
    """
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    while width is not None and sum(widths) + len(_GAP) * (len(widths) - 1) > width:
        widest = max(range(_KEPT, len(widths)), key=widths.__getitem__, default=0)
        if widths[widest] <= _NARROWEST or widest < _KEPT:
            break
        widths[widest] -= 1
    return [
        _GAP.join(
            _cut(cell, size).ljust(size) for cell, size in zip(row, widths, strict=True)
        ).rstrip()
        for row in table
    ]


def _cut(cell: str, size: int) -> str:
    return cell if len(cell) <= size else f"{cell[: size - 1]}…"


def _document(rows: Sequence[Row]) -> list[dict[str, object]]:
    """The rows as JSON and YAML have them; a broken plugin has a reason in place of docs."""
    document = []
    for row in rows:
        is_broken = row.status == "broken"
        entry: dict[str, object] = {
            "name": row.name,
            "status": str(row.status),
            "points": list(row.points),
            "source": {"kind": row.source_kind or None, "where": row.source or None},
            "args": None,
            "reason" if is_broken else "docs": row.docs,
        }
        if row.args_kind:
            fields = [asdict(argument) for argument in row.args]
            entry["args"] = {"kind": row.args_kind, "fields": fields}
        document.append(entry)
    return document
