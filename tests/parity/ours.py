"""Ours on the stage: the process ``pyscheduler run --log-level=debug``, and how its log is read."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from tests.parity.live import LiveJudge, Notes

SCHEDULER_NAME = "pyscheduler"


class PyScheduler(LiveJudge):
    """A pyscheduler on the stage."""

    def note(self, line: str, notes_of: Callable[[str], Notes]) -> None:
        """Takes what the line says."""
        if line.startswith("{"):
            take(json.loads(line), notes_of)


def take(record: Mapping[str, Any], notes_of: Callable[[str], Notes]) -> None:
    """Takes what a record of our log says of a pod."""
    match record.get("msg") or record.get("event"):
        case "nodes judged":
            notes = notes_of(record["pod"])
            notes.attempts += 1
            if notes.attempts > 1:
                return
            notes.scores = record.get("scores", {})
            notes.totals = record.get("totals", {})
            notes.rejected = {node: plugin for node, (plugin, *_) in record["rejected"].items()}
        case "pod is gated":
            notes = notes_of(record["pod"])
            notes.gate, notes.gate_message = record["plugin"], record["message"]
        case "pod not scheduled":
            notes = notes_of(record["pod"])
            notes.plugins = notes.plugins or tuple(record["plugins"])
        case "victims were told to go":
            notes_of(record["pod"]).has_preempted = True
        case "event may help pod":
            notes_of(record["pod"]).woken_by.append(record["event_label"])
