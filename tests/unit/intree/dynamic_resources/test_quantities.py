"""Quantities are written in canonical form, in the notation they come from."""

from __future__ import annotations

import pytest

from pyscheduler.api.quantity import InvalidQuantity
from pyscheduler.intree.dynamic_resources.quantities import Quantity


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("0", "0"),
        ("0Ki", "0"),
        ("1024Mi", "1Gi"),
        ("1500Mi", "1500Mi"),
        ("1Ki", "1Ki"),
        ("1023", "1023"),
        ("0.5Ki", "512"),
        ("1.5Gi", "1536Mi"),
        ("0.001Ki", "1024m"),
        ("-2048Ki", "-2Mi"),
        ("1000", "1k"),
        ("1500m", "1500m"),
        ("1.5", "1500m"),
        ("2000m", "2"),
        ("0.1u", "100n"),
        ("12345000", "12345k"),
        ("1E", "1E"),
        ("1e3", "1e3"),
        ("1500e-3", "1500e-3"),
        ("5e0", "5"),
        ("100Ei", "9223372036854775807"),
    ],
)
def test_canonical_form(text: str, canonical: str) -> None:
    assert str(Quantity.parse(text)) == canonical


def test_quantities_of_the_same_value_and_notation_are_equal() -> None:
    assert Quantity.parse("1024Mi") == Quantity.parse("1Gi")
    assert Quantity.parse("1Gi") != Quantity.parse("1073741824")


def test_what_is_no_quantity_is_refused() -> None:
    with pytest.raises(InvalidQuantity):
        Quantity.parse("200K")
