"""What the scheduling loop is doing now, for whoever must explain why it does not come back.

The runtime writes it around each call of a hook; the watchdog's thread reads it when the loop has
been held. Plain attribute writes, so that it costs nothing worth measuring: a reader may see a
plugin beside the pod of the call before, which is good enough for a log line.
"""

from __future__ import annotations

from typing import Final

#: For so many seconds one call may hold the scheduling loop. A guess: the longest honest hooks are
#: a thousand times quicker, and binds, timers and watches are late by as much. From then on the
#: watchdog says what holds it, and a hook that comes back later than that has failed.
HELD_TOO_LONG_S: Final = 1.0


class CurrentWork:
    """The call in progress on the scheduling loop."""

    __slots__ = ("hook", "plugin", "pod")

    def __init__(self) -> None:
        #: The plugin whose code is running, "" when none is.
        self.plugin = ""
        #: The hook or extension point being run, "" when none is.
        self.hook = ""
        #: ``namespace/name`` of the pod being scheduled, "" when none is.
        self.pod = ""

    def clear(self) -> None:
        """Say that no hook is running."""
        self.plugin = self.hook = self.pod = ""
