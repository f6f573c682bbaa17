"""Answers read whole, and byte by byte: both must come to the same."""

import pytest

from pyscheduler.client.answer_reader import AnswerHeaders, AnswerReader, MalformedAnswer

_LENGTH = (
    b"HTTP/1.1 201 Created\r\nContent-Type: application/json\r\nContent-Length: 5\r\n\r\nhello"
)
_CHUNKED = (
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    b"3\r\nhel\r\n2;name=value\r\nlo\r\n0\r\nTrailer: x\r\n\r\n"
)


@pytest.mark.parametrize(
    ("answer", "status", "body", "is_kept"),
    [
        pytest.param(_LENGTH, 201, b"hello", True, id="length"),
        pytest.param(_LENGTH.replace(b"Content-L", b"content-l"), 201, b"hello", True, id="case"),
        pytest.param(_CHUNKED, 200, b"hello", True, id="chunks and a trailer"),
        pytest.param(
            b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", 200, b"", True, id="empty body"
        ),
        pytest.param(b"HTTP/1.1 204 No Content\r\n\r\n", 204, b"", True, id="no body"),
        pytest.param(b"HTTP/1.1 100 Continue\r\n\r\n" + _LENGTH, 201, b"hello", True, id="interim"),
        pytest.param(
            _LENGTH.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"),
            201,
            b"hello",
            False,
            id="last answer of the connection",
        ),
        pytest.param(
            b"HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\nhello", 200, b"hello", False, id="1.0"
        ),
        pytest.param(
            b"HTTP/1.1 200\r\nContent-Length: 5\r\n\r\nhello", 200, b"hello", True, id="no reason"
        ),
    ],
)
@pytest.mark.parametrize("step", [1, 7, 1000])
def test_answer_is_complete_at_its_last_byte(
    answer: bytes, status: int, body: bytes, is_kept: bool, step: int
) -> None:
    reader = AnswerReader()
    ends = [reader.feed(answer[at : at + step]) for at in range(0, len(answer), step)]

    assert ends == [False] * (len(ends) - 1) + [True]
    assert (reader.status, reader.body, reader.is_kept) == (status, body, is_kept)


def test_body_without_a_length_ends_with_the_connection() -> None:
    reader = AnswerReader()

    assert not reader.feed(b"HTTP/1.1 502 Bad Gateway\r\n\r\n<html>")
    assert not reader.feed(b"...")
    assert reader.end()
    assert (reader.status, reader.body, reader.is_kept) == (502, b"<html>...", False)


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b"HTTP/1.1 200 OK\r\nContent-", id="half a head"),
        pytest.param(_LENGTH[:-1], id="short of its length"),
        pytest.param(_CHUNKED[:-2], id="without the last chunk's end"),
    ],
)
def test_connection_that_ends_early_leaves_an_answer_incomplete(answer: bytes) -> None:
    reader = AnswerReader()
    reader.feed(answer)

    assert not reader.end()


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(b"SSH-2.0-OpenSSH_9.2\r\n\r\n", id="another protocol"),
        pytest.param(_LENGTH + b"x", id="more than its length"),
        pytest.param(_CHUNKED + b"x", id="more than its chunks"),
        pytest.param(_CHUNKED.replace(b"3\r\n", b"z\r\n"), id="no size of a chunk"),
        pytest.param(_CHUNKED.replace(b"hel\r\n", b"hell\r\n"), id="chunk longer than its size"),
        pytest.param(_LENGTH.replace(b": 5", b": five"), id="no length"),
        pytest.param(b"HTTP/1.1 200 OK\r\nX: " + b"x" * 70_000, id="endless head"),
    ],
)
def test_what_is_no_answer_is_told(answer: bytes) -> None:
    with pytest.raises(MalformedAnswer):
        AnswerReader().feed(answer)


def test_headers_are_found_whatever_their_case() -> None:
    headers = AnswerHeaders(b"HTTP/1.1 429 Too Many Requests\r\nretry-after: 3 \r\nX-Empty:")

    assert headers["Retry-After"] == "3"
    assert headers.get("X-Empty") == ""
    assert headers.get("Date") is None
    assert len(headers) == len([*headers]) == 2
