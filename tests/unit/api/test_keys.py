from pyscheduler.api.keys import object_key, split_key


def test_keys_join_and_split() -> None:
    assert object_key("ns", "a") == "ns/a"
    assert object_key("", "a") == "a"
    assert split_key("ns/a") == ("ns", "a")
    assert split_key("a") == ("", "a")
