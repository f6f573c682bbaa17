"""Device selectors: what they see of a device, Kubernetes' types, errors, and limits."""

from __future__ import annotations

import sys

import pytest

from pyscheduler.api.frozen_map import FrozenMap
from pyscheduler.api.resource_v1 import Device, DeviceAttribute, DeviceCapacity
from pyscheduler.intree.dynamic_resources.allocation import AllocationFailed
from pyscheduler.intree.dynamic_resources.cel import DeviceSelectors, SelectorError
from tests.unit.intree.dynamic_resources.allocating import (
    SELECTORS,
    a_claim,
    a_slice,
    allocate,
    cel,
    exactly,
)

DEVICE = Device(
    "gpu-0",
    attributes=FrozenMap(
        {
            "index": DeviceAttribute(int_value=3),
            "model": DeviceAttribute(string_value="A100"),
            "healthy": DeviceAttribute(bool_value=True),
            "example.org/firmware": DeviceAttribute(version_value="1.10.0-rc.2"),
        }
    ),
    capacity=FrozenMap({"memory": DeviceCapacity("40Gi"), "ratio": DeviceCapacity("1500m")}),
    allow_multiple_allocations=True,
)

ADVICE = (
    ". consider using CEL optional chaining (.? followed by orValue()) or guarding the check with"
    " has() for optional fields"
)


def selects(expression: str, device: Device = DEVICE) -> bool:
    return SELECTORS.compile(expression).matches(device, driver="gpu")


@pytest.mark.parametrize(
    "expression",
    [
        "device.driver == 'gpu'",
        "device.allowMultipleAllocations",
        "device.attributes['gpu'].index == 3",
        "device.attributes['gpu'].index > 2.5",
        "device.attributes.gpu.model == 'A100'",
        "device.attributes['gpu'].healthy",
        "device.attributes['gpu']['model'] in ['H100', 'A100']",
        "'gpu' in device.attributes && !('other' in device.attributes)",
        "has(device.attributes['gpu'].model) && !has(device.attributes['gpu'].other)",
        "!has(device.attributes['other'].model)",
        "device.attributes['other'].size() == 0",
        "device.attributes['gpu'].?other.orValue(7) == 7",
        "device.attributes['gpu'][?'model'].hasValue()",
        "device.attributes['gpu'].?model.optMap(m, m + '!').orValue('') == 'A100!'",
        "cel.bind(gpu, device.attributes['gpu'], gpu.index == 3 && gpu.healthy)",
        "device.attributes['gpu'].exists(name, name == 'index')",
        "['a', 'b'].all(x, x != device.attributes['gpu'].model)",
        "[1, 2, 3].filter(x, x > 1).map(x, x * 2) == [4, 6]",
        "[1, 2, 3].exists_one(x, x == device.attributes['gpu'].index)",
        "[[1], [2]].all(a, a.all(b, b < 3))",
        "device.attributes['gpu'].model.matches('^A[0-9]{3}$')",
        "device.attributes['gpu'].model.lowerAscii().startsWith('a1')",
        "'a-b-c'.split('-') == ['a', 'b', 'c'] && 'a-b'.replace('-', '+') == 'a+b'",
        "'%s/%d'.format(['a', 1]) == 'a/1' && 'abc'.substring(1) == 'bc'",
        "'abc'.contains('b') && 'abc'.endsWith('c') && size('abc') == 3",
        "7 / -2 == -3 && -7 % 3 == -1 && 1.5 * 2.0 == 3.0",
        "int('7') + int(2.9) == 9 && string(1.5) == '1.5' && double('2') == 2.0",
        "1u < 2 && 3.5 > 3 && dyn(1) == dyn(1.0) && dyn(1) != dyn('1') && dyn(1) != dyn(true)",
        "true ? true : device.attributes['gpu'].other",
        "sets.contains([1, 2], [2]) && sets.intersects([1], [1, 2])",
        "sets.equivalent([1, 2], [2, 1]) && [1, 2].sum() == 3 && [2, 1].max() == 2",
        "[1, 2].isSorted() && [3, 1].min() == 1",
        "[1, 2, 1].indexOf(1) == 0 && [1, 2, 1].lastIndexOf(1) == 2 && 'abc'.indexOf('c') == 2",
        "[1, 2].includes(2) && ![1, 2].includes([1, 2]) && dyn(1).includes(1)",
        "{'a': 1, 'a': 2}.a == 2 && bytes('abc') == b'abc'",
        "{'a': 1}.a == 1 && {'a': 1, ?'b': optional.none()}.size() == 1",
        "[?optional.of(1), ?optional.none()] == [1]",
        " || ".join(["device.driver == 'no'"] * 400 + ["device.driver == 'gpu'"]),
    ],
)
def test_expressions_that_select_the_device(expression: str) -> None:
    assert selects(expression)


@pytest.mark.parametrize(
    "expression",
    [
        "device.capacity['gpu'].memory.compareTo(quantity('40Gi')) == 0",
        "device.capacity['gpu'].memory == quantity('40960Mi')",
        "device.capacity['gpu'].memory.isGreaterThan(quantity('39G'))",
        "device.capacity['gpu'].memory.isLessThan(quantity('41Gi'))",
        "!device.capacity['gpu'].ratio.isInteger()",
        "device.capacity['gpu'].ratio.asApproximateFloat() == 1.5",
        "device.capacity['gpu'].memory.asInteger() == 42949672960",
        "quantity('50k').add(quantity('20k')) == quantity('70k')",
        "quantity('50k').add(20).sub(quantity('100k')).sub(-50000) == quantity('20')",
        "sign(quantity('-5')) == -1",
        "isQuantity('1.3Gi') && !isQuantity('200K') && !isQuantity('1,3G')",
    ],
)
def test_quantities(expression: str) -> None:
    assert selects(expression)


@pytest.mark.parametrize(
    "expression",
    [
        "device.attributes['example.org'].firmware.isLessThan(semver('1.10.0'))",
        "device.attributes['example.org'].firmware.isGreaterThan(semver('1.9.0'))",
        "device.attributes['example.org'].firmware == semver('1.10.0-rc.2+build5')",
        "device.attributes['example.org'].firmware.compareTo(semver('1.10.0-rc.10')) == -1",
        "semver('1.0.0-1').isLessThan(semver('1.0.0-alpha'))",
        "device.attributes['example.org'].firmware.minor() == 10",
        "semver('3.2.1').major() == 3 && semver('3.2.1').patch() == 1",
        "isSemver('1.0.0') && !isSemver('v1.0') && !isSemver('01.0.0') && !isSemver('1.0.0-01')",
        "isSemver('v1.0', true) && semver('v01.2', true) == semver('1.2.0')",
    ],
)
def test_versions(expression: str) -> None:
    assert selects(expression)


@pytest.mark.parametrize(
    ("expression", "message"),
    [
        ("device.attributes['gpu'].other == 1", f"no such key: other{ADVICE}"),
        ("device.capacity['nowhere'].memory == quantity('1')", f"no such key: memory{ADVICE}"),
        ("device.attributes['gpu'].model > 1", "no such overload"),
        (
            "device.attributes['gpu'].model.isLessThan(semver('1.0.0'))",
            "no such overload: isLessThan(string, kubernetes.Semver)",
        ),
        ("device.capacity['gpu'].memory == device.attributes['gpu'].index", "no such overload"),
        ("1 / 0 == 1", "division by zero"),
        ("9223372036854775807 + 1 > 0", "integer overflow"),
        ("quantity('x') == quantity('1')", "invalid quantity 'x'"),
        ("quantity('1500m').asInteger() == 1", "cannot convert value to integer"),
        ("semver('x') == semver('1.0.0')", "invalid semantic version 'x'"),
        ("[1][2] == 1", "index out of bounds: 2"),
        ("optional.none().value() == 1", "optional.none() dereference"),
        (
            "device.attributes['gpu'].model",
            "CEL result of type string could not be converted to bool",
        ),
        (
            "device.attributes['gpu'].model.matches('(')",
            "invalid regular expression: missing ): (",
        ),
        (
            "device.attributes['gpu'].model.substring(9) == ''",
            "<string>.substring(<start>, <end>): <start> or <end> is greater than <string>.size()",
        ),
        ("device.attributes['gpu'].index.size() == 1", "no such overload: size(int)"),
    ],
)
def test_evaluation_fails(expression: str, message: str) -> None:
    with pytest.raises(SelectorError) as failure:
        selects(expression)
    assert str(failure.value) == message


@pytest.mark.parametrize(
    "expression",
    [
        "device.attributes['gpu'].other == 1 || true",
        "true || device.attributes['gpu'].other == 1",
        "!(device.attributes['gpu'].other == 1 && false)",
        "[1, 2].exists(x, x == 2 || device.attributes['gpu'].other == x)",
        "![1, 0].all(x, 1 / x == 2)",
    ],
)
def test_errors_that_do_not_matter_are_absorbed(expression: str) -> None:
    assert selects(expression)


@pytest.mark.parametrize(
    ("expression", "message"),
    [
        ("1 +", "compilation failed: ERROR: <input>:1:4: Syntax error: mismatched input"),
        ("1 + 'a' == 2", "compilation failed: ERROR: <input>:1:3: found no matching overload"),
        ("1 + 1", "must evaluate to bool or the unknown type, not int"),
        ("unknown(1)", "compilation failed: ERROR: <input>:1:8: undeclared reference to"),
        ("duration('1s') > duration('0s')", "compilation failed: function duration is not"),
        ("type(1) == int", "compilation failed: function type is not supported"),
        ("ip('1.2.3.4') == ip('1.2.3.4')", "compilation failed: ERROR: <input>:1:3: undeclared"),
        ("'a' == 'b'" + " " * 10_240, "expression: too long, may not be more than 10240 bytes"),
        ("(" * 100 + "true" + ")" * 100, "compilation failed: Expression recursion limit"),
        ("1" + " + 1" * 2500 + " == 1", "compilation failed: ERROR: <input>:-1:-1: Exceeded max"),
    ],
    ids=lambda text: text[:20],
)
def test_compilation_fails(expression: str, message: str) -> None:
    with pytest.raises(SelectorError) as failure:
        SELECTORS.compile(expression)
    assert str(failure.value).startswith(message)


def test_an_expensive_expression_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(f"{DeviceSelectors.__module__}.MAX_COST", 1000)
    expression = "true"
    for name in "abc":
        expression = f"[1, 2, 3, 4, 5, 6, 7, 8, 9, 0].all({name}, {expression})"
    compiled = SELECTORS.compile(expression)

    with pytest.raises(SelectorError, match=r"^operation cancelled: actual cost limit exceeded$"):
        compiled.matches(DEVICE, driver="gpu")


@pytest.mark.parametrize(
    ("attribute", "message"),
    [
        (DeviceAttribute(), "attribute a: unsupported attribute value"),
        (
            DeviceAttribute(version_value="one"),
            "attribute a: parse semantic version: invalid semantic version 'one'",
        ),
    ],
)
def test_a_device_that_cannot_be_understood(attribute: DeviceAttribute, message: str) -> None:
    device = Device("d", attributes=FrozenMap({"a": attribute}))

    with pytest.raises(SelectorError) as failure:
        selects("true", device)
    assert str(failure.value) == message


def test_expressions_are_compiled_once() -> None:
    assert SELECTORS.compile("1 == 1") is SELECTORS.compile("1 == 1")


def test_without_the_library_only_selectors_fail(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cel_expr_python", None)
    slices = [a_slice("s", "a")]

    assert allocate([a_claim(exactly())], slices, selectors=DeviceSelectors()) is not None
    with pytest.raises(AllocationFailed) as failure:
        allocate([a_claim(exactly(selectors=cel("true")))], slices, selectors=DeviceSelectors())
    assert str(failure.value) == (
        "claim default/c: selector #0: CEL compile error: device selectors need the CEL library:"
        " install pyscheduler with the extra 'dra'"
    )
