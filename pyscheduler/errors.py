"""The root of the exceptions this project raises, and those that end the process.

Each boundary (api, client, framework, ...) has a tree of its own below `PySchedulerError`. Whoever
starts the program prints the message of one that reaches the top as a single ``error: ...`` line
and exits with status 1; anything that is not a `PySchedulerError` is a bug and keeps its traceback.
"""

from __future__ import annotations

from collections.abc import Iterable


class PySchedulerError(Exception):
    """What the user can act on; the message says it without a traceback."""


class CredentialsError(PySchedulerError):
    """No usable way to reach or authenticate to the API server; names the file or variable."""


class ConfigError(PySchedulerError):
    """A configuration that cannot be used, with everything that is wrong with it.

    Attributes:
        source: the file (or other origin) the configuration came from.
        problems: one text per problem, each beginning with the field path where there is one.
    """

    def __init__(self, source: str, problems: Iterable[str]) -> None:
        self.source = source
        self.problems: tuple[str, ...] = tuple(problems)
        super().__init__("\n".join(f"{source}: {problem}" for problem in self.problems))
