"""What the server serves at this moment: kinds by path, the forms of their objects, discovery.

Built-in kinds are there from the start; a CustomResourceDefinition adds and takes away its own.
`ApiServer` asks here what a path means and in which form a request wants its answer.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from pyscheduler.sim.api_errors import not_served
from pyscheduler.sim.discovery import discovery_documents
from pyscheduler.sim.exchange import JSON, Request
from pyscheduler.sim.json_objects import JsonObject
from pyscheduler.sim.representations import Representation, representation
from pyscheduler.sim.served_kinds import (
    BUILT_IN_KINDS,
    NAMESPACES,
    ServedKind,
    Target,
    is_built_in_group,
)
from pyscheduler.sim.tables import Table, columns_of


class Catalogue:
    """The kinds that are served, and how."""

    def __init__(self, *, address: str, now: Callable[[], float]) -> None:
        """The built-in kinds.

        Args:
            address: ``host:port`` that discovery names.
            now: the wall time, for ages in tables.
        """
        self._address = address
        self._now = now
        self._by_path: dict[tuple[str, str, str], ServedKind] = {}
        self._plain: dict[ServedKind, Representation] = {}
        self._tables: dict[ServedKind, Table] = {}
        self._documents: dict[str, JsonObject] | None = None
        for kind in BUILT_IN_KINDS:
            self.add(kind)

    def __iter__(self) -> Iterator[ServedKind]:
        return iter(tuple(self._by_path.values()))

    def add(self, kind: ServedKind) -> None:
        """The kind is served, in place of what was served under its path."""
        self.remove(kind)
        self._by_path[_path(kind)] = kind
        self._plain[kind] = representation(kind, table=None, include="")
        self._tables[kind] = Table(columns_of(kind), now=self._now)

    def remove(self, kind: ServedKind) -> None:
        """Nothing is served under the kind's path."""
        self._documents = None
        present = self._by_path.pop(_path(kind), None)
        if present is not None:
            del self._plain[present], self._tables[present]

    def find(self, *, api_version: str, kind: str) -> ServedKind | None:
        """The served kind of an object that says what it is."""
        for served in self._by_path.values():
            if served.api_version == api_version and served.kind == kind:
                return served
        return None

    def document(self, path: str) -> JsonObject | None:
        """The discovery document at a path."""
        if self._documents is None:
            self._documents = discovery_documents(self, address=self._address)
        return self._documents.get(path)

    def resolve(self, path: str) -> Target | None:
        """The resource a path names, or None where it names none.

        Raises:
            ApiError: 501, the path names a resource that only the real server serves.
        """
        parts = path.strip("/").split("/")
        if parts[0] == "api" and len(parts) > 2:
            group, version, rest = "", parts[1], parts[2:]
        elif parts[0] == "apis" and len(parts) > 3:
            group, version, rest = parts[1], parts[2], parts[3:]
        else:
            return None
        namespace = ""
        if rest[0] == "namespaces" and len(rest) > 2 and rest[2] not in NAMESPACES.subresources:
            namespace, rest = rest[1], rest[2:]
        kind = self._by_path.get((group, version, rest[0]))
        name = rest[1] if len(rest) > 1 else ""
        subresource = rest[2] if len(rest) > 2 else ""
        is_served = (
            kind is not None
            and kind.namespaced >= bool(namespace)
            and len(rest) <= 3
            and (not subresource or subresource in kind.subresources)
        )
        if kind is not None and is_served:
            return Target(kind, namespace, name, subresource)
        if is_built_in_group(group):
            raise not_served(path)
        return None

    def plain(self, kind: ServedKind) -> Representation:
        """The objects of the kind as they are."""
        return self._plain[kind]

    def form(self, request: Request, kind: ServedKind) -> Representation:
        """The form in which the request accepts objects of the kind.

        Raises:
            ApiError: 501, it accepts nothing that is served.
        """
        accept = request.accept
        if not accept or accept == JSON:
            return self._plain[kind]
        for entry in accept.split(","):
            media, *parameters = entry.replace(" ", "").split(";")
            if media not in (JSON, "*/*", "application/*"):
                continue
            if "as=Table" in parameters:
                if "v=v1" not in parameters:
                    continue
                include = request.query.get("includeObject", "Metadata")
                return representation(kind, table=self._tables[kind], include=include)
            if not any(parameter.startswith("as=") for parameter in parameters):
                return self._plain[kind]
        raise not_served(f"the media type {accept}")


def _path(kind: ServedKind) -> tuple[str, str, str]:
    return kind.group, kind.version, kind.plural
