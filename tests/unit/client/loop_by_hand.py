"""The event loop as a connection knows it: its socket and its clock, both moved by hand."""

import asyncio
from collections.abc import Callable


class Wire:
    """The event loop's side of a connection, by hand."""

    def __init__(self) -> None:
        self.written: list[bytes] = []
        self.is_cut = False
        self.is_read = True

    def write(self, data: bytes) -> None:
        self.written.append(data)

    def abort(self) -> None:
        self.is_cut = True

    def is_closing(self) -> bool:
        return self.is_cut

    def pause_reading(self) -> None:
        self.is_read = False

    def resume_reading(self) -> None:
        self.is_read = True


class Hours:
    """The event loop's clock, moved by hand; futures are the running loop's."""

    def __init__(self, now: float = 0.0) -> None:
        self.now = now
        self.timers: list[asyncio.TimerHandle] = []

    def time(self) -> float:
        return self.now

    def create_future(self) -> "asyncio.Future[None]":
        return asyncio.get_running_loop().create_future()

    def call_at(self, when: float, callback: Callable[[], None]) -> asyncio.TimerHandle:
        loop = asyncio.get_running_loop()
        self.timers.append(asyncio.TimerHandle(when, callback, (), loop))
        return self.timers[-1]

    def advance(self, to: float) -> None:
        self.now = to
        due = [timer for timer in self.timers if timer.when() <= to]
        self.timers = [timer for timer in self.timers if timer.when() > to]
        for timer in due:
            if not timer.cancelled():
                timer._run()
