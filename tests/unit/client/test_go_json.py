"""Answers are read as Go's encoding/json reads them."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from pyscheduler.api.extender_v1 import (
    ExtenderBindingResult,
    ExtenderFilterResult,
    ExtenderPreemptionResult,
    HostPriority,
    MetaPod,
    MetaVictims,
)
from pyscheduler.client.go_json import decode

SCORES = tuple[HostPriority, ...]


@pytest.mark.parametrize(
    ("body", "wanted", "value"),
    [
        pytest.param(
            b'{"NodeNames":["a"]}',
            ExtenderFilterResult,
            ExtenderFilterResult(node_names=("a",)),
            id="exact",
        ),
        pytest.param(
            b'{"nodenames":["a"],"FAILEDNODES":{"B":"x"}}',
            ExtenderFilterResult,
            ExtenderFilterResult(node_names=("a",), failed_nodes={"B": "x"}),
            id="any case, but for keys of maps",
        ),
        pytest.param(
            b'{"error":"folded","Error":"exact"}',
            ExtenderBindingResult,
            ExtenderBindingResult("exact"),
            id="the exact spelling goes first",
        ),
        pytest.param(
            b'{"Error":"x","More":{"Error":"y"}}',
            ExtenderBindingResult,
            ExtenderBindingResult("x"),
            id="unknown keys",
        ),
        pytest.param(
            b'{"Error":null,"Nodes":null,"FailedNodes":null}',
            ExtenderFilterResult,
            ExtenderFilterResult(),
            id="nulls",
        ),
        pytest.param(
            b'{"nodeNameToMetaVictims":{"n":{"pods":[{"uid":"u"}],"numPdbViolations":2}}}',
            ExtenderPreemptionResult,
            ExtenderPreemptionResult({"n": MetaVictims((MetaPod("u"),), 2)}),
            id="structs in maps and lists",
        ),
        pytest.param(b"null", ExtenderBindingResult, ExtenderBindingResult(), id="nothing at all"),
        pytest.param(b"[]", SCORES, (), id="empty list"),
        pytest.param(b"null", SCORES, (), id="no list"),
        pytest.param(
            b'[{"host":"a","score":-3}]', SCORES, (HostPriority("a", -3),), id="list of structs"
        ),
    ],
)
def test_values(body: bytes, wanted: type[Any], value: object) -> None:
    assert decode(body, wanted) == value


def test_names_of_nodes_are_found_in_whole_ones() -> None:
    body = b'{"Nodes":{"metadata":{},"Items":[{"spec":{"x":1},"Metadata":{"name":"a","uid":"u"}}]}}'
    nodes = decode(body, ExtenderFilterResult).nodes

    assert nodes is not None
    assert [node.metadata.name for node in nodes.items] == ["a"]


@pytest.mark.parametrize(
    ("body", "wanted"),
    [
        pytest.param(b"", ExtenderBindingResult, id="empty"),
        pytest.param(b"<html>", ExtenderBindingResult, id="no JSON"),
        pytest.param(b"[]", ExtenderBindingResult, id="list instead of an object"),
        pytest.param(b'{"Error":1}', ExtenderBindingResult, id="number instead of a string"),
        pytest.param(b'{"Nodes":{"items":[{"metadata":{}}]}}', ExtenderFilterResult, id="no name"),
        pytest.param(b'[{"Host":"a","Score":9223372036854775808}]', SCORES, id="beyond int64"),
        pytest.param(b'[{"Host":"a","Score":1.5}]', SCORES, id="fraction"),
    ],
)
def test_what_is_of_another_form_is_refused(body: bytes, wanted: type[Any]) -> None:
    with pytest.raises(msgspec.DecodeError):
        decode(body, wanted)
