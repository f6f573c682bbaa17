"""The repository speaks of the project alone, and its files agree with one another."""

from __future__ import annotations

import re
import subprocess
import tomllib
from pathlib import Path

import pytest
import yaml

import pyscheduler

REPOSITORY = Path(__file__).resolve().parents[2]

#: A folder of somebody's machine, or one beside the repository.
FOREIGN_PATH = re.compile(r"(?<![\w.$}])/(?:work|root|home|Users)/\w|\.\./shared\b")

#: The one line that looks beside the repository, for a container engine, if there is one.
ALLOWED = {".ci/run": "kind_lab="}


def _tracked_files() -> list[Path]:
    try:
        listed = subprocess.run(
            ["git", "ls-files", "-z", "--cached"],
            cwd=REPOSITORY,
            capture_output=True,
            text=True,
            check=True,
        ).stdout
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("not a git work tree")
    paths = [REPOSITORY / name for name in listed.split("\0") if name]
    return [path for path in paths if path.is_file()]


def test_no_file_names_a_path_of_a_machine() -> None:
    found = []
    for path in _tracked_files():
        name = str(path.relative_to(REPOSITORY))
        try:
            lines = path.read_text().splitlines()
        except UnicodeDecodeError:
            continue
        found += [
            f"{name}:{number}: {line.strip()}"
            for number, line in enumerate(lines, 1)
            if FOREIGN_PATH.search(line) and not line.startswith(ALLOWED.get(name, "\0"))
        ]

    assert found == []


def _without_code(markdown: str) -> str:
    """What is left is prose: ``key[T]("x")`` in an example is no link."""
    return re.sub(r"^```.*?^```$|`[^`]+`", "", markdown, flags=re.MULTILINE | re.DOTALL)


def test_every_local_link_of_the_documents_leads_somewhere() -> None:
    broken = [
        f"{document.relative_to(REPOSITORY)}: {target}"
        for document in _tracked_files()
        if document.suffix == ".md"
        for target in re.findall(r"\]\(([^)#\s]+)[^)]*\)", _without_code(document.read_text()))
        if "://" not in target and not (document.parent / target).exists()
    ]

    assert broken == []


def test_manifests_and_package_agree_on_the_version() -> None:
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
    deployment = yaml.safe_load((REPOSITORY / "manifests/base/deployment.yaml").read_text())
    image = deployment["spec"]["template"]["spec"]["containers"][0]["image"]

    assert project["version"] == pyscheduler.__version__ == image.partition(":")[2]


def test_kind_cluster_starts_on_cgroup_v1_machines_too() -> None:
    cluster = yaml.safe_load((REPOSITORY / "kind-config.yaml").read_text())
    patches = [yaml.safe_load(patch) for patch in cluster["kubeadmConfigPatches"]]

    (kubelet,) = [patch for patch in patches if patch["kind"] == "KubeletConfiguration"]

    assert kubelet["failCgroupV1"] is False
