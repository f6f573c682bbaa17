from __future__ import annotations

from typing import Final

import pytest

from pyscheduler.config.configuration import Configuration
from pyscheduler.config.load import parse_config
from pyscheduler.config.models import Extender, ExtenderTLSConfig, ManagedResource
from pyscheduler.errors import ConfigError
from tests.unit.config.catalogue import Catalogue

HEADER: Final = """\
apiVersion: kubescheduler.config.k8s.io/v1
kind: KubeSchedulerConfiguration
"""


def load(text: str) -> Configuration:
    return parse_config(HEADER + text, Catalogue(), source="scheduler.yaml")


def problems(text: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        load(text)
    return list(caught.value.problems)


def test_every_field_is_read() -> None:
    config = load(
        """\
extenders:
- urlPrefix: https://127.0.0.1:8888/scheduler
  filterVerb: filter
  preemptVerb: preempt
  prioritizeVerb: prioritize
  weight: 5
  bindVerb: bind
  enableHTTPS: true
  tlsConfig:
    serverName: extender
    certFile: /cert
    keyFile: /key
    caFile: /ca
    certData: Y2VydA==
    keyData: a2V5
    caData: |
      LS0tLS1CRUdJTiBDRVJU
      SUZJQ0FURS0tLS0t
  httpTimeout: 1m30s
  nodeCacheCapable: true
  managedResources: [{name: example.com/gpu, ignoredByScheduler: true}, {name: example.com/nic}]
  ignorable: true
"""
    )

    assert config.extenders == (
        Extender.model_construct(
            url_prefix="https://127.0.0.1:8888/scheduler",
            filter_verb="filter",
            preempt_verb="preempt",
            prioritize_verb="prioritize",
            weight=5,
            bind_verb="bind",
            enable_https=True,
            tls_config=ExtenderTLSConfig.model_construct(
                server_name="extender",
                cert_file="/cert",
                key_file="/key",
                ca_file="/ca",
                cert_data=b"cert",
                key_data=b"key",
                ca_data=b"-----BEGIN CERTIFICATE-----",
            ),
            http_timeout=90.0,
            node_cache_capable=True,
            managed_resources=(
                ManagedResource.model_construct(name="example.com/gpu", ignored_by_scheduler=True),
                ManagedResource.model_construct(name="example.com/nic"),
            ),
            ignorable=True,
        ),
    )


@pytest.mark.parametrize("text", ["", ", httpTimeout: 0s"])
def test_an_extender_has_five_seconds_unless_told(text: str) -> None:
    (extender,) = load(f"extenders: [{{urlPrefix: 'http://x'{text}}}]").extenders

    assert extender.http_timeout == 5.0


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param(
            "extenders: [{urlPrefix: x, prioritizeVerb: prioritize}]",
            "extenders[0].weight: must be more than 0 with a prioritizeVerb, got 0 (line 3)",
            id="no weight",
        ),
        pytest.param(
            "extenders: [{urlPrefix: x, bindVerb: b}, {urlPrefix: y}, {urlPrefix: z, bindVerb: b}]",
            "extenders[2].bindVerb: only one extender can bind, and extenders[0] does (line 3)",
            id="two binders",
        ),
        pytest.param(
            "extenders: [{urlPrefix: x, managedResources: [{name: cpu}]}]",
            'extenders[0].managedResources[0].name: "cpu" is not the name of an extended resource '
            "(line 3)",
            id="native resource",
        ),
        pytest.param(
            "extenders: [{urlPrefix: x, managedResources: [{name: Example.com/gpu}]}]",
            'extenders[0].managedResources[0].name: "Example.com", the part of "Example.com/gpu" '
            'before the "/", is not a DNS subdomain (line 3)',
            id="prefix",
        ),
        pytest.param(
            "extenders: [{managedResources: [{name: a.b/c}]}, {managedResources: [{name: a.b/c}]}]",
            'extenders[1].managedResources[0].name: "a.b/c" is already the name of '
            "extenders[0].managedResources[0] (line 3)",
            id="managed twice",
        ),
        pytest.param(
            "extenders: [{urlPrefix: x, managedResources: [{ignoredByScheduler: true}]}]",
            "extenders[0].managedResources[0].name: required (line 3)",
            id="resource without a name",
        ),
        pytest.param(
            "extenders: [{urlPrefix: x, tlsConfig: {caData: '?'}}]",
            "extenders[0].tlsConfig.caData: is not data in base64 (line 3)",
            id="no base64",
        ),
        pytest.param(
            "extenders: [{urlPrefix: x, tlsConfig: {caData: Y2E=}}]",
            "extenders[0].tlsConfig.caData: has no certificate in PEM format (line 3)",
            id="no certificate",
        ),
        pytest.param(
            "extenders: [{urlPrefix: x, tlsConfig: {insecure: true, caFile: /ca}}]",
            "extenders[0].tlsConfig.insecure: must not be true together with caFile or caData "
            "(line 3)",
            id="insecure with an authority",
        ),
        pytest.param(
            "extenders: [{urlPrefix: x, httpTimeout: 5}]",
            'extenders[0].httpTimeout: expected a duration such as "15s" (line 3)',
            id="timeout as a number",
        ),
        pytest.param(
            "extenders: [{urlPrefix: x, enableHttps: true}]",
            'extenders[0].enableHttps: unknown field; did you mean "enableHTTPS"? (line 3)',
            id="unknown field",
        ),
    ],
)
def test_one_problem_is_one_line_with_its_path(text: str, expected: str) -> None:
    assert problems(text) == [expected]
