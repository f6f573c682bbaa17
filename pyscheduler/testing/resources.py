"""Stand-ins for the resources that a plugin follows: the test says what is there and what changes.

informers = FakeInformers()
plugin = make_plugin(Gangs, handle=fake_handle(informers=informers))
informers.of("podgroups.v1alpha1.scheduling.x-k8s.io", PodGroup).put(group)
"""

from __future__ import annotations

from typing import Any, Generic, TypeVar

from pyscheduler.api.frozen_map import frozen
from pyscheduler.framework.informers import ResourceHandler

T = TypeVar("T")


class FakeInformer(Generic[T]):
    """One resource; its handlers are told at once, and what they raise reaches the test."""

    def __init__(self) -> None:
        self._objects: dict[str, T] = {}
        self._handlers: list[ResourceHandler[T]] = []

    # What plugins call

    @property
    def lister(self) -> FakeInformer[T]:
        """What is there."""
        return self

    def get(self, key: str) -> T | None:
        """The object named ``namespace/name`` (``name`` if it has no namespace)."""
        return self._objects.get(key)

    def list(self, namespace: str | None = None) -> list[T]:
        """All objects, or those of one namespace."""
        return [
            known
            for key, known in self._objects.items()
            if namespace is None or key.startswith(f"{namespace}/")
        ]

    def add_handler(self, handler: ResourceHandler[T]) -> None:
        """Tells ``handler`` of everything there is and of all changes from now on."""
        for known in [*self._objects.values()]:
            handler.on_add(known, True)
        self._handlers.append(handler)

    # What tests call

    def put(self, new: T, *, key: str = "") -> None:
        """Adds or changes an object.

        Args:
            new: the object; JSON becomes read-only, as it is in a scheduler.
            key: ``namespace/name``, if the object has no ``metadata`` to read it from.
        """
        new = frozen(new)
        key = key or _key_of(new)
        old = self._objects.get(key)
        self._objects[key] = new
        for handler in self._handlers:
            if old is None:
                handler.on_add(new, False)
            else:
                handler.on_update(old, new)

    def remove(self, key: str) -> None:
        """Takes an object away.

        Raises:
            KeyError: there is none of that key.
        """
        deleted = self._objects.pop(key)
        for handler in self._handlers:
            handler.on_delete(deleted)


class FakeInformers:
    """``Informers`` and ``Listers``: an informer per resource, made when asked for."""

    def __init__(self) -> None:
        self._informers: dict[str, FakeInformer[Any]] = {}

    def of(self, resource: str, model: type[Any] | None = None) -> FakeInformer[Any]:
        """The informer of ``resource``; ``model`` is taken on trust."""
        return self._informers.setdefault(resource, FakeInformer())

    @property
    def followed(self) -> tuple[str, ...]:
        """The resources that were asked for, in order."""
        return tuple(self._informers)


def _key_of(subject: Any) -> str:
    if isinstance(subject, dict):
        metadata = subject["metadata"]
        namespace, name = metadata.get("namespace", ""), metadata["name"]
    else:
        namespace, name = subject.metadata.namespace, subject.metadata.name
    return f"{namespace}/{name}" if namespace else name
