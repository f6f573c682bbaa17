"""Every knowing difference between our completed configuration and kube-scheduler's.

One row each; docs/compatibility.md has the same rows with the reasons. Nothing else may differ.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

#: The fields of a file.
Fields = dict[str, Any]
#: Turns what kube-scheduler completed into what we do, given what the file says.
Change = Callable[[Fields, Fields], None]


@dataclass(frozen=True)
class Difference:
    """One row.

    Attributes:
        what: the row's first cell in docs/compatibility.md.
        change: for files that both take.
        unused: fields that have an effect there and none here, which a warning says.
        refused_here: inputs that only we refuse.
        refused_there: inputs that only kube-scheduler refuses.
    """

    what: str
    change: Change | None = None
    unused: frozenset[str] = frozenset()
    refused_here: frozenset[str] = frozenset()
    refused_there: frozenset[str] = frozenset()


def _scheduler_name(given: Fields, completed: Fields) -> None:
    (written, *others) = given.get("profiles") or [{}]
    if not others and (written or {}).get("schedulerName") is None:
        completed["profiles"][0]["schedulerName"] = "pyscheduler"


def _lease_name(given: Fields, completed: Fields) -> None:
    if not (given.get("leaderElection") or {}).get("resourceName"):
        completed["leaderElection"]["resourceName"] = "pyscheduler"


def _rate_limit(given: Fields, completed: Fields) -> None:
    for name in ("qps", "burst"):
        if not (given.get("clientConnection") or {}).get(name):
            completed["clientConnection"][name] = 0


def _content_type(given: Fields, completed: Fields) -> None:
    if not (given.get("clientConnection") or {}).get("contentType"):
        completed["clientConnection"]["contentType"] = "application/json"


DIFFERENCES = (
    Difference("`profiles[].schedulerName` of one profile without", _scheduler_name),
    Difference("`leaderElection.resourceName`", _lease_name),
    Difference("`clientConnection.qps`, `.burst`", _rate_limit),
    Difference("`clientConnection.contentType`", _content_type),
    Difference(
        "`parallelism`, `delayCacheUntilActive`, `enableProfiling`, `enableContentionProfiling`",
        unused=frozenset({"parallelism", "delayCacheUntilActive", "enableProfiling"}),
    ),
    Difference(
        "plugins at `placementGenerate`, `placementScore`, `podGroupPostFilter`",
        refused_here=frozenset({"placement-generate", "placement-score", "pod-group-post-filter"}),
    ),
    Difference(
        "plugins of features that are off: `GangScheduling` and its like",
        refused_here=frozenset({"gang-scheduling"}),
    ),
    Difference(
        "`leaderElection.renewDeadline` of less than 1.2 times `retryPeriod`",
        refused_here=frozenset({"lease-no-time-for-a-retry"}),
    ),
    Difference(
        "a score's weight below 0",
        refused_here=frozenset({"weights-negative-later"}),
    ),
    Difference(
        "arguments and documents that nobody would read",
        refused_here=frozenset(
            {
                "added-affinity-other-field",
                "added-affinity-weight-zero-wrong",
                "args-of-a-plugin-without",
                "documents",
                "fit-disabled-and-wrong",
            }
        ),
    ),
    Difference(
        "null for a duration, a key over a merged one, ignored resources without NodeResourcesFit",
        refused_there=frozenset(
            {"null-duration", "merge-keys-overridden", "extender-ignored-without-fit"}
        ),
    ),
)
