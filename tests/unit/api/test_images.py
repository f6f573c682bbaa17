import pytest

from pyscheduler.api.images import normalized_image_name


@pytest.mark.parametrize(
    ("name", "normalized"),
    [
        ("web", "web:latest"),
        ("web:v1", "web:v1"),
        ("registry:5000/web", "registry:5000/web:latest"),
        ("registry:5000/web:v1", "registry:5000/web:v1"),
        ("a/b@sha256:00", "a/b@sha256:00"),
    ],
)
def test_latest_is_added_where_neither_tag_nor_digest_is(name: str, normalized: str) -> None:
    assert normalized_image_name(name) == normalized
