"""The arguments of a profile's plugins, read with the model that each plugin has for them."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping

from pydantic import BaseModel, ValidationError

from pyscheduler.config.known_plugins import KnownPlugins
from pyscheduler.config.models import API_VERSION, UNNAMED, PluginConfig, Profile
from pyscheduler.config.problems import Problems
from pyscheduler.config.upstream_plugins import REMOVED
from pyscheduler.config.yaml_tree import Path

#: The plugin whose arguments say which resources are not counted, and the argument.
FIT = "NodeResourcesFit"
_IGNORED = "ignored_resources"


def read_args(
    profile: Profile,
    known: KnownPlugins,
    *,
    enabled: Collection[str],
    at: Path,
    problems: Problems,
) -> dict[str, BaseModel]:
    """Return the arguments of the enabled plugins that take some, as configured or by default.

    Those of other plugins are checked all the same.
    """
    args: dict[str, BaseModel] = {}
    seen: set[str] = set()
    for index, entry in enumerate(profile.plugin_config):
        path = (*at, "pluginConfig", index)
        name = known.name_of(entry.name)
        if name == UNNAMED:
            continue
        if name in seen:
            problems.add((*path, "name"), f'plugin "{name}" is configured twice')
            continue
        seen.add(name)
        if _is_usable(name, known, at=path, problems=problems):
            model = known.args_model(name)
            found = _read_entry(name, entry, model, at=path, problems=problems)
            if found is not None and name in enabled:
                args[name] = found
    for name in enabled:
        model = known.args_model(name)
        if model is None or name in seen:
            continue
        try:
            args[name] = model()
        except ValidationError as error:
            needed = ", ".join(str(part["loc"][0]) for part in error.errors() if part["loc"])
            problems.add((*at, "pluginConfig"), f'plugin "{name}" needs arguments: {needed}')
    return args


def ignoring(
    args: Mapping[str, BaseModel], resources: tuple[str, ...], *, at: Path, problems: Problems
) -> dict[str, BaseModel]:
    """Return the arguments with `resources` as those that NodeResourcesFit does not count.

    They take the place of its own, as upstream, which is worth a warning.
    """
    changed = dict(args)
    fit = args.get(FIT)
    if fit is None or _IGNORED not in type(fit).model_fields:
        return changed
    lost = sorted(set(getattr(fit, _IGNORED)) - set(resources))
    if lost:
        problems.warn(
            (*at, "pluginConfig"),
            f"ignoredResources of {FIT} are replaced by those that extenders manage, "
            f"without {', '.join(lost)}",
        )
    changed[FIT] = fit.model_copy(update={_IGNORED: resources})
    return changed


def _is_usable(name: str, known: KnownPlugins, *, at: Path, problems: Problems) -> bool:
    fault = known.fault(name)
    if fault is None:
        return True
    if known.is_provided(name) or name in REMOVED:
        problems.add((*at, "name"), fault)
    else:
        problems.warn((*at, "name"), f"has no effect: {fault}")
    return False


def _read_entry(
    name: str,
    entry: PluginConfig,
    model: type[BaseModel] | None,
    *,
    at: Path,
    problems: Problems,
) -> BaseModel | None:
    """Return one plugin's arguments, None when there are none or they are wrong."""
    given = dict(entry.args or {})
    for field, expected in (("apiVersion", API_VERSION), ("kind", f"{name}Args")):
        stated = given.pop(field, expected)
        if stated != expected:
            problems.add((*at, "args", field), f'expected "{expected}", got {json.dumps(stated)}')
    if model is None:
        if given:
            problems.add((*at, "args"), f'plugin "{name}" takes no arguments')
        return None
    try:
        # As JSON: there a strict model takes lists for tuples and text for enumerations.
        return model.model_validate_json(json.dumps(given), by_alias=True, by_name=False)
    except ValidationError as error:
        problems.add_all(error, model, at=(*at, "args"))
        return None
