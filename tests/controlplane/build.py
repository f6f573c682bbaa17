"""The programs of a real control plane, built from Go modules on first use.

`ensure_binaries()` returns paths. A program is taken from `KUBEBUILDER_ASSETS` when that folder has
it (the convention of envtest), else from the cache folder, else it is built into the cache folder
with the plain `go` command: about ten minutes once per machine on two cores, nothing afterwards.
`python -m tests.controlplane.build` builds everything ahead.

What is built is pinned by `modules/*/go.mod` and `go.sum`: three modules, because their
dependencies disagree. `k8s.io/kubernetes` requires its staging modules at v0.0.0 and replaces them
by paths inside itself, hence the 33 replacements in that go.mod. Flags are what a Go build cache is
keyed by: they stay as plain as they are so that other builds of the same modules can share it.

The cache folder is `$PYSCHEDULER_CACHE/controlplane/<release>`, by default below
`$XDG_CACHE_HOME/pyscheduler` or `~/.cache/pyscheduler`.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

RELEASE = "v1.37.1"

#: Names a file to which progress lines go instead of stderr, which a test runner may capture.
PROGRESS_VARIABLE = "PYSCHEDULER_PROGRESS"

_MODULES = Path(__file__).resolve().parent / "modules"
_VERSION_PACKAGE = "k8s.io/component-base/version"
#: Without these the server calls itself v0.0.0-master, and clients that look at it go wrong.
_VERSION_FLAGS = " ".join(
    f"-X {_VERSION_PACKAGE}.{name}={value}"
    for name, value in (("gitVersion", RELEASE), ("gitMajor", "1"), ("gitMinor", "37"))
)
#: Seconds between two progress lines.
_PROGRESS_S = 20


class ControlPlaneUnavailableError(Exception):
    """There is no control plane on this machine; the message is one line on what to install."""


@dataclass(frozen=True, slots=True)
class Module:
    """A Go module of ours that pins programs.

    Attributes:
        folder: below `modules/`.
        packages: Go package of each program, by the program's name.
        expected_min: minutes of a build from empty caches on two cores, measured.
    """

    folder: str
    packages: dict[str, str]
    linker_flags: str
    expected_min: float


MODULES = (
    Module("etcd", {"etcd": "go.etcd.io/etcd/server/v3"}, "-s -w", 0.5),
    Module(
        "kubernetes",
        {
            name: f"k8s.io/kubernetes/cmd/{name}"
            for name in (
                "kube-apiserver",
                "kube-controller-manager",
                "kube-scheduler",
                "kubectl",
                "kubemark",
            )
        },
        f"-s -w {_VERSION_FLAGS}",
        9,
    ),
    Module("kwok", {"kwok": "sigs.k8s.io/kwok/cmd/kwok"}, "-s -w", 1.5),
)

#: Every program that can be had.
PROGRAMS = frozenset(name for module in MODULES for name in module.packages)

#: Stages that make kwok's nodes Ready and their pods Running and, when deleted, gone.
_KWOK_STAGES = (
    "node/fast/node-initialize.yaml",
    "node/heartbeat-with-lease/node-heartbeat-with-lease.yaml",
    "pod/fast/pod-ready.yaml",
    "pod/fast/pod-complete.yaml",
    "pod/fast/pod-delete.yaml",
)
_KWOK_STAGES_FILE = "kwok-stages.yaml"


@dataclass(frozen=True, slots=True)
class Binaries:
    """Where the programs are."""

    paths: dict[str, Path]

    def __getitem__(self, program: str) -> Path:
        return self.paths[program]

    @property
    def kwok_stages(self) -> Path:
        """The file to pass to kwok with `--config`."""
        return self.paths["kwok"].parent / _KWOK_STAGES_FILE


def ensure_binaries(programs: Collection[str] = PROGRAMS) -> Binaries:
    """Returns the paths of the programs, after building those that are missing.

    Raises:
        ControlPlaneUnavailableError: a program is missing and there is no Go to build it with.
    """
    assets = os.environ.get("KUBEBUILDER_ASSETS")
    paths = {}
    for program in programs:
        # kwok is not in such a folder as envtest makes it, and needs its stages beside it.
        if assets and program != "kwok" and (asset := Path(assets) / program).exists():
            paths[program] = asset
    for module in MODULES:
        wanted = [name for name in module.packages if name in programs and name not in paths]
        if wanted:
            _ensure_built(module)
            paths |= {name: cache_folder() / name for name in wanted}
    return Binaries(paths)


def cache_folder() -> Path:
    """Returns the folder that keeps the built programs."""
    if root := os.environ.get("PYSCHEDULER_CACHE"):
        return Path(root) / "controlplane" / RELEASE
    caches = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return caches / "pyscheduler" / "controlplane" / RELEASE


def _ensure_built(module: Module) -> None:
    if _is_current(module):
        return
    go = shutil.which("go")
    if go is None:
        raise ControlPlaneUnavailableError(
            "no control plane: install Go 1.26 or newer (then it is built on first use), "
            "or set KUBEBUILDER_ASSETS to a folder with etcd and kube-apiserver"
        )
    cache_folder().mkdir(parents=True, exist_ok=True)
    with _locked(cache_folder() / f".{module.folder}.lock", what=module.folder):
        if not _is_current(module):
            _build(module, go)


def _is_current(module: Module) -> bool:
    """Claims that the cache has this module's programs as go.mod and the flags ask for them."""
    stamp = _stamp_path(module)
    return (
        stamp.exists()
        and stamp.read_text() == _fingerprint(module)
        and all((cache_folder() / name).exists() for name in module.packages)
    )


def _stamp_path(module: Module) -> Path:
    return cache_folder() / f".{module.folder}.stamp"


def _fingerprint(module: Module) -> str:
    digest = hashlib.sha256(repr(module).encode())
    for name in ("go.mod", "go.sum"):
        digest.update((_MODULES / module.folder / name).read_bytes())
    return digest.hexdigest()


def _build(module: Module, go: str) -> None:
    folder = _MODULES / module.folder
    names = ", ".join(module.packages)
    _progress(
        f"building {names} (once per machine; about {module.expected_min:g} min from empty caches)"
    )
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix=".building-", dir=cache_folder()) as scratch:
        built = Path(scratch)
        for name, package in module.packages.items():
            # One by one: `-o FILE` is the only way to name etcd, whose package is "server".
            command = [go, "build", "-mod=readonly", "-trimpath"]
            command += ["-ldflags", module.linker_flags, "-o", str(built / name), package]
            _run_go(command, folder, what=name, started=started)
        if module.folder == "kwok":
            (built / _KWOK_STAGES_FILE).write_text(_kwok_stages(go, folder))
        for path in built.iterdir():
            path.replace(cache_folder() / path.name)
    _stamp_path(module).write_text(_fingerprint(module))
    _progress(f"built {names} in {time.monotonic() - started:.0f} s")


def _run_go(command: list[str], folder: Path, *, what: str, started: float) -> None:
    """The command has succeeded; meanwhile a line now and then says that it is at work."""
    with tempfile.TemporaryFile() as log:
        child = subprocess.Popen(
            command,
            cwd=folder,
            env={**os.environ, "CGO_ENABLED": "0"},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
        )
        try:
            while True:
                with contextlib.suppress(subprocess.TimeoutExpired):
                    child.wait(timeout=_PROGRESS_S)
                    break
                _progress(f"  {what}: at work, {time.monotonic() - started:.0f} s so far")
        finally:
            if child.poll() is None:
                child.kill()
                child.wait()
        if child.returncode != 0:
            log.seek(0)
            said = log.read().decode(errors="replace").strip().splitlines()[-15:]
            raise ControlPlaneUnavailableError(
                f"no control plane: building {what} failed: " + " | ".join(said)
            )


def _kwok_stages(go: str, folder: Path) -> str:
    """Returns the stages that come with the kwok module, as one file."""
    answer = subprocess.run(
        [go, "list", "-mod=readonly", "-m", "-json", "sigs.k8s.io/kwok"],
        cwd=folder,
        check=True,
        capture_output=True,
    )
    stages = Path(json.loads(answer.stdout)["Dir"]) / "kustomize" / "stage"
    return "\n---\n".join((stages / name).read_text() for name in _KWOK_STAGES)


@contextlib.contextmanager
def _locked(path: Path, *, what: str) -> Iterator[None]:
    """No other process is inside a block with the same path."""
    with path.open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            _progress(f"waiting for another process that builds {what}")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _progress(message: str) -> None:
    line = f"control plane: {message}\n"
    if target := os.environ.get(PROGRESS_VARIABLE):
        with contextlib.suppress(OSError), Path(target).open("a") as terminal:
            terminal.write(line)
            return
    print(line, end="", file=sys.__stderr__, flush=True)


if __name__ == "__main__":
    try:
        ensure_binaries()
    except ControlPlaneUnavailableError as error:
        sys.exit(f"error: {error}")
    print(f"control plane: ready in {cache_folder()}")
