"""Other kinds of objects, followed for plugins: disruption budgets, claims, custom resources.

A plugin asks for what it needs in its ``__init__``; the scheduler is ready when all of it has
been listed. A resource is named as events name it: ``plural.version.group``
(``podgroups.v1alpha1.scheduling.x-k8s.io``; ``services.v1`` for the core group).

Called by: plugins, through ``handle.informers`` and ``handle.listers``; ``client`` and ``app``
implement it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol, TypeVar, overload

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)
T_contra = TypeVar("T_contra", contravariant=True)

#: A custom resource without a struct of the author's: the object as JSON gives it, but for its
#: ``metadata.managedFields``. Read only.
JsonObject = Mapping[str, Any]


class Lister(Protocol[T_co]):
    """What is there of one resource, as the watch last told."""

    def get(self, key: str) -> T_co | None:
        """The object named ``namespace/name`` (``name`` if it has no namespace)."""

    def list(self, namespace: str | None = None) -> Sequence[T_co]:
        """All objects, or those of one namespace."""


class ResourceHandler(Protocol[T_contra]):
    """Told of changes, in order, on the event loop."""

    def on_add(self, added: T_contra, initial: bool) -> None:  # the informer's own signature
        """An object is there; ``initial``: it was there when the scheduler began to look."""

    def on_update(self, old: T_contra, new: T_contra) -> None:
        """An object changed."""

    def on_delete(self, deleted: T_contra) -> None:
        """An object is gone; its last state may be older than what was known."""


class Informer(Protocol[T_co]):
    """Follows one resource."""

    @property
    def lister(self) -> Lister[T_co]:
        """What is there."""

    def add_handler(self, handler: ResourceHandler[T_co]) -> None:
        """Tells ``handler`` of everything there is and of all changes from now on.

        A handler that raises is logged with the resource's name; the others are told all the same.
        """


class Informers(Protocol):
    """The resources that are followed."""

    @overload
    def of(self, resource: str) -> Informer[JsonObject]: ...

    @overload
    def of(self, resource: str, model: type[T]) -> Informer[T]: ...

    def of(self, resource: str, model: type[Any] | None = None) -> Informer[Any]:
        """The informer of ``resource``, started with the scheduler if it is not yet.

        Args:
            resource: ``plural.version.group``.
            model: a frozen ``msgspec.Struct`` to read the objects into; for a resource that has
                a struct in ``pyscheduler.api``, that one; None reads JSON. Everybody who asks for
                one resource must ask for the same model.

        Raises:
            ValueError: the name is not of that form, or the resource is read into another model.
        """


class Listers(Protocol):
    """The same, for who only looks things up."""

    @overload
    def of(self, resource: str) -> Lister[JsonObject]: ...

    @overload
    def of(self, resource: str, model: type[T]) -> Lister[T]: ...

    def of(self, resource: str, model: type[Any] | None = None) -> Lister[Any]:
        """The lister of `Informers.of` with the same arguments."""
