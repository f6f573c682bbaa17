from __future__ import annotations

import pytest

from pyscheduler.config.resource_names import (
    checked_extended_resource,
    checked_label_value,
    checked_qualified_name,
)


@pytest.mark.parametrize(
    "text", ["cpu", "example.com/gpu", "a", "A.b_c-d", "x" * 63, f"{'a' * 253}/x", "1/2"]
)
def test_a_qualified_name_is_returned(text: str) -> None:
    assert checked_qualified_name(text) == text


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        pytest.param("", "must consist of", id="empty"),
        pytest.param("-a", "must consist of", id="dash first"),
        pytest.param("a b", "must consist of", id="space"),
        pytest.param("example.com/", "must consist of", id="prefix alone"),
        pytest.param("x" * 64, "longer than 63", id="long"),
        pytest.param("/a", "is not a DNS subdomain", id="empty prefix"),
        pytest.param("Example.com/a", "is not a DNS subdomain", id="capital in the prefix"),
        pytest.param(f"{'a' * 254}/x", "is not a DNS subdomain", id="long prefix"),
        pytest.param("a/b/c", "must consist of", id="two slashes"),
    ],
)
def test_anything_else_is_refused(text: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        checked_qualified_name(text)


@pytest.mark.parametrize(
    ("text", "is_extended"),
    [
        pytest.param("example.com/gpu", True, id="somebody's"),
        pytest.param("cpu", False, id="without a prefix"),
        pytest.param("kubernetes.io/batch", False, id="of Kubernetes"),
        pytest.param("node.kubernetes.io/batch", False, id="below Kubernetes"),
        pytest.param("requests.example.com/gpu", False, id="a quota's"),
        pytest.param(f"{'a' * 245}/x", False, id="too long for a quota"),
        pytest.param(f"{'a' * 244}/x", True, id="as long as a quota takes"),
    ],
)
def test_extended_resources_are_not_kubernetes_own(text: str, is_extended: bool) -> None:
    if is_extended:
        assert checked_extended_resource(text) == text
        return
    with pytest.raises(ValueError, match="is not the name of an extended resource"):
        checked_extended_resource(text)


@pytest.mark.parametrize("text", ["", "a", "A.b_c-1", "x" * 63])
def test_a_value_of_a_label_is_returned(text: str) -> None:
    assert checked_label_value(text) == text


@pytest.mark.parametrize("text", ["x y", "-a", "a/b", "x" * 64])
def test_what_no_label_can_have_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is no value of a label"):
        checked_label_value(text)
