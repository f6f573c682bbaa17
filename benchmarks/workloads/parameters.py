"""From an operation as written to one with its workload's values in it.

``countParam: $pods`` becomes ``count: 100``; values of ``templateParams`` that begin with ``$`` are
replaced, and may name what holds if the workload has no such parameter: ``$devices|10``.

Called by: ``workloads.loading``.

Source: patchParams and resolveTemplateParams of test/integration/scheduler_perf, Kubernetes 1.37.1.
"""

from __future__ import annotations

from collections.abc import Mapping

import yaml

#: Fields that name a parameter, and the field that it fills.
_FILLED = {
    "countParam": "count",
    "durationParam": "duration",
    "steadyStateParam": "steadyState",
    "signatureBatchSizeParam": "signatureBatchSize",
}
#: Asked for by upstream's test program instead of a field: that many features are declared by every
#: node. (Its pods ask for them all by a rule compiled into that program; here they ask for none.)
_DECLARED_FEATURES = "numNodeDeclaredFeatures"
#: names a parameter that the count is multiplied with
_MULTIPLIER = "countMultiplierParam"


class MissingParameter(ValueError):  # noqa: N818  # what is wrong
    """An operation asks for a parameter that the workload does not set."""


class Parameters:
    """The values of one workload, and which of them were asked for."""

    def __init__(self, values: Mapping[str, object]) -> None:
        self._values = values
        self._used: set[str] = set()

    @property
    def unused(self) -> list[str]:
        """Names that nobody asked for, sorted."""
        return sorted(set(self._values) - self._used)

    def bind(self, written: Mapping[str, object]) -> dict[str, object]:
        """Returns the operation with values in place of the names of parameters.

        Raises:
            MissingParameter: a name without a value.
            ValueError: which field, and what is wrong with it.
        """
        bound = {
            name: value
            for name, value in written.items()
            if name not in _FILLED and name != _MULTIPLIER
        }
        for name, target in _FILLED.items():
            if name in written:
                bound[target] = self._named(name, written[name])
        if _MULTIPLIER in written:
            count, times = bound.get("count", 0), self._named(_MULTIPLIER, written[_MULTIPLIER])
            if not isinstance(count, int) or not isinstance(times, int):
                raise ValueError(f"{_MULTIPLIER}: neither it nor the count may be but a number")
            bound["count"] = count * times
        if written.get("opcode") == "createNodes" and _DECLARED_FEATURES in self._values:
            bound["declaredFeatures"] = self._value("declaredFeatures", _DECLARED_FEATURES)
        template = written.get("templateParams")
        if isinstance(template, Mapping):
            bound["templateParams"] = {
                name: self._template_value(f"templateParams.{name}", value)
                for name, value in template.items()
            }
        return bound

    def _named(self, field: str, reference: object) -> object:
        if not isinstance(reference, str) or not reference.startswith("$"):
            raise ValueError(f"{field}: {reference!r} is no parameter's name such as $pods")
        return self._value(field, reference[1:])

    def _value(self, field: str, name: str) -> object:
        if name not in self._values:
            raise MissingParameter(f"{field}: parameter {name} is not set")
        self._used.add(name)
        return self._values[name]

    def _template_value(self, field: str, value: object) -> object:
        if not isinstance(value, str) or not value.startswith("$"):
            return value
        name, bar, otherwise = value[1:].partition("|")
        if bar and name not in self._values:
            default: object = yaml.safe_load(otherwise)
            return default
        return self._value(field, name)
