"""Plugins as an installed package would bring them, made up by a test."""

from __future__ import annotations

from pathlib import Path


def write_package(folder: Path, *, plugin: str, source: str) -> None:
    """The folder, once it is on PYTHONPATH, has a package that provides the plugin.

    Args:
        plugin: name of the plugin, and of the object in the source that is it.
        source: of the package's one module.
    """
    package = plugin.lower()
    (folder / f"{package}.py").write_text(source)
    metadata = folder / f"{package}-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n")
    entry_point = f"{plugin} = {package}:{plugin}"
    (metadata / "entry_points.txt").write_text(f"[pyscheduler.plugins]\n{entry_point}\n")
