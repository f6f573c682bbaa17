from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from pyscheduler.config.completed import completed, completed_yaml
from pyscheduler.config.load import parse_config
from pyscheduler.config.yaml_writer import as_yaml
from tests.unit.config.catalogue import Catalogue

HEADER = "apiVersion: kubescheduler.config.k8s.io/v1\nkind: KubeSchedulerConfiguration\n"


def profile(text: str) -> dict[str, Any]:
    """The first profile of a file, completed."""
    configuration = parse_config(
        HEADER + text, Catalogue(), source="c.yaml", folder=Path("/folder")
    )
    fields: dict[str, Any] = yaml.safe_load(completed_yaml(configuration))
    found: dict[str, Any] = fields["profiles"][0]
    return found


def test_plugin_files_are_absolute_so_that_the_result_can_lie_elsewhere() -> None:
    assert profile("profiles: [{pluginFiles: [good.py]}]")["pluginFiles"] == ["/folder/good.py"]


def test_arguments_of_other_peoples_plugins_have_no_kind_of_kube_schedulers() -> None:
    found = profile(
        "profiles:\n- plugins: {filter: {enabled: [{name: Needy}]}}\n"
        "  pluginConfig: [{name: Needy, args: {kind: NeedyArgs, url: 'http://x'}}]\n"
    )

    of_ours, of_kube_scheduler = found["pluginConfig"]
    assert of_ours == {"name": "Needy", "args": {"url": "http://x"}}
    assert of_kube_scheduler["args"]["kind"] == "NodeResourcesFitArgs"


def test_a_reference_stays_as_written() -> None:
    found = profile("profiles: [{plugins: {multiPoint: {enabled: [{name: 'made.up:Heat'}]}}}]")

    enabled = found["plugins"]["multiPoint"]["enabled"]
    assert enabled[-1] == {"name": "made.up:Heat", "weight": 0}


def test_no_limit_is_written_as_zero() -> None:
    configuration = parse_config(
        HEADER + "clientConnection: {qps: 7.5}", Catalogue(), source="c.yaml"
    )

    client = completed(configuration)["clientConnection"]
    assert isinstance(client, dict)
    assert (client["qps"], client["burst"]) == (7.5, 0)


def test_text_is_quoted_as_go_quotes_it() -> None:
    fields: Any = {"a": "", "b": "*", "c": "4", "d": "true", "e": "plain", "f": "1m0s", "g": "~"}

    assert as_yaml(fields) == 'a: ""\nb: \'*\'\nc: "4"\nd: "true"\ne: plain\nf: 1m0s\ng: "~"\n'
