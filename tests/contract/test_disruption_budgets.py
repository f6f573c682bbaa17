"""PodDisruptionBudgets: what preemption reads, and what the disruption controller writes."""

from __future__ import annotations

from typing import Any

import pytest

from tests.contract.api import Api, Json

NO_DISRUPTIONS = {
    "disruptionsAllowed": 0,
    "currentHealthy": 0,
    "desiredHealthy": 0,
    "expectedPods": 0,
}


def budgets(api: Api) -> str:
    return f"/apis/policy/v1/namespaces/{api.namespace}/poddisruptionbudgets"


def budget(name: str = "a", **spec: Any) -> Json:
    selector = {"matchLabels": {"app": "web"}}
    return {"metadata": {"name": name}, "spec": {"selector": selector, **spec}}


async def test_a_new_budget_allows_nothing_yet(api: Api) -> None:
    body = {**budget(minAvailable=1), "status": {"disruptionsAllowed": 7}}

    created = (await api.ok("POST", budgets(api), body)).body

    assert (created["kind"], created["apiVersion"]) == ("PodDisruptionBudget", "policy/v1")
    assert created["metadata"]["generation"] == 1
    assert created["spec"] == budget(minAvailable=1)["spec"]
    assert created["status"] == NO_DISRUPTIONS


async def test_the_controller_writes_the_status_alone(api: Api) -> None:
    await api.ok("POST", budgets(api), budget(minAvailable=1))
    counts = {"disruptionsAllowed": 2, "currentHealthy": 3, "desiredHealthy": 1, "expectedPods": 3}
    body = {"spec": {"minAvailable": 9}, "status": {**counts, "observedGeneration": 1}}

    answer = await api.patch(f"{budgets(api)}/a/status", body, "merge")

    assert answer.body["status"] == {**counts, "observedGeneration": 1}
    assert answer.body["spec"]["minAvailable"] == 1
    assert answer.body["metadata"]["generation"] == 1


async def test_a_status_counts_from_zero(api: Api) -> None:
    await api.ok("POST", budgets(api), budget(minAvailable=1))

    answer = await api.patch(
        f"{budgets(api)}/a/status", {"status": {"disruptionsAllowed": -1}}, "merge"
    )

    assert answer.status == 422
    assert answer.message == (
        'PodDisruptionBudget.policy "a" is invalid: status.disruptionsAllowed: Invalid value: -1:'
        " must be greater than or equal to 0"
    )


async def test_a_change_of_the_spec_counts_a_generation_and_leaves_the_status(api: Api) -> None:
    await api.ok("POST", budgets(api), budget(minAvailable=1))
    await api.patch(f"{budgets(api)}/a/status", {"status": {"disruptionsAllowed": 2}}, "merge")

    body = {"spec": {"minAvailable": "50%"}, "status": {"disruptionsAllowed": 5}}
    answer = await api.patch(f"{budgets(api)}/a", body, "merge")

    assert answer.body["metadata"]["generation"] == 2
    assert answer.body["spec"]["minAvailable"] == "50%"
    assert answer.body["status"]["disruptionsAllowed"] == 2


@pytest.mark.parametrize(
    ("spec", "problem"),
    [
        pytest.param(
            {"minAvailable": 1, "maxUnavailable": 1},
            "minAvailable and maxUnavailable cannot be both set",
            id="both bounds",
        ),
        pytest.param(
            {"minAvailable": -1},
            "spec.minAvailable: Invalid value: -1: must be greater than or equal to 0",
            id="negative",
        ),
        pytest.param(
            {"maxUnavailable": "half"},
            'spec.maxUnavailable: Invalid value: "half": a valid percent string must be a numeric'
            " string followed by an ending '%'",
            id="no percentage",
        ),
        pytest.param(
            {"maxUnavailable": "101%"},
            'spec.maxUnavailable: Invalid value: "101%": must not be greater than 100%',
            id="more than all",
        ),
    ],
)
async def test_an_impossible_budget_is_refused(api: Api, spec: Json, problem: str) -> None:
    answer = await api.request("POST", budgets(api), budget(**spec))

    assert (answer.status, answer.body["reason"]) == (422, "Invalid")
    assert answer.message.startswith('PodDisruptionBudget.policy "a" is invalid: spec')
    assert problem in answer.message


async def test_put_of_a_budget_needs_a_version(api: Api) -> None:
    created = (await api.ok("POST", budgets(api), budget(minAvailable=1))).body

    blind = await api.request("PUT", f"{budgets(api)}/a", budget(minAvailable=2))
    created["spec"]["minAvailable"] = 2
    seen = await api.request("PUT", f"{budgets(api)}/a", created)

    assert blind.status == 422
    assert "metadata.resourceVersion: Invalid value" in blind.message
    assert (seen.status, seen.body["spec"]["minAvailable"]) == (200, 2)


async def test_budgets_are_listed_and_watched_over_all_namespaces(api: Api) -> None:
    everywhere = "/apis/policy/v1/poddisruptionbudgets"
    version = (await api.get(everywhere))["metadata"]["resourceVersion"]
    async with api.watch(everywhere, resourceVersion=version) as watch:
        await api.ok("POST", budgets(api), budget(minAvailable=1))
        await api.patch(f"{budgets(api)}/a/status", {"status": {"disruptionsAllowed": 1}}, "merge")
        await api.ok("DELETE", f"{budgets(api)}/a")

        assert await watch.names(3) == [("ADDED", "a"), ("MODIFIED", "a"), ("DELETED", "a")]


async def test_the_policy_group_is_discovered(api: Api) -> None:
    listed = await api.get("/apis/policy/v1")

    found = {resource["name"]: resource for resource in listed["resources"]}
    assert found["poddisruptionbudgets"]["shortNames"] == ["pdb"]
    assert set(found["poddisruptionbudgets/status"]["verbs"]) == {"get", "patch", "update"}
