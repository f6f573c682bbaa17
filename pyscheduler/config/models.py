"""KubeSchedulerConfiguration v1 as it is written in a file: fields, types, defaults, ranges.

Models are frozen and strict: unknown fields and values of another type are refused. What spans
several fields is checked in `pyscheduler.config.validation`, so that every problem is found in one
go; what plugins make of their sets is worked out in `pyscheduler.config.expand`.

Defaults are those of kube-scheduler 1.37, except where ours differ knowingly: the name of the
Lease and of the default profile (``pyscheduler``), and no client-side rate limit unless one is
given (API Priority and Fairness is the limiter).
"""

import base64
import binascii
from typing import Annotated, Any, Final, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    JsonValue,
    PlainSerializer,
    ValidationInfo,
)
from pydantic.alias_generators import to_camel

from pyscheduler.config.durations import format_duration, parse_duration

API_VERSION: Final = "kubescheduler.config.k8s.io/v1"
KIND: Final = "KubeSchedulerConfiguration"
DEFAULT_SCHEDULER_NAME: Final = "pyscheduler"
#: The profile name of the stock kube-scheduler, which normally runs beside us.
STOCK_SCHEDULER_NAME: Final = "default-scheduler"

#: Stands for a name that the file leaves out, which has been reported already.
UNNAMED: Final = "?"

#: Extension points as a configuration spells them, in the order in which a pod meets them.
EXTENSION_POINTS: Final = (
    "preEnqueue",
    "queueSort",
    "preFilter",
    "filter",
    "postFilter",
    "preScore",
    "score",
    "reserve",
    "permit",
    "preBind",
    "bind",
    "postBind",
)
#: Points that kube-scheduler has for pod groups and that this scheduler does not run yet.
UNSUPPORTED_POINTS: Final = ("placementGenerate", "placementScore", "podGroupPostFilter")


def _duration(value: Any, info: ValidationInfo) -> float:
    if info.mode == "python" and isinstance(value, float):
        return value
    if not isinstance(value, str):
        raise ValueError('expected a duration such as "15s"')  # noqa: TRY004  # pydantic wants it
    return parse_duration(value)


#: Seconds; in a file written as Go writes a duration.
Duration = Annotated[
    float, BeforeValidator(_duration, json_schema_input_type=str), PlainSerializer(format_duration)
]


def _or(default: Any) -> AfterValidator:
    """Return what puts the default for a value that upstream takes for not given."""
    return AfterValidator(lambda value: value or default)


def _data(value: Any) -> bytes:
    if not isinstance(value, str):
        raise ValueError("expected data in base64")  # noqa: TRY004  # pydantic wants it
    try:
        return base64.b64decode("".join(value.splitlines()), validate=True)
    except binascii.Error as error:
        raise ValueError("is not data in base64") from error


#: Bytes, written in base64.
Data = Annotated[
    bytes,
    BeforeValidator(_data, json_schema_input_type=str),
    PlainSerializer(lambda data: base64.b64encode(data).decode()),
]

#: How long an extender may take to answer unless it says otherwise, as upstream's.
DEFAULT_EXTENDER_TIMEOUT_S: Final = 5.0


class ConfigModel(BaseModel):
    """Base of all models of a configuration file."""

    model_config = ConfigDict(
        alias_generator=to_camel,
        validate_by_alias=True,
        validate_by_name=False,
        extra="forbid",
        frozen=True,
        strict=True,
    )


class PluginRef(ConfigModel):
    """A plugin named in a set; the weight counts for scoring alone."""

    name: str = Field(min_length=1)
    weight: int = Field(default=0, ge=-(2**31), le=2**31 - 1)


class DisabledPlugin(ConfigModel):
    """A plugin taken out of a set; ``*`` stands for all defaults."""

    name: str = Field(min_length=1)
    # Upstream shares one type between both lists, so files carry weights here too; unused.
    weight: int = Field(default=0, ge=-(2**31), le=2**31 - 1)


class PluginSet(ConfigModel):
    """What is added to and taken from the plugins of one extension point."""

    enabled: tuple[PluginRef, ...] = ()
    disabled: tuple[DisabledPlugin, ...] = ()


class Plugins(ConfigModel):
    """The sets of a profile, by extension point; ``multiPoint`` applies to all points."""

    pre_enqueue: PluginSet = PluginSet()
    queue_sort: PluginSet = PluginSet()
    pre_filter: PluginSet = PluginSet()
    filter: PluginSet = PluginSet()
    post_filter: PluginSet = PluginSet()
    pre_score: PluginSet = PluginSet()
    score: PluginSet = PluginSet()
    reserve: PluginSet = PluginSet()
    permit: PluginSet = PluginSet()
    pre_bind: PluginSet = PluginSet()
    bind: PluginSet = PluginSet()
    post_bind: PluginSet = PluginSet()
    multi_point: PluginSet = PluginSet()
    placement_generate: PluginSet = PluginSet()
    placement_score: PluginSet = PluginSet()
    pod_group_post_filter: PluginSet = PluginSet()

    def at(self, point: str) -> PluginSet:
        """Return the set of one extension point, named as in the file."""
        found = getattr(self, _ATTRIBUTES[point])
        assert isinstance(found, PluginSet)
        return found


_ATTRIBUTES: Final = {to_camel(name): name for name in Plugins.model_fields}


class PluginConfig(ConfigModel):
    """The arguments of one plugin; read with the plugin's own model."""

    name: str = Field(min_length=1)
    args: dict[str, JsonValue] | None = None


class Profile(ConfigModel):
    """The pods of one scheduler name, and the plugins that decide about them."""

    scheduler_name: str | None = Field(default=None, min_length=1)
    percentage_of_nodes_to_score: int | None = Field(default=None, ge=0, le=100)
    plugins: Plugins = Plugins()
    plugin_config: tuple[PluginConfig, ...] = ()
    #: Not upstream's: files of plugins, or folders of such files, relative to this one.
    plugin_files: tuple[Annotated[str, Field(min_length=1)], ...] = ()


class LeaderElection(ConfigModel):
    """Which replica schedules: the one that holds this Lease. Zero and "" count as not given."""

    leader_elect: bool = True
    lease_duration: Annotated[Duration, _or(15.0)] = 15.0
    renew_deadline: Annotated[Duration, _or(10.0)] = 10.0
    retry_period: Annotated[Duration, _or(2.0)] = 2.0
    resource_lock: Annotated[str, _or("leases")] = "leases"
    resource_name: Annotated[str, _or("pyscheduler")] = "pyscheduler"
    resource_namespace: Annotated[str, _or("kube-system")] = "kube-system"


class ClientConnection(ConfigModel):
    """How the API server is reached; no ``qps``, or none above 0, means no limit on our side."""

    kubeconfig: str = ""
    #: This and the next are read and not used: we speak JSON.
    accept_content_types: str = ""
    content_type: Annotated[str, _or("application/json")] = "application/json"
    qps: float | None = Field(default=None, allow_inf_nan=False)
    burst: int | None = Field(default=None, ge=0)


class ManagedResource(ConfigModel):
    """An extended resource that an extender looks after."""

    name: str = Field(min_length=1)
    #: True: NodeResourcesFit does not count it.
    ignored_by_scheduler: bool = False


class ExtenderTLSConfig(ConfigModel):
    """How an extender is trusted and how we identify ourselves to it; data go before files."""

    insecure: bool = False
    #: What the certificate must name; "" is the host of the URL.
    server_name: str = ""
    cert_file: str = ""
    key_file: str = ""
    ca_file: str = ""
    cert_data: Data = b""
    key_data: Data = b""
    ca_data: Data = b""


class Extender(ConfigModel):
    """A process that has a say over HTTP, in what its verbs name; shared by all profiles.

    A verb is the last part of the URL below `url_prefix`; "" means that it is not asked.
    """

    url_prefix: str = ""
    filter_verb: str = ""
    preempt_verb: str = ""
    prioritize_verb: str = ""
    #: Its scores are multiplied by this; at least 1 with a `prioritize_verb`.
    weight: int = Field(default=0, ge=-(2**63), le=2**63 - 1)
    bind_verb: str = ""
    enable_https: bool = Field(default=False, alias="enableHTTPS")
    tls_config: ExtenderTLSConfig | None = Field(default=None, alias="tlsConfig")
    #: Seconds; never 0.
    http_timeout: Annotated[Duration, _or(DEFAULT_EXTENDER_TIMEOUT_S)] = DEFAULT_EXTENDER_TIMEOUT_S
    #: True: it keeps nodes itself, so that their names are enough.
    node_cache_capable: bool = False
    #: It is asked about pods that request one of these, or about all when there are none.
    managed_resources: tuple[ManagedResource, ...] = ()
    #: True: a pod is scheduled without it when it fails.
    ignorable: bool = False


class KubeSchedulerConfiguration(ConfigModel):
    """The whole file."""

    api_version: Literal["kubescheduler.config.k8s.io/v1"]
    kind: Literal["KubeSchedulerConfiguration"]
    parallelism: int = Field(default=16, gt=0)
    leader_election: LeaderElection = LeaderElection()
    client_connection: ClientConnection = ClientConnection()
    enable_profiling: bool = True
    #: None: as `enable_profiling`.
    enable_contention_profiling: bool | None = None
    percentage_of_nodes_to_score: int = Field(default=0, ge=0, le=100)
    pod_initial_backoff_seconds: int = Field(default=1, gt=0)
    pod_max_backoff_seconds: int = Field(default=10, gt=0)
    profiles: Annotated[tuple[Profile, ...], _or((Profile(),))] = (Profile(),)
    extenders: tuple[Extender, ...] = ()
    delay_cache_until_active: bool = False
