"""kubeconfig files as they are written: merging, contexts, and errors that name file and field.

Several files merge as kubectl merges them: the first to name a cluster, user or context wins, and
so does the first ``current-context``. Relative paths count from the file that holds them. What the
fields mean is up to `pyscheduler.client.credentials`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import yaml

from pyscheduler.errors import CredentialsError

_SECTIONS = ("clusters", "users", "contexts")


@dataclass(frozen=True, slots=True)
class Entry:
    """One named cluster, user or context, with the place it was read from."""

    path: Path
    #: Where in the file, as ``users[admin].user``.
    where: str
    fields: Mapping[str, object]

    def error(self, field: str, problem: str) -> CredentialsError:
        """Return an error that names file, place and field."""
        return CredentialsError(f"{self.path}: {self.where}.{field} {problem}")

    def text(self, field: str, *, required: bool = False) -> str | None:
        """Return a text field, None when it is absent or empty.

        Raises:
            CredentialsError: it is not text, or is required and absent.
        """
        value = self.fields.get(field)
        if value is None or value == "":
            if required:
                raise self.error(field, "is missing")
            return None
        if not isinstance(value, str):
            raise self.error(field, f"must be text, not {type(value).__name__}")
        return value

    def flag(self, field: str) -> bool:
        """Return a boolean field, False when it is absent."""
        value = self.fields.get(field, False)
        if not isinstance(value, bool):
            raise self.error(field, "must be true or false")
        return value

    def resolve(self, name: str) -> Path:
        """Return a path of the file, relative ones counted from the file's folder."""
        return self.path.parent / Path(name).expanduser()


class Kubeconfig:
    """The merged content of one or several kubeconfig files."""

    def __init__(
        self, paths: Sequence[Path], sections: Mapping[str, Mapping[str, Entry]], current: str
    ) -> None:
        self._paths = paths
        self._sections = sections
        self._current = current

    def context(self, name: str | None = None) -> Entry:
        """Return the context of that name, or the current one.

        Raises:
            CredentialsError: there is none.
        """
        files = ", ".join(str(path) for path in self._paths)
        wanted = name if name is not None else self._current
        if not wanted:
            raise CredentialsError(f"{files}: current-context is not set")
        found = self._sections["contexts"].get(wanted)
        if found is None:
            field = "context" if name is not None else "current-context"
            known = ", ".join(sorted(self._sections["contexts"])) or "none"
            raise CredentialsError(
                f"{files}: {field} {wanted!r} is not among the contexts (there are: {known})"
            )
        return found

    def cluster(self, context: Entry) -> Entry:
        """Return the cluster that `context` names."""
        name = context.text("cluster", required=True) or ""
        found = self._sections["clusters"].get(name)
        if found is None:
            raise context.error("cluster", f"names {name!r}, which is not among the clusters")
        return found

    def user(self, context: Entry) -> Entry | None:
        """Return the user that `context` names, None when it names none."""
        name = context.text("user")
        if name is None:
            return None
        found = self._sections["users"].get(name)
        if found is None:
            raise context.error("user", f"names {name!r}, which is not among the users")
        return found


def read_kubeconfig(paths: Sequence[Path]) -> Kubeconfig:
    """Return what the files say together; files that do not exist are passed over.

    Raises:
        CredentialsError: no file exists, or one cannot be read or is not a kubeconfig.
    """
    existing = [path for path in paths if path.exists()]
    if not existing:
        raise CredentialsError(f"{', '.join(str(path) for path in paths)}: no such kubeconfig file")
    sections: dict[str, dict[str, Entry]] = {section: {} for section in _SECTIONS}
    current = ""
    for path in existing:
        document = _read_document(path)
        named = document.get("current-context")
        if named is not None and not isinstance(named, str):
            raise CredentialsError(f"{path}: current-context must be text")
        current = current or named or ""
        for section in _SECTIONS:
            for name, entry in _entries(path, section, document.get(section)):
                sections[section].setdefault(name, entry)
    return Kubeconfig(existing, sections, current)


def _read_document(path: Path) -> Mapping[str, object]:
    try:
        document = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or error
        raise CredentialsError(f"{path}: cannot read kubeconfig: {reason}") from error
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f" at line {mark.line + 1}" if mark is not None else ""
        problem = getattr(error, "problem", None) or "syntax error"
        raise CredentialsError(f"{path}: not valid YAML{line}: {problem}") from error
    if not isinstance(document, dict):
        raise CredentialsError(f"{path}: not a kubeconfig: expected a mapping with clusters")
    kind = document.get("kind", "Config")
    if kind != "Config":
        raise CredentialsError(f"{path}: kind is {kind!r}, a kubeconfig has 'Config'")
    return document


def _entries(path: Path, section: str, items: object) -> list[tuple[str, Entry]]:
    if items is None:
        return []
    if not isinstance(items, list):
        raise CredentialsError(f"{path}: {section} must be a list")
    inner = section.removesuffix("s")
    entries: list[tuple[str, Entry]] = []
    for index, item in enumerate(items):
        if not isinstance(item, dict) or not isinstance(item.get("name"), str):
            raise CredentialsError(f"{path}: {section}[{index}].name is missing")
        name: str = item["name"]
        where = f"{section}[{name}].{inner}"
        fields = item.get(inner)
        if fields is None:
            fields = {}
        if not isinstance(fields, dict):
            raise CredentialsError(f"{path}: {where} must be a mapping")
        entries.append((name, Entry(path, where, fields)))
    return entries
