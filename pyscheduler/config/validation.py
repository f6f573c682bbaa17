"""What must hold between the fields of a configuration, plugins apart, and what deserves a warning.

Single fields are checked by their models, plugin sets and arguments by
`pyscheduler.config.profiles`. Nothing here stops at the first problem.
"""

from __future__ import annotations

from pyscheduler.config.models import (
    STOCK_SCHEDULER_NAME,
    UNNAMED,
    Extender,
    KubeSchedulerConfiguration,
    LeaderElection,
)
from pyscheduler.config.problems import Problems, format_path
from pyscheduler.config.resource_names import checked_extended_resource
from pyscheduler.config.yaml_tree import Path

#: By how much retries are stretched at most; client-go's JitterFactor.
_RETRY_JITTER = 1.2
_LEASES = "leases"
#: How a certificate in PEM format begins.
_CERTIFICATE = b"-----BEGIN CERTIFICATE-----"
#: Fields that are accepted for the sake of files written for kube-scheduler, and why they do
#: nothing here.
_WITHOUT_EFFECT = {
    "parallelism": "all nodes are judged at once on one core",
    "delay_cache_until_active": "a standby always keeps its caches warm",
    "enable_profiling": "there are no profiling endpoints",
    "enable_contention_profiling": "there are no profiling endpoints",
}


def check_fields(config: KubeSchedulerConfiguration, problems: Problems) -> None:
    """Note every rule between plain fields that the configuration breaks."""
    if config.leader_election.leader_elect:
        _check_leader_election(config.leader_election, problems)
    if config.pod_max_backoff_seconds < config.pod_initial_backoff_seconds:
        problems.add(
            ("podMaxBackoffSeconds",),
            f"must be at least podInitialBackoffSeconds ({config.pod_initial_backoff_seconds}), "
            f"got {config.pod_max_backoff_seconds}",
        )
    for index, extender in enumerate(config.extenders):
        _check_extender(extender, at=("extenders", index), problems=problems)
    _check_binders(config, problems)
    _check_managed_resources(config, problems)
    _check_scheduler_names(config, problems)


def note_warnings(config: KubeSchedulerConfiguration, problems: Problems) -> None:
    """Note what the user should know about plain fields that are valid."""
    for index, profile in enumerate(config.profiles):
        if profile.scheduler_name == STOCK_SCHEDULER_NAME:
            problems.warn(
                ("profiles", index, "schedulerName"),
                f"{STOCK_SCHEDULER_NAME} is the stock scheduler's name; "
                "make sure that no other scheduler uses it in this cluster",
            )
    for name, reason in _WITHOUT_EFFECT.items():
        field = type(config).model_fields[name]
        default = config.enable_profiling if field.default is None else field.default
        if name in config.model_fields_set and getattr(config, name) != default:
            problems.warn((field.alias or name,), f"has no effect here: {reason}")
    for index, extender in enumerate(config.extenders):
        _note_extender(extender, at=("extenders", index), problems=problems)


def _check_leader_election(election: LeaderElection, problems: Problems) -> None:
    root = "leaderElection"
    for field, duration_s in (
        ("leaseDuration", election.lease_duration),
        ("renewDeadline", election.renew_deadline),
        ("retryPeriod", election.retry_period),
    ):
        if duration_s < 0:
            problems.add((root, field), f"must be more than 0, got {duration_s:g}s")
    if election.lease_duration <= election.renew_deadline:
        problems.add(
            (root, "leaseDuration"),
            f"must be more than renewDeadline ({election.renew_deadline:g}s), "
            f"got {election.lease_duration:g}s",
        )
    if election.renew_deadline <= _RETRY_JITTER * election.retry_period:
        problems.add(
            (root, "renewDeadline"),
            f"must be more than {_RETRY_JITTER:g} times retryPeriod ({election.retry_period:g}s), "
            f"got {election.renew_deadline:g}s",
        )
    if election.resource_lock != _LEASES:
        problems.add(
            (root, "resourceLock"), f'expected "{_LEASES}", got "{election.resource_lock}"'
        )


def _check_extender(extender: Extender, *, at: Path, problems: Problems) -> None:
    if extender.prioritize_verb and extender.weight <= 0:
        problems.add(
            (*at, "weight"), f"must be more than 0 with a prioritizeVerb, got {extender.weight}"
        )
    tls = extender.tls_config
    if tls is not None and tls.insecure and (tls.ca_file or tls.ca_data):
        problems.add(
            (*at, "tlsConfig", "insecure"), "must not be true together with caFile or caData"
        )
    if tls is not None and tls.ca_data and _CERTIFICATE not in tls.ca_data:
        problems.add((*at, "tlsConfig", "caData"), "has no certificate in PEM format")


def _note_extender(extender: Extender, *, at: Path, problems: Problems) -> None:
    if not extender.url_prefix:
        problems.warn((*at, "urlPrefix"), "is empty, so that every call will fail")
    tls = extender.tls_config
    if tls is not None and bool(tls.cert_file or tls.cert_data) != bool(
        tls.key_file or tls.key_data
    ):
        problems.warn(
            (*at, "tlsConfig"), "a certificate without its key, or a key alone, is not used"
        )


def _check_binders(config: KubeSchedulerConfiguration, problems: Problems) -> None:
    binders = [index for index, extender in enumerate(config.extenders) if extender.bind_verb]
    for index in binders[1:]:
        problems.add(
            ("extenders", index, "bindVerb"),
            f"only one extender can bind, and extenders[{binders[0]}] does",
        )


def _check_managed_resources(config: KubeSchedulerConfiguration, problems: Problems) -> None:
    first: dict[str, Path] = {}
    for index, extender in enumerate(config.extenders):
        for place, resource in enumerate(extender.managed_resources):
            if resource.name == UNNAMED:
                continue
            path = ("extenders", index, "managedResources", place)
            try:
                checked_extended_resource(resource.name)
            except ValueError as error:
                problems.add((*path, "name"), str(error))
            where = first.setdefault(resource.name, path)
            if where != path:
                problems.add(
                    (*path, "name"),
                    f'"{resource.name}" is already the name of {format_path(where)}',
                )


def _check_scheduler_names(config: KubeSchedulerConfiguration, problems: Problems) -> None:
    first: dict[str, int] = {}
    for index, profile in enumerate(config.profiles):
        path = ("profiles", index, "schedulerName")
        name = profile.scheduler_name
        if name is None:
            if len(config.profiles) > 1:
                problems.add(path, "required when there are several profiles")
        elif name in first:
            problems.add(path, f'"{name}" is already the name of profiles[{first[name]}]')
        else:
            first[name] = index
