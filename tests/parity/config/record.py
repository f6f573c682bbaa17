"""Writes the answers of the real kube-scheduler to all inputs: `make record-config-oracle`."""

from __future__ import annotations

import shutil
import sys
import tempfile
from pathlib import Path

import yaml

from tests.controlplane.build import ensure_binaries
from tests.parity.config import oracle


def main() -> None:
    binary = ensure_binaries({"kube-scheduler"})["kube-scheduler"]
    shutil.rmtree(oracle.ANSWERS, ignore_errors=True)
    oracle.COMPLETED.mkdir(parents=True)
    with tempfile.TemporaryDirectory() as folder:
        scratch = Path(folder)
        reasons: dict[str, str] = {}
        for name in oracle.input_names():
            answer = oracle.ask(binary, oracle.INPUTS / f"{name}.yaml", scratch=scratch)
            if answer.completed is not None:
                (oracle.COMPLETED / f"{name}.yaml").write_text(answer.completed)
            else:
                reasons[name] = answer.reason or ""
        oracle.REFUSED.write_text(yaml.safe_dump(reasons, width=1000))
        points = oracle.ask_points(binary, scratch=scratch)
        oracle.POINTS.write_text(yaml.safe_dump(points, sort_keys=False))
    count = len(oracle.input_names())
    sys.stdout.write(f"{count} answers, {len(reasons)} of them refusals: {oracle.ANSWERS}\n")


if __name__ == "__main__":
    main()
