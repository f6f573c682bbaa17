"""Where each kind lives in the API: group, version, plural, and the paths that follow from them."""

import re
from dataclasses import dataclass
from typing import Generic, TypeVar
from urllib.parse import quote

T = TypeVar("T")

_NAME = re.compile(
    r"(?P<plural>[a-z0-9-]+)\.(?P<version>v\d+(?:(?:alpha|beta)\d+)?)(?:\.(?P<group>[a-z0-9.-]+))?"
)


@dataclass(frozen=True, slots=True)
class ResourceType(Generic[T]):
    """One kind of the API, and the struct its objects become."""

    group: str
    version: str
    plural: str
    kind: str
    namespaced: bool
    struct: type[T]

    @property
    def api_version(self) -> str:
        """`v1`, or `group/version`."""
        return f"{self.group}/{self.version}" if self.group else self.version

    @property
    def name(self) -> str:
        """`plural.version.group`, or `plural.version` in the core group."""
        name = f"{self.plural}.{self.version}"
        return f"{name}.{self.group}" if self.group else name

    def path(
        self, namespace: str | None = None, name: str | None = None, *, subresource: str = ""
    ) -> str:
        """Returns the URL path of an object, of a namespace's objects, or of all of them."""
        root = f"/apis/{self.group}" if self.group else "/api"
        parts = [root, self.version]
        if namespace and self.namespaced:
            parts += ["namespaces", quote(namespace, safe="")]
        parts.append(self.plural)
        if name:
            parts.append(quote(name, safe=""))
        if subresource:
            parts.append(subresource)
        return "/".join(parts)

    def __str__(self) -> str:
        return f"{self.plural}.{self.group}" if self.group else self.plural


def resource_named(name: str, struct: type[T]) -> ResourceType[T]:
    """Returns the type of a resource of which no more is known than its name.

    Its kind, which only messages show, is the plural; whether it has namespaces does not matter to
    who reads all of them.

    Args:
        name: ``plural.version.group``; ``plural.version`` in the core group.
        struct: what its objects become.

    Raises:
        ValueError: the name is not of that form.
    """
    parts = _NAME.fullmatch(name)
    if parts is None:
        raise ValueError(
            f"resource {name!r} is not of the form plural.version.group, such as"
            " podgroups.v1alpha1.scheduling.x-k8s.io, or services.v1 in the core group"
        )
    plural, version, group = parts["plural"], parts["version"], parts["group"] or ""
    return ResourceType(group, version, plural, plural, True, struct)
