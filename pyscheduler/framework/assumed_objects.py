"""Objects as the watch tells them, or as we already know them to be: the assumed ones.

Who has decided about an object (which claim a volume goes to, which devices a claim gets) must see
that decision in the next cycle, while its write is still to be sent or the watch has not told of it
yet. An object is

    told      as the watch last told; what `told` returns
    assumed   in a state that we put in front of it; what `get` returns until the watch has told a
              newer one, the object is gone, or `restore` takes the assumption back

Versions decide what is newer. An assumption is taken unless it is older than what `get` returns:
one that is still to be written has the version it was made from, one that was written has the
version that the API server answered. What the watch tells ends an assumption if it is newer; the
same version, or one before it, does not.

Each `AssumedObjects` has assumptions of its own: whoever must respect one another's shares one.

Called by: plugins that decide about objects other than pods, and by the informer.
Source: kube-scheduler 1.37, ``util/assumecache/assume_cache.go`` and
``plugins/volumebinding/passive_assume_cache.go``, which the rules above unite. Knowing difference:
what the watch tells is known (to `restore` and `told`) even while an assumption stands before it.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from typing import Generic, TypeVar

from pyscheduler.api.keys import key_of
from pyscheduler.api.meta import HasMetadata
from pyscheduler.errors import PySchedulerError
from pyscheduler.framework.informers import Informer, ResourceHandler

T = TypeVar("T", bound=HasMetadata)


class CannotAssume(PySchedulerError):  # noqa: N818  # says what cannot be done
    """The object is gone, or there is a newer state of it than the one to be assumed."""


class AssumedObjects(Generic[T]):
    """A lister of one resource with assumptions.

    Args:
        informer: tells of the objects; from now on.
        index: gives the value by which `indexed` finds an object, if that is needed.
    """

    def __init__(
        self, informer: Informer[T], *, index: Callable[[T], Hashable] | None = None
    ) -> None:
        self._told: dict[str, T] = {}
        #: a subset of what was told: an object that is gone cannot be assumed
        self._assumed: dict[str, T] = {}
        self._index = index
        #: keys by indexed value of the current state, in the order in which they came
        self._keys: dict[Hashable, dict[str, None]] = {}
        self._handlers: list[ResourceHandler[T]] = []
        informer.add_handler(self)

    def __len__(self) -> int:
        return len(self._told)

    def get(self, key: str) -> T | None:
        """The object named ``namespace/name`` (``name`` if it has no namespace), as assumed."""
        return self._assumed.get(key) or self._told.get(key)

    def told(self, key: str) -> T | None:
        """The same object as the watch last told."""
        return self._told.get(key)

    def is_assumed(self, key: str) -> bool:
        """True while an assumption stands before what the watch told."""
        return key in self._assumed

    def list(self, namespace: str | None = None) -> Sequence[T]:
        """All objects, or those of one namespace, as assumed."""
        assumed = self._assumed
        current = [assumed.get(key) or told for key, told in self._told.items()]
        if namespace is None:
            return current
        return [one for one in current if one.metadata.namespace == namespace]

    def indexed(self, value: Hashable) -> Sequence[T]:
        """The objects whose index is ``value``, as assumed, in the order in which they came."""
        assumed, told = self._assumed, self._told
        return [assumed.get(key) or told[key] for key in self._keys.get(value, ())]

    def assume(self, wanted: T) -> None:
        """From now on ``wanted`` is the state of the object of its name.

        Raises:
            CannotAssume: there is no such object, or what `get` returns is newer.
        """
        key = key_of(wanted)
        current = self.get(key)
        if current is None:
            raise CannotAssume(f"{key!r} is not there any more")
        if _is_newer(current, wanted):
            raise CannotAssume(
                f'"{key}" is out of sync (stored: {current.metadata.resource_version},'
                f" assume: {wanted.metadata.resource_version})"
            )
        self._assumed[key] = wanted
        self._show(key, current, wanted)

    def restore(self, assumed: T) -> None:
        """Takes the assumption of ``assumed`` back: the object is again as the watch told.

        Does nothing if another version of the object is assumed by now, or none.
        """
        key = key_of(assumed)
        current = self._assumed.get(key)
        if current is None:
            return
        if current.metadata.resource_version == assumed.metadata.resource_version:
            del self._assumed[key]
            self._show(key, current, self._told[key])

    def add_handler(self, handler: ResourceHandler[T]) -> None:
        """Tells ``handler`` of everything there is and of all changes of what `get` returns.

        It must neither raise nor assume nor restore.
        """
        for current in self.list():
            handler.on_add(current, True)
        self._handlers.append(handler)

    # What the informer calls

    def on_add(self, added: T, initial: bool) -> None:  # the informer's own signature
        """An object is there."""
        key = key_of(added)
        self._told[key] = added
        self._show(key, None, added, initial=initial)

    def on_update(self, old: T, new: T) -> None:
        """An object changed, which ends the assumption of an older state."""
        key = key_of(new)
        current = self.get(key)
        self._told[key] = new
        assumed = self._assumed.get(key)
        if assumed is not None:
            if not _is_newer(new, assumed):
                return
            del self._assumed[key]
        self._show(key, current, new)

    def on_delete(self, deleted: T) -> None:
        """An object is gone, and with it what was assumed of it."""
        key = key_of(deleted)
        current = self.get(key)
        self._assumed.pop(key, None)
        if self._told.pop(key, None) is not None:
            self._show(key, current, None)

    def _show(self, key: str, old: T | None, new: T | None, *, initial: bool = False) -> None:
        """Brings the index in step and tells the handlers."""
        if self._index is not None:
            self._reindex(key, old, new, self._index)
        for handler in self._handlers:
            if new is None:
                if old is not None:
                    handler.on_delete(old)
            elif old is None:
                handler.on_add(new, initial)
            else:
                handler.on_update(old, new)

    def _reindex(
        self, key: str, old: T | None, new: T | None, index: Callable[[T], Hashable]
    ) -> None:
        before = None if old is None else index(old)
        after = None if new is None else index(new)
        if old is not None and new is not None and before == after:
            return
        if old is not None:
            keys = self._keys[before]
            del keys[key]
            if not keys:
                del self._keys[before]
        if new is not None:
            self._keys.setdefault(after, {})[key] = None


def is_newer_version(one: str, other: str) -> bool:
    """True when ``one`` is a later resourceVersion of an object than ``other``.

    Versions are decimal numbers; of others (an aggregated API may have them) only equality is
    known, and a different one counts as newer.
    """
    if one == other:
        return False
    if one.isdecimal() and other.isdecimal():
        return int(one) > int(other)
    return True


def _is_newer(one: HasMetadata, other: HasMetadata) -> bool:
    return is_newer_version(one.metadata.resource_version, other.metadata.resource_version)
