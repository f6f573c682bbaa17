from fractions import Fraction
from math import ceil

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from kubernetes.utils.quantity import parse_quantity as official

from pyscheduler.api.quantity import (
    INT64_MAX,
    InvalidQuantity,
    milli_value,
    nano_value,
    parse_quantity,
    value,
)

FACTORS = {
    "": Fraction(1),
    "n": Fraction(1, 10**9),
    "u": Fraction(1, 10**6),
    "m": Fraction(1, 10**3),
    "k": Fraction(10**3),
    "M": Fraction(10**6),
    "G": Fraction(10**9),
    "T": Fraction(10**12),
    "P": Fraction(10**15),
    "E": Fraction(10**18),
    "Ki": Fraction(2**10),
    "Mi": Fraction(2**20),
    "Gi": Fraction(2**30),
    "Ti": Fraction(2**40),
    "Pi": Fraction(2**50),
    "Ei": Fraction(2**60),
    "e3": Fraction(1000),
    "E-2": Fraction(1, 100),
    "e+2": Fraction(100),
}

REPEATABLE = settings(deadline=None, derandomize=True)

NUMBERS = st.from_regex(r"[0-9]{1,12}(\.[0-9]{0,9})?", fullmatch=True)


@pytest.mark.parametrize(
    ("text", "units", "millis"),
    [
        ("0", 0, 0),
        ("1", 1, 1000),
        ("+1", 1, 1000),
        ("500m", 1, 500),
        ("1500m", 2, 1500),
        ("0.1", 1, 100),
        (".5", 1, 500),
        ("1.", 1, 1000),
        ("100u", 1, 1),
        ("1n", 1, 1),
        ("128Mi", 134217728, 134217728000),
        ("1.5Gi", 1610612736, 1610612736000),
        ("1k", 1000, 1000000),
        ("1E", 10**18, INT64_MAX),
        ("1e3", 1000, 1000000),
        ("1E3", 1000, 1000000),
        ("12E-1", 2, 1200),
        ("-500m", -1, -500),
        ("-1.2", -2, -1200),
        ("8Ei", INT64_MAX, INT64_MAX),
        ("-9Ei", -INT64_MAX, -INT64_MAX),
        ("1e999999999", INT64_MAX, INT64_MAX),
        ("1e-999999999", 1, 1),
        ("0e999999999", 0, 0),
    ],
)
def test_values_are_rounded_away_from_zero_and_kept_within_int64(
    text: str, units: int, millis: int
) -> None:
    assert value(text) == units
    assert milli_value(text) == millis


@pytest.mark.parametrize(
    "text",
    ["", " ", "abc", "1.2.3", "1 Gi", "Gi", "m", ".", "-", "1ki", "1mi", "1K", "5x", "1e", "1e1.5"],
    ids=repr,
)
def test_what_is_no_quantity_is_refused_by_name(text: str) -> None:
    for read in (value, milli_value, nano_value, parse_quantity):
        with pytest.raises(InvalidQuantity) as caught:
            read(text)
        assert caught.value.text == text


@pytest.mark.parametrize(
    "text",
    ["--1", "1Gi ", "\n1", "1\n", "٣", "0x10", "1_000", "NaN", "Infinity", "9" * 101],
    ids=repr,
)
def test_what_python_would_read_but_kubernetes_would_not_is_refused(text: str) -> None:
    with pytest.raises(InvalidQuantity):
        value(text)


def test_a_refusal_names_the_text_and_cuts_a_long_one() -> None:
    assert str(InvalidQuantity("5x", about="cpu")) == "invalid quantity '5x' for cpu"
    assert len(str(InvalidQuantity("9" * 5000))) < 150


@REPEATABLE
@given(number=NUMBERS, suffix=st.sampled_from(sorted(FACTORS)), sign=st.sampled_from(["", "-"]))
def test_parsing_is_exact(number: str, suffix: str, sign: str) -> None:
    exact = Fraction(number.rstrip(".")) * FACTORS[suffix] * (-1 if sign else 1)
    assert Fraction(*parse_quantity(sign + number + suffix)) == exact


@REPEATABLE
@given(number=NUMBERS, suffix=st.sampled_from(sorted(FACTORS)))
def test_rounding_is_the_ceiling_of_the_exact_value(number: str, suffix: str) -> None:
    exact = Fraction(number.rstrip(".")) * FACTORS[suffix]
    assert value(number + suffix) == min(ceil(exact), INT64_MAX)
    assert milli_value(number + suffix) == min(ceil(exact * 1000), INT64_MAX)


@REPEATABLE
@given(number=NUMBERS, suffix=st.sampled_from(sorted(set(FACTORS) - {"e3", "E-2", "e+2"})))
def test_agrees_with_the_official_client(number: str, suffix: str) -> None:
    # Decimal keeps 28 digits; what it had to round is compared to that precision.
    theirs = Fraction(official(number + suffix))
    ours = Fraction(*parse_quantity(number + suffix))
    assert abs(ours - theirs) <= abs(ours) / 10**26


@REPEATABLE
@given(st.text(max_size=12))
def test_any_text_either_parses_or_is_refused(text: str) -> None:
    try:
        value(text)
    except InvalidQuantity:
        return
    assert set(text) <= set("0123456789.+-numkKMGTPEei")
