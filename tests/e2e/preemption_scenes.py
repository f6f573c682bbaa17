"""The scenes of preemption: whom kube-scheduler evicts wherever that is determined.

Every scene is small enough to be worked out by hand, and what must come of it is written down
beside it: `test_preemption.py` holds kube-scheduler and this scheduler to that, and to each other.
Hosts have 4 CPUs and the preemptor asks for 4, unless a scene says otherwise.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tests.e2e.scenes import Host, Resident, Scene, Waiting

_SSD_ONLY: Mapping[str, object] = {
    "affinity": {
        "nodeAffinity": {
            "requiredDuringSchedulingIgnoredDuringExecution": {
                "nodeSelectorTerms": [
                    {"matchExpressions": [{"key": "disk", "operator": "In", "values": ["ssd"]}]}
                ]
            }
        }
    }
}


def _full(priority: int, *, name: str = "", started: str = "", budget: str = "") -> Host:
    """Returns a host that one pod fills."""
    resident = Resident(
        name or f"of-{priority}".replace("--", "-minus-"),
        priority,
        started=started,
        budget=budget,
    )
    return Host([resident])


_WHICH_NODE = [
    Scene(
        "lowest-highest-priority",
        {"a": _full(7), "b": _full(3)},
        victims=frozenset({"of-3"}),
        node="b",
    ),
    Scene(
        "negative-priorities",
        {"a": _full(-10), "b": _full(-20)},
        victims=frozenset({"of-minus-20"}),
        node="b",
    ),
    Scene(
        # two of 5 are cheaper than one of 6: the highest priority comes before the count
        "highest-priority-before-count",
        {"a": _full(6), "b": Host([Resident("b1", 5, cpu=2), Resident("b2", 5, cpu=2)])},
        victims=frozenset({"b1", "b2"}),
        node="b",
    ),
    Scene(
        "sum-of-priorities",
        {
            "a": Host([Resident("a1", 5, cpu=2), Resident("a2", 4, cpu=2)]),
            "b": Host([Resident("b1", 5, cpu=2), Resident("b2", 2, cpu=2)]),
        },
        victims=frozenset({"b1", "b2"}),
        node="b",
    ),
    Scene(
        # 5 + 1 is more than 5, and so would be 5 + -1: each pod weighs something
        "fewer-victims",
        {"a": Host([Resident("a1", 5, cpu=2), Resident("a2", -1, cpu=2)]), "b": _full(5)},
        victims=frozenset({"of-5"}),
        node="b",
    ),
    Scene(
        "latest-start",
        {"a": _full(5, name="a1", started="09:00"), "b": _full(5, name="b1", started="10:00")},
        victims=frozenset({"b1"}),
        node="b",
    ),
    Scene(
        "earliest-start-of-several-counts",
        {
            "a": Host(
                [
                    Resident("a1", 5, cpu=2, started="08:00"),
                    Resident("a2", 5, cpu=2, started="12:00"),
                ]
            ),
            "b": Host(
                [
                    Resident("b1", 5, cpu=2, started="10:00"),
                    Resident("b2", 5, cpu=2, started="09:00"),
                ]
            ),
        },
        victims=frozenset({"b1", "b2"}),
        node="b",
    ),
    Scene(
        "starts-of-lower-priorities-do-not-count",
        {
            "a": Host(
                [
                    Resident("a1", 5, cpu=2, started="09:00"),
                    Resident("a2", 1, cpu=2, started="12:00"),
                ]
            ),
            "b": Host(
                [
                    Resident("b1", 5, cpu=2, started="10:00"),
                    Resident("b2", 1, cpu=2, started="08:00"),
                ]
            ),
        },
        victims=frozenset({"b1", "b2"}),
        node="b",
    ),
    Scene(
        "not-started-is-latest",
        {
            "a": _full(5, name="a1", started="09:00"),
            "b": Host([Resident("b1", 5)], is_bare=True),
        },
        victims=frozenset({"b1"}),
        node="b",
    ),
]

_WHO_IS_SPARED = [
    Scene(
        "several-victims",
        {"a": Host([Resident(f"of-{priority}", priority, cpu=1) for priority in (1, 2, 3, 4)])},
        Waiting(cpu=3),
        victims=frozenset({"of-1", "of-2", "of-3"}),
        node="a",
    ),
    Scene(
        # the small one is less important, and stays: without the big one there is room for it
        "whoever-fits-is-spared",
        {"a": Host([Resident("big", 5, cpu=3), Resident("small", 1, cpu=1)])},
        Waiting(cpu=3),
        victims=frozenset({"big"}),
        node="a",
    ),
    Scene(
        "longest-running-is-spared",
        {
            "a": Host(
                [
                    Resident("young", 5, cpu=2, started="10:00"),
                    Resident("old", 5, cpu=2, started="09:00"),
                ]
            )
        },
        Waiting(cpu=2),
        victims=frozenset({"young"}),
        node="a",
    ),
    Scene(
        "equal-priority-is-no-victim",
        {"a": Host([Resident("equal", 50, cpu=2), Resident("low", 1, cpu=2)]), "b": _full(7)},
        victims=frozenset({"of-7"}),
        node="b",
    ),
    Scene(
        "overhead-counts",
        {
            "a": Host(
                [
                    Resident("sandboxed", 1, cpu=1, is_sandboxed=True),
                    Resident("plain", 2, cpu=2),
                ]
            )
        },
        Waiting(cpu=1, is_sandboxed=True),
        victims=frozenset({"sandboxed"}),
        node="a",
    ),
    Scene(
        "host-port",
        {"a": Host([Resident("web", 5, cpu=1, host_port=8080), Resident("other", 1, cpu=1)])},
        Waiting(cpu=1, host_port=8080),
        victims=frozenset({"web"}),
        node="a",
    ),
    Scene(
        "count-of-pods",
        {"a": Host([Resident("of-1", 1, cpu=1), Resident("of-2", 2, cpu=1)], max_pods=2)},
        Waiting(cpu=1),
        victims=frozenset({"of-1"}),
        node="a",
    ),
]

_BUDGETS = [
    Scene(
        "budget-at-zero-is-avoided",
        {"a": _full(1, budget="zero"), "b": _full(8)},
        budgets={"zero": 1},
        victims=frozenset({"of-8"}),
        node="b",
    ),
    Scene(
        "budget-is-broken-where-nothing-else-helps",
        {"a": _full(1, budget="zero")},
        budgets={"zero": 1},
        victims=frozenset({"of-1"}),
        node="a",
    ),
    Scene(
        "fewest-broken-budgets",
        {
            "a": Host(
                [Resident("a1", 1, cpu=2, budget="zero"), Resident("a2", 1, cpu=2, budget="zero")]
            ),
            "b": _full(9, budget="zero"),
        },
        budgets={"zero": 3},
        victims=frozenset({"of-9"}),
        node="b",
    ),
    Scene(
        # one may leave: the second of the same node would be one too many
        "budget-is-spent-on-each-node",
        {
            "a": Host(
                [Resident("a1", 1, cpu=2, budget="one"), Resident("a2", 2, cpu=2, budget="one")]
            ),
            "b": _full(8, budget="one"),
        },
        budgets={"one": 2},
        victims=frozenset({"of-8"}),
        node="b",
    ),
    Scene(
        "guarded-are-spared-first",
        {
            "a": Host([Resident("guarded", 1, cpu=2, budget="zero"), Resident("free", 5, cpu=2)]),
        },
        Waiting(cpu=2),
        budgets={"zero": 1},
        victims=frozenset({"free"}),
        node="a",
    ),
    Scene(
        # the budget has room for the more important of the two, so the other counts as broken
        # and is spared first
        "budget-is-spent-by-importance",
        {
            "a": Host(
                [Resident("a1", 1, cpu=2, budget="one"), Resident("a2", 2, cpu=2, budget="one")]
            ),
        },
        Waiting(cpu=2),
        budgets={"one": 1},
        victims=frozenset({"a2"}),
        node="a",
    ),
]

_WHERE_IT_CANNOT_HELP = [
    Scene(
        "node-affinity",
        {
            "a": Host([Resident("of-1", 1)], labels={"disk": "hdd"}),
            "b": Host([Resident("of-7", 7)], labels={"disk": "ssd"}),
        },
        Waiting(spec=_SSD_ONLY),
        victims=frozenset({"of-7"}),
        node="b",
    ),
    Scene(
        "untolerated-taint",
        {"a": Host([Resident("of-1", 1)], is_tainted=True), "b": _full(7)},
        victims=frozenset({"of-7"}),
        node="b",
    ),
    Scene(
        "node-is-too-small",
        {"a": Host([Resident("of-1", 1, cpu=2)], cpu=2), "b": _full(7)},
        victims=frozenset({"of-7"}),
        node="b",
    ),
    Scene(
        "never",
        {"a": _full(1)},
        Waiting(is_meek=True),
        is_bound=False,
    ),
    Scene(
        "no-victims",
        {"a": _full(60), "b": _full(50), "c": Host(cpu=3)},
        is_bound=False,
    ),
    Scene(
        "not-helpful",
        {"a": _full(1), "b": Host([Resident("of-2", 2)], is_tainted=True)},
        Waiting(cpu=100),
        is_bound=False,
    ),
    Scene(
        "mixed-reasons",
        {
            "full": _full(60),
            "tainted": Host([Resident("on-tainted", 1)], is_tainted=True),
            "not-enough": Host([Resident("large", 60, cpu=3), Resident("of-1", 1, cpu=1)]),
            "port": Host([Resident("web", 60, cpu=1, host_port=80), Resident("other", 1, cpu=1)]),
            "too-small": Host([Resident("on-small", 1, cpu=2)], cpu=2),
        },
        Waiting(cpu=3, host_port=80),
        is_bound=False,
    ),
]

_NOMINATIONS = [
    Scene(
        # once of-1 has gone there is room on a, but for the one that was promised it
        "higher-nomination-takes-room",
        {
            "a": Host([Resident("of-200", 200, cpu=2), Resident("of-1", 1, cpu=2)]),
            "b": _full(7),
        },
        Waiting(cpu=2),
        others=[
            Waiting("promised", priority=100, cpu=2, is_meek=True, nominated="a", host="a"),
        ],
        victims=frozenset({"of-7"}),
        node="b",
        nominations={"promised": "a"},
    ),
    Scene(
        "gated-nomination-takes-room",
        {"a": _full(1), "b": _full(7)},
        others=[Waiting("promised", priority=100, is_gated=True, nominated="a", host="a")],
        victims=frozenset({"of-7"}),
        node="b",
        nominations={"promised": "a"},
    ),
    Scene(
        "lower-nomination-is-voided",
        {"a": _full(1)},
        others=[Waiting("promised", priority=20, is_meek=True, nominated="a", host="a")],
        victims=frozenset({"of-1"}),
        node="a",
        nominations={"promised": ""},
    ),
    Scene(
        "victims-still-leave-the-nominated-node",
        {"a": Host([Resident("leaving", 1, leaving="preempted")], is_bare=True), "b": _full(7)},
        Waiting(nominated="a"),
        node="a",
        is_bound=False,
    ),
    Scene(
        # our preemptor is tried once more when its victims have been told
        "victims-take-their-time",
        {"a": Host([Resident("slow", 1, is_slow=True)], is_bare=True), "b": _full(7)},
        victims=frozenset({"slow"}),
        node="a",
        is_bound=False,
        our_last_words="not eligible due to a terminating pod on the nominated node.",
    ),
    Scene(
        # who leaves for another reason does not stop anybody, and need not be told
        "deleted-pod-is-a-victim-already",
        {"a": Host([Resident("leaving", 1, leaving="deleted")], is_bare=True), "b": _full(7)},
        node="a",
        is_bound=False,
    ),
    Scene(
        "nominated-node-became-impossible",
        {
            "a": Host(
                [Resident("leaving", 1, leaving="preempted")], labels={"disk": "hdd"}, is_bare=True
            ),
            "b": Host([Resident("of-7", 7)], labels={"disk": "ssd"}),
        },
        Waiting(nominated="a", spec=_SSD_ONLY),
        victims=frozenset({"of-7"}),
        node="b",
    ),
]

#: All of them; their names are unique.
SCENES: Sequence[Scene] = [
    *_WHICH_NODE,
    *_WHO_IS_SPARED,
    *_BUDGETS,
    *_WHERE_IT_CANNOT_HELP,
    *_NOMINATIONS,
]
