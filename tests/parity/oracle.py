"""The oracle: the real kube-scheduler, and how its log is read.

Its log says at high verbosity what no API object does: scores, gates, the end of a preemption, and
which waiting pods an event woke. `--vmodule` confines that to the files that say it, which costs a
tenth of ``-v=10``.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable

from tests.parity.live import LiveJudge, Notes

SCHEDULER_NAME = "default-scheduler"

#: Files of kube-scheduler whose lines are read, and how verbose they have to be.
VMODULE = "schedule_one=10,scheduling_queue=6,active_queue=5,backoff_queue=5,executor=2"

_MESSAGE = re.compile(r'\] "((?:[^"\\]|\\.)*)"')
_FIELD = re.compile(r'(\w+)=("(?:[^"\\]|\\.)*"|\S+)')
_PLUGINS = re.compile(r"unschedulable plugins=(\{.*\})")


class KubeScheduler(LiveJudge):
    """A kube-scheduler on the stage."""

    def note(self, line: str, notes_of: Callable[[str], Notes]) -> None:
        """Takes what the line says."""
        found = _MESSAGE.search(line)
        if found is None or found[1] not in _READERS:
            return
        fields = {
            name: json.loads(value) if value.startswith('"') else value
            for name, value in _FIELD.findall(line[found.end() :])
        }
        _READERS[found[1]](line, fields, notes_of)


_Fields = dict[str, str]
_NotesOf = Callable[[str], Notes]


def _score(_: str, fields: _Fields, notes_of: _NotesOf) -> None:
    notes = notes_of(fields["pod"])
    if notes.attempts == 1:
        notes.scores.setdefault(fields["node"], {})[fields["plugin"]] = int(fields["score"])


def _total(_: str, fields: _Fields, notes_of: _NotesOf) -> None:
    notes = notes_of(fields["pod"])
    if notes.attempts == 1:
        notes.totals[fields["node"]] = int(fields["score"])


def _attempt(_: str, fields: _Fields, notes_of: _NotesOf) -> None:
    notes_of(fields["pod"]).attempts += 1


def _gate(_: str, fields: _Fields, notes_of: _NotesOf) -> None:
    notes = notes_of(fields["pod"])
    notes.gate, notes.gate_message = fields["plugin"], fields["status"]


def _queued(line: str, fields: _Fields, notes_of: _NotesOf) -> None:
    found = _PLUGINS.search(line)
    notes = notes_of(fields["pod"])
    if found is not None and not notes.plugins:
        notes.plugins = tuple(sorted(json.loads(found[1])))


def _woken(_: str, fields: _Fields, notes_of: _NotesOf) -> None:
    notes_of(fields["entity"]).woken_by.append(fields["event"])


def _preempted(_: str, fields: _Fields, notes_of: _NotesOf) -> None:
    notes_of(fields["preemptor"]).has_preempted = True


#: By the constant text of the line.
_READERS: dict[str, Callable[[str, _Fields, _NotesOf], None]] = {
    "Attempting to schedule pod": _attempt,
    "Plugin scored node for pod": _score,
    "Calculated node's final score for pod": _total,
    "Status after running PreEnqueue plugin": _gate,
    "Pod moved to an internal scheduling queue": _queued,
    "Entity moved to an internal scheduling queue": _woken,
    "Async Preemption finished completely": _preempted,
}
