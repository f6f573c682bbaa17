from __future__ import annotations

from pathlib import Path
from typing import Final

import pytest

from pyscheduler.config.configuration import Configuration
from pyscheduler.config.load import default_config, load_config, parse_config
from pyscheduler.config.models import EXTENSION_POINTS
from pyscheduler.errors import ConfigError
from tests.unit.config.catalogue import Catalogue, FitArgs

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


def names(config: Configuration, point: str) -> list[str]:
    return [entry.name for entry in config.profiles[0].at(point)]


def test_defaults_without_a_file() -> None:
    config = default_config(Catalogue())
    profile = config.profiles[0]

    assert profile.scheduler_name == "pyscheduler"
    assert [(e.name, e.weight) for e in profile.at("score")] == [
        ("TaintToleration", 3),
        ("NodeResourcesFit", 1),
    ]
    assert profile.args["NodeResourcesFit"] == FitArgs()
    assert set(profile.plugins) == set(EXTENSION_POINTS)
    assert config.leader_election.leader_elect
    assert config.leader_election.resource_name == "pyscheduler"
    assert config.client_connection.qps is None
    assert config.warnings == ()


def test_default_config_takes_the_scheduler_name() -> None:
    assert default_config(Catalogue(), scheduler_name="mine").profiles[0].scheduler_name == "mine"


@pytest.mark.parametrize("text", ["", "profiles: []", "profiles: [{}]", "profiles:"])
def test_no_profile_is_the_default_profile(text: str) -> None:
    assert load(text).profiles == default_config(Catalogue()).profiles


def test_plain_fields_are_read() -> None:
    config = load(
        "leaderElection: {leaderElect: false, leaseDuration: 1m30s}\n"
        "clientConnection: {qps: 50, burst: 100, kubeconfig: /k}\n"
        "percentageOfNodesToScore: 30\npodInitialBackoffSeconds: 2\npodMaxBackoffSeconds: 20\n"
        "extenders:\n"
    )

    assert not config.leader_election.leader_elect
    assert config.leader_election.lease_duration == 90.0
    assert (config.client_connection.qps, config.client_connection.burst) == (50.0, 100)
    assert config.profiles[0].percentage_of_nodes_to_score == 30
    assert (config.pod_initial_backoff_s, config.pod_max_backoff_s) == (2.0, 20.0)


@pytest.mark.parametrize(
    ("name", "warned"),
    [
        pytest.param("default-scheduler", True, id="the stock name"),
        pytest.param("mine", False, id="a name of our own"),
    ],
)
def test_stock_scheduler_name_draws_a_warning(name: str, warned: bool) -> None:
    config = load(f"profiles: [{{schedulerName: {name}}}]")

    assert any("profiles[0].schedulerName" in text for text in config.warnings) is warned


def test_fields_without_effect_draw_a_warning() -> None:
    assert load("parallelism: 4").warnings == (
        "parallelism: has no effect here: all nodes are judged at once on one core (line 3)",
    )
    assert load("parallelism: 16").warnings == ()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param(
            "profiles: [{plugins: {score: {disabled: [{name: TaintTolerations}]}}}]",
            "profiles[0].plugins.score.disabled[0].name: has no effect: nobody provides a plugin "
            '"TaintTolerations"; did you mean "TaintToleration"? (line 3)',
            id="unknown plugin disabled",
        ),
        pytest.param(
            "profiles: [{pluginConfig: [{name: XYZ, args: {a: 1}}]}]",
            "profiles[0].pluginConfig[0].name: has no effect: nobody provides a plugin "
            '"XYZ" (line 3)',
            id="unknown plugin configured",
        ),
        pytest.param(
            "profiles: [{plugins: {preFilter: {enabled: [{name: TaintToleration}]}}}]",
            "profiles[0].plugins.preFilter.enabled[0].name: has no effect: "
            '"TaintToleration" has nothing to do at preFilter here (line 3)',
            id="point that only upstream has",
        ),
        pytest.param(
            "extenders: [{filterVerb: filter}]",
            "extenders[0].urlPrefix: is empty, so that every call will fail (line 3)",
            id="extender without a url",
        ),
        pytest.param(
            "extenders: [{urlPrefix: x, tlsConfig: {certFile: /cert}}]",
            "extenders[0].tlsConfig: a certificate without its key, or a key alone, is not used "
            "(line 3)",
            id="certificate without a key",
        ),
        pytest.param(
            "enableProfiling: false",
            "enableProfiling: has no effect here: there are no profiling endpoints (line 3)",
            id="profiling",
        ),
    ],
)
def test_what_a_user_should_know_is_a_warning(text: str, expected: str) -> None:
    assert load(text).warnings == (expected,)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param(
            "paralelism: 3", "paralelism: unknown field; did you mean", id="unknown at the root"
        ),
        pytest.param(
            "leaderElection: {leaderelect: true}",
            'leaderElection.leaderelect: unknown field; did you mean "leaderElect"? (line 3)',
            id="unknown by case",
        ),
        pytest.param(
            "leader_election: {}",
            'leader_election: unknown field; did you mean "leaderElection"? (line 3)',
            id="python spelling",
        ),
        pytest.param(
            "parallelism: ten", 'parallelism: expected an integer, got "ten" (line 3)', id="type"
        ),
        pytest.param("parallelism: 0", "parallelism: expected more than 0, got 0", id="range"),
        pytest.param('parallelism: "3"', 'got "3"', id="no coercion from text"),
        pytest.param(
            "leaderElection: {leaseDuration: 15}",
            'leaderElection.leaseDuration: expected a duration such as "15s"',
            id="duration as a number",
        ),
        pytest.param(
            "leaderElection: {leaseDuration: 15 s}",
            'leaderElection.leaseDuration: "15 s" is not a duration',
            id="duration misspelt",
        ),
        pytest.param(
            "leaderElection: {leaseDuration: 5s}",
            "leaderElection.leaseDuration: must be more than renewDeadline (10s), got 5s",
            id="lease shorter than renewal",
        ),
        pytest.param(
            "leaderElection: {retryPeriod: -1s}",
            "leaderElection.retryPeriod: must be more than 0, got -1s (line 3)",
            id="negative duration",
        ),
        pytest.param(
            "leaderElection: {resourceLock: endpoints}",
            'leaderElection.resourceLock: expected "leases", got "endpoints" (line 3)',
            id="lock",
        ),
        pytest.param(
            "profiles: [{plugins: {score: {enabled: [{name: NodeHeat, weight: -1}]}}}]",
            "profiles[0].plugins.score.enabled[0].weight: expected at least 0, got -1 (line 3)",
            id="negative weight",
        ),
        pytest.param(
            "profiles: [{plugins: {filter: {enabled: [{name: EBSLimits}]}}}]",
            'plugin "EBSLimits" is no more: NodeVolumeLimits does its work (line 3)',
            id="removed plugin",
        ),
        pytest.param(
            "profiles: [{pluginConfig: [{name: EBSLimits}]}]",
            'profiles[0].pluginConfig[0].name: plugin "EBSLimits" is no more',
            id="removed plugin configured",
        ),
        pytest.param(
            "leaderElection: {retryPeriod: 9s}",
            "leaderElection.renewDeadline: must be more than 1.2 times retryPeriod (9s), got 10s",
            id="no time for a retry",
        ),
        pytest.param(
            "podMaxBackoffSeconds: 1\npodInitialBackoffSeconds: 5",
            "podMaxBackoffSeconds: must be at least podInitialBackoffSeconds (5), got 1",
            id="backoff upside down",
        ),
        pytest.param(
            "profiles: [{schedulerName: a}, {schedulerName: a}]",
            'profiles[1].schedulerName: "a" is already the name of profiles[0] (line 3)',
            id="same name twice",
        ),
        pytest.param(
            "profiles: [{schedulerName: a}, {}]",
            "profiles[1].schedulerName: required",
            id="name missing",
        ),
        pytest.param(
            "profiles: [{plugins: {placementScore: {enabled: [{name: NodeHeat}]}}}]",
            "profiles[0].plugins.placementScore.enabled: placementScore plugins are not",
            id="placement points",
        ),
        pytest.param(
            "profiles: [{plugins: {filter: {enabled: [{name: NodeHeta}]}}}]",
            'profiles[0].plugins.filter.enabled[0].name: nobody provides a plugin "NodeHeta"; '
            'did you mean "NodeHeat"? (line 3)',
            id="unknown plugin",
        ),
        pytest.param(
            "profiles: [{plugins: {score: {enabled: [{name: VolumeBinding}]}}}]",
            'plugin "VolumeBinding" is not available yet',
            id="not there yet",
        ),
        pytest.param(
            "profiles: [{plugins: {multiPoint: {enabled: [{name: broken:Thing}]}}}]",
            "cannot be imported",
            id="plugin that cannot be imported",
        ),
        pytest.param(
            "profiles: [{plugins: {permit: {enabled: [{name: NodeHeat}]}}}]",
            'plugin "NodeHeat" does not implement permit',
            id="point not implemented",
        ),
        pytest.param(
            "profiles: [{plugins: {filter: {enabled: [{name: NodeHeat}, {name: NodeHeat}]}}}]",
            "profiles[0].plugins.filter.enabled[1].name: plugin",
            id="enabled twice",
        ),
        pytest.param(
            "profiles: [{plugins: {queueSort: {enabled: [{name: OtherSort}]}}}]",
            "exactly one plugin must sort the queue, got PrioritySort, OtherSort",
            id="two queue sorts",
        ),
        pytest.param(
            "profiles: [{plugins: {bind: {disabled: [{name: '*'}]}}}]",
            "profiles[0].plugins.bind: at least one plugin must bind",
            id="nobody binds",
        ),
        pytest.param(
            "profiles: [{pluginConfig: "
            "[{name: NodeResourcesFit, args: {shape: [{utilization: 101}]}}]}]",
            "profiles[0].pluginConfig[0].args.shape[0].utilization: expected at most 100, got 101",
            id="args out of range",
        ),
        pytest.param(
            "profiles: [{pluginConfig: [{name: NodeResourcesFit, args: {ignoredResource: []}}]}]",
            'args.ignoredResource: unknown field; did you mean "ignoredResources"?',
            id="args unknown",
        ),
        pytest.param(
            "profiles: [{pluginConfig: [{name: NodeResourcesFit, args: {kind: FitArgs}}]}]",
            'args.kind: expected "NodeResourcesFitArgs", got "FitArgs"',
            id="args of another kind",
        ),
        pytest.param(
            "profiles: [{pluginConfig: [{name: NodeHeat, args: {max: 1}}]}]",
            'plugin "NodeHeat" takes no arguments',
            id="args for none",
        ),
        pytest.param(
            "profiles: [{pluginConfig: [{name: NodeHeat}, {name: NodeHeat}]}]",
            'profiles[0].pluginConfig[1].name: plugin "NodeHeat" is configured twice',
            id="configured twice",
        ),
        pytest.param(
            "profiles: [{plugins: {filter: {enabled: [{name: Needy}]}}}]",
            'profiles[0].pluginConfig: plugin "Needy" needs arguments: url',
            id="args required",
        ),
        pytest.param("<<: 3", '"<<" takes a map or a list of maps (line 3)', id="merged number"),
        pytest.param(
            "<<: &a {parallelism: 1, <<: *a}",
            "an alias refers to what contains it",
            id="merged with itself",
        ),
        pytest.param(
            "parallelism: 1\nparallelism: 2",
            "parallelism: given twice, first in line 3 (line 4)",
            id="twice",
        ),
        pytest.param("a: [1", "not valid YAML:", id="syntax"),
        pytest.param(
            "extenders: &x [*x]", "an alias refers to what contains it", id="cyclic alias"
        ),
        pytest.param("1: 2", "keys must be text (line 3)", id="number as key"),
        pytest.param("---\na: 1", "not valid YAML", id="two documents"),
    ],
)
def test_one_problem_is_one_line_with_its_path(text: str, expected: str) -> None:
    found = problems(text)

    assert len(found) == 1
    assert expected in found[0]


def test_every_problem_is_reported_at_once() -> None:
    found = problems(
        "parallelism: ten\n"
        "leaderElection: {leaderElekt: true, retryPeriod: 20s}\n"
        "profiles:\n"
        "- schedulerName: a\n"
        "  plugins:\n"
        "    score:\n"
        "      enabled:\n"
        "      - nme: NodeHeat\n"
        "      - TaintToleration\n"
        "      - {name: NodeHeat, weight: high}\n"
        "      - {name: NodeHeit}\n"
        "  pluginConfig:\n"
        "  - {name: NodeResourcesFit, args: {ignoredResources: [1]}}\n"
    )

    assert found == [
        'parallelism: expected an integer, got "ten" (line 3)',
        'leaderElection.leaderElekt: unknown field; did you mean "leaderElect"? (line 4)',
        "profiles[0].plugins.score.enabled[0].name: required (line 10)",
        'profiles[0].plugins.score.enabled[0].nme: unknown field; did you mean "name"? (line 10)',
        (
            "profiles[0].plugins.score.enabled[1]: expected a map of fields, "
            'got "TaintToleration" (line 11)'
        ),
        'profiles[0].plugins.score.enabled[2].weight: expected an integer, got "high" (line 12)',
        (
            "leaderElection.renewDeadline: must be more than 1.2 times retryPeriod (20s), "
            "got 10s (line 4)"
        ),
        (
            "profiles[0].plugins.score.enabled[3].name: nobody provides a plugin "
            '"NodeHeit"; did you mean "NodeHeat"? (line 13)'
        ),
        "profiles[0].pluginConfig[0].args.ignoredResources[0]: expected text, got 1 (line 15)",
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("", "the file is empty", id="empty"),
        pytest.param("- a", "expected a KubeSchedulerConfiguration", id="a list"),
        pytest.param("kind: Pod", "apiVersion: required", id="no version"),
        pytest.param(
            "apiVersion: kubescheduler.config.k8s.io/v1beta3\nkind: KubeSchedulerConfiguration",
            'apiVersion: expected "kubescheduler.config.k8s.io/v1", '
            'got "kubescheduler.config.k8s.io/v1beta3"',
            id="an old version",
        ),
    ],
)
def test_what_is_no_configuration_is_refused(text: str, expected: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_config(text, Catalogue(), source="x.yaml")

    assert str(caught.value).startswith(f"x.yaml: {expected}")


def test_profiles_must_agree_on_the_queue_sort() -> None:
    found = problems(
        "profiles:\n- schedulerName: a\n- schedulerName: b\n"
        "  plugins: {queueSort: {enabled: [{name: OtherSort}], disabled: [{name: '*'}]}}\n"
    )

    assert found == [
        (
            "profiles[1].plugins.queueSort: all profiles share one queue and must have the same "
            "queueSort set, with the same arguments (line 6)"
        )
    ]


def test_args_are_read_with_the_model_of_the_plugin() -> None:
    config = load(
        "profiles:\n- pluginConfig:\n  - name: NodeResourcesFit\n    args:\n"
        "      apiVersion: kubescheduler.config.k8s.io/v1\n      kind: NodeResourcesFitArgs\n"
        "      ignoredResources: [example.com/gpu]\n"
    )

    assert config.profiles[0].args["NodeResourcesFit"] == FitArgs(
        ignored_resources=("example.com/gpu",)
    )


def test_disabling_a_plugin_that_only_upstream_has_is_no_mistake() -> None:
    load("profiles: [{plugins: {multiPoint: {disabled: [{name: PodTopologySpread}]}}}]")


def test_dates_stay_text() -> None:
    config = load("profiles: [{schedulerName: 2024-01-01}]")

    assert config.profiles[0].scheduler_name == "2024-01-01"


def test_unreadable_file_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        load_config(tmp_path / "none.yaml", Catalogue())

    assert (
        str(caught.value) == f"{tmp_path / 'none.yaml'}: cannot be read: no such file or directory"
    )


def test_file_is_read(tmp_path: Path) -> None:
    path = tmp_path / "scheduler.yaml"
    path.write_text(HEADER + "profiles: [{schedulerName: from-file}]")

    assert load_config(path, Catalogue()).profiles[0].scheduler_name == "from-file"


def test_own_percentage_of_a_profile_wins() -> None:
    config = load(
        "percentageOfNodesToScore: 30\n"
        "profiles: [{schedulerName: a, percentageOfNodesToScore: 0}, {schedulerName: b}]"
    )

    assert [p.percentage_of_nodes_to_score for p in config.profiles] == [0, 30]


def test_zero_and_empty_text_count_as_not_given() -> None:
    config = load(
        "leaderElection: {leaseDuration: 0s, renewDeadline: 0s, retryPeriod: 0s, "
        'resourceLock: "", resourceName: "", resourceNamespace: ""}\n'
        'clientConnection: {contentType: ""}\n'
    )

    assert config.leader_election == default_config(Catalogue()).leader_election
    assert config.client_connection.content_type == "application/json"


def test_without_an_election_its_durations_do_not_matter() -> None:
    config = load("leaderElection: {leaderElect: false, leaseDuration: 5s, retryPeriod: -1s}")

    assert not config.leader_election.leader_elect


def test_what_extenders_manage_takes_the_place_of_the_ignored_resources() -> None:
    config = load(
        "extenders:\n"
        "- {urlPrefix: a, managedResources: [{name: a.b/c, ignoredByScheduler: true}]}\n"
        "- {urlPrefix: b, managedResources: [{name: a.b/d}]}\n"
        "profiles:\n"
        "- schedulerName: a\n"
        "  pluginConfig: [{name: NodeResourcesFit, args: {ignoredResources: [x.y/z]}}]\n"
        "- schedulerName: b\n"
        "- schedulerName: c\n"
        "  plugins: {multiPoint: {disabled: [{name: NodeResourcesFit}]}}\n"
    )

    expected = FitArgs(ignored_resources=("a.b/c",))
    assert [p.args.get("NodeResourcesFit") for p in config.profiles] == [expected, expected, None]
    assert config.warnings == (
        (
            "profiles[0].pluginConfig: ignoredResources of NodeResourcesFit are replaced by those "
            "that extenders manage, without x.y/z (line 8)"
        ),
    )


def test_arguments_of_a_plugin_that_is_not_enabled_are_checked_and_left_out() -> None:
    disabled = "plugins: {multiPoint: {disabled: [{name: NodeResourcesFit}]}}"
    entry = "pluginConfig: [{name: NodeResourcesFit, args: {ignoredResources: [%s]}}]"

    assert (
        "NodeResourcesFit"
        not in load(f"profiles: [{{{disabled}, {entry % 'a'}}}]").profiles[0].args
    )
    assert problems(f"profiles: [{{{disabled}, {entry % '1'}}}]") == [
        "profiles[0].pluginConfig[0].args.ignoredResources[0]: expected text, got 1 (line 3)"
    ]


def test_a_reference_stands_for_the_name_of_its_class() -> None:
    config = load(
        "profiles:\n"
        "- plugins:\n"
        "    filter: {enabled: [{name: 'made.up:Heat'}]}\n"
        "    score: {enabled: [{name: NodeHeat}], disabled: [{name: 'made.up:Heat'}]}\n"
        "    multiPoint: {enabled: [{name: 'made.up:Heat', weight: 3}]}\n"
    )

    assert names(config, "filter") == ["NodeHeat", "TaintToleration", "NodeResourcesFit"]
    assert names(config, "score") == ["TaintToleration", "NodeResourcesFit", "NodeHeat"]
    assert config.profiles[0].multi_point[-1].name == "made.up:Heat"


def test_a_plugin_by_name_and_by_reference_is_one_plugin() -> None:
    assert problems(
        "profiles: [{plugins: {filter: {enabled: [{name: 'made.up:Heat'}, {name: NodeHeat}]}}}]"
    ) == [
        (
            "profiles[0].plugins.filter.enabled[1].name: plugin "
            '"NodeHeat" is enabled twice in this set (line 3)'
        )
    ]


def test_plugins_of_files_are_known_to_every_profile(tmp_path: Path) -> None:
    path = tmp_path / "scheduler.yaml"
    path.write_text(
        HEADER + "profiles:\n"
        "- schedulerName: a\n  plugins: {filter: {enabled: [{name: FromFile}]}}\n"
        "- schedulerName: b\n  pluginFiles: [good.py, /elsewhere/good]\n"
    )
    catalogue = Catalogue()

    config = load_config(path, catalogue)

    assert [entry.name for entry in config.profiles[0].at("filter")][-1] == "FromFile"
    assert catalogue.files == [tmp_path / "good.py", Path("/elsewhere/good")]
    assert config.profiles[1].plugin_files == tuple(catalogue.files)


def test_a_broken_plugin_file_is_one_line_per_fault_with_its_path() -> None:
    found = problems("profiles: [{schedulerName: a, pluginFiles: [good.py, broken.py]}]")

    assert [text.replace(str(Path.cwd()), "") for text in found] == [
        "profiles[0].pluginFiles[1]: /broken.py, line 3: SyntaxError (line 3)",
        "profiles[0].pluginFiles[1]: /broken.py, line 7: is no plugin (line 3)",
    ]


def test_merge_keys_fill_in_what_is_not_given() -> None:
    config = load(
        "leaderElection: &election {leaseDuration: 40s, renewDeadline: 30s}\n"
        "profiles:\n"
        "- &a {schedulerName: a, percentageOfNodesToScore: 3}\n"
        "- {schedulerName: b, <<: *a}\n"
        "- {<<: [{schedulerName: c}, *a]}\n"
    )

    assert [(p.scheduler_name, p.percentage_of_nodes_to_score) for p in config.profiles] == [
        ("a", 3),
        ("b", 3),
        ("c", 3),
    ]


def test_a_field_given_twice_hides_nothing_else() -> None:
    assert problems(
        "profiles:\n- schedulerName: a\n  schedulerName: b\n  nonsense: 1\nparallelism: 0\n"
    ) == [
        "profiles[0].schedulerName: given twice, first in line 4 (line 5)",
        "parallelism: expected more than 0, got 0 (line 7)",
        "profiles[0].nonsense: unknown field (line 6)",
    ]


def test_numbers_are_those_that_go_reads() -> None:
    assert load("clientConnection: {qps: 1e3}").client_connection.qps == 1000.0
    assert load("profiles: [{schedulerName: '1e3'}]").profiles[0].scheduler_name == "1e3"
