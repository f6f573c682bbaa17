"""Preconditions on uid and resourceVersion, as bindings and deletions carry them.

Source: k8s.io/apiserver 1.37 pkg/storage Preconditions.Check and its text.
"""

from __future__ import annotations

from pyscheduler.sim.api_errors import conflict
from pyscheduler.sim.json_objects import JsonView
from pyscheduler.sim.served_kinds import ServedKind


def check_preconditions(resource: str, group: str, metadata: JsonView, wanted: JsonView) -> None:
    """The object is the one, and in the version, that the request means.

    Args:
        resource: plural name, for the message.
        group: its API group.
        metadata: of the present object.
        wanted: ``uid`` and ``resourceVersion``, where the request has them.

    Raises:
        ApiError: 409, it is not.
    """
    for field, label in (("uid", "UID"), ("resourceVersion", "ResourceVersion")):
        value = wanted.get(field)
        if value and value != metadata[field]:
            text = (
                f"Precondition failed: {label} in precondition: {value},"
                f" {label} in object meta: {metadata[field]}"
            )
            raise conflict(resource, group, metadata["name"], text)


def check_delete_preconditions(kind: ServedKind, metadata: JsonView, wanted: JsonView) -> None:
    """The object is the one, and in the version, that a DELETE means.

    Raises:
        ApiError: 409, it is not.
    """
    for field, label, reason in (
        ("uid", "UID", "deleted and then recreated"),
        ("resourceVersion", "ResourceVersion", "modified"),
    ):
        value = wanted.get(field)
        if value is not None and value != metadata[field]:
            text = (
                f"the {label} in the precondition ({value}) does not match the {label} in record"
                f" ({metadata[field]}). The object might have been {reason}"
            )
            raise conflict(kind.kind, kind.group, metadata["name"], text)
