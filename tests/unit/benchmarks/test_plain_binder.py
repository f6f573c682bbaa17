from __future__ import annotations

import json

import pytest

from benchmarks.plain_binder import is_whole, prepare


@pytest.mark.parametrize(
    ("answer", "whole"),
    [
        pytest.param(b"HTTP/1.1 201 Created\r\nContent-Le", False, id="head not there yet"),
        pytest.param(b"HTTP/1.1 201 C\r\ncontent-length: 2\r\n\r\n{", False, id="body cut"),
        pytest.param(b"HTTP/1.1 201 C\r\nContent-Length: 2\r\n\r\n{}", True, id="whole"),
        pytest.param(b"HTTP/1.1 201 C\r\nA: b\r\n\r\n2\r\n{}\r\n", False, id="chunks to come"),
        pytest.param(b"HTTP/1.1 201 C\r\nA: b\r\n\r\n2\r\n{}\r\n0\r\n\r\n", True, id="last chunk"),
    ],
)
def test_an_answer_is_whole_with_its_last_byte(answer: bytes, whole: bool) -> None:
    assert is_whole(answer) is whole


def test_requests_are_prepared_to_the_byte() -> None:
    pod = {"namespace": "ns", "name": "web", "uid": "u-1", "node": "node-7"}
    work: dict[str, object] = {"server": "https://127.0.0.1:6443", "token": "secret"}
    head, _, body = prepare(pod, work).bind.partition(b"\r\n\r\n")
    assert head.startswith(b"POST /api/v1/namespaces/ns/pods/web/binding HTTP/1.1\r\n")
    assert f"Content-Length: {len(body)}".encode() in head
    assert b"Host: 127.0.0.1:6443" in head
    assert json.loads(body)["target"]["name"] == "node-7"


def test_without_a_token_nobody_is_named() -> None:
    pod = {"namespace": "ns", "name": "web", "uid": "u-1", "node": "node-7"}
    work: dict[str, object] = {"server": "http://127.0.0.1:6443", "token": ""}
    assert b"Authorization" not in prepare(pod, work).bind
