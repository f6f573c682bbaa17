"""Which device class provides an extended resource."""

from __future__ import annotations

import pytest

from pyscheduler.framework.extended_resources import (
    DEVICE_CLASSES,
    ExtendedResources,
    is_extended_resource,
    may_be_devices,
)
from pyscheduler.testing import FakeInformers, fake_handle
from pyscheduler.testing.device_builders import make_device_class

GPU = "example.com/gpu"


def _provider(extended: ExtendedResources, resource: str) -> str | None:
    found = extended.class_of(resource)
    return None if found is None else found.metadata.name


def test_a_class_provides_what_it_says_and_a_resource_of_its_own_name() -> None:
    informers = FakeInformers()
    extended = ExtendedResources(fake_handle(informers=informers))
    informers.of(DEVICE_CLASSES).put(make_device_class("gpus").extended_resource(GPU).obj())

    assert _provider(extended, GPU) == "gpus"
    assert _provider(extended, "deviceclass.resource.kubernetes.io/gpus") == "gpus"
    assert _provider(extended, "example.com/other") is None


def test_a_class_that_changes_or_goes_provides_it_no_longer() -> None:
    informers = FakeInformers()
    classes = informers.of(DEVICE_CLASSES)
    extended = ExtendedResources(fake_handle(informers=informers))
    classes.put(make_device_class("gpus").extended_resource(GPU).obj())

    classes.put(make_device_class("gpus").extended_resource("example.com/new").obj())
    assert _provider(extended, GPU) is None
    assert _provider(extended, "example.com/new") == "gpus"

    classes.remove("gpus")
    assert len(extended) == 0


@pytest.mark.parametrize("order", [("old", "b", "a"), ("a", "b", "old"), ("b", "old", "a")])
def test_the_newest_class_provides_it_and_of_equals_the_first_by_name(order: list[str]) -> None:
    informers = FakeInformers()
    extended = ExtendedResources(fake_handle(informers=informers))
    for name in order:
        when = "2026-01-01T00:00:00Z" if name == "old" else "2026-02-01T00:00:00Z"
        device_class = make_device_class(name).extended_resource(GPU).created(when)
        informers.of(DEVICE_CLASSES).put(device_class.obj())

    assert _provider(extended, GPU) == "a"
    informers.of(DEVICE_CLASSES).remove("a")
    informers.of(DEVICE_CLASSES).remove("b")
    assert _provider(extended, GPU) == "old", "who is left takes it over"


@pytest.mark.parametrize(
    ("resource", "is_extended", "may_be"),
    [
        ("cpu", False, False),
        ("hugepages-2Mi", False, False),
        (GPU, True, True),
        ("kubernetes.io/batch-cpu", False, False),
        ("requests.example.com/gpu", False, False),
        ("deviceclass.resource.kubernetes.io/gpus", False, True),
    ],
)
def test_which_names_can_be_provided(resource: str, is_extended: bool, may_be: bool) -> None:
    assert is_extended_resource(resource) is is_extended
    assert may_be_devices(resource) is may_be
