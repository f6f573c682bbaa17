"""The base model of plugin arguments: strict, frozen, camelCase in YAML."""

from pydantic import BaseModel, ConfigDict
from pydantic.alias_generators import to_camel


class Args(BaseModel):
    """Arguments of a plugin, from ``pluginConfig`` of its profile.

    Unknown fields, wrong types and values out of range are refused, each with its path.
    """

    model_config = ConfigDict(
        alias_generator=to_camel,
        populate_by_name=True,
        extra="forbid",
        frozen=True,
        strict=True,
        # YAML gives lists where models hold tuples
        validate_default=True,
    )


class NoArgs(Args):
    """For plugins without arguments."""
