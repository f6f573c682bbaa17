"""Themes: each draws what is interesting for one plugin. See `base` for how they meet."""

from collections.abc import Sequence

from tests.parity.themes.base import Theme
from tests.parity.themes.devices import DEVICE_THEMES
from tests.parity.themes.events import EVENT_THEMES
from tests.parity.themes.nodes import NODE_THEMES
from tests.parity.themes.pods import POD_THEMES
from tests.parity.themes.preemption import PREEMPTION_THEMES
from tests.parity.themes.volumes import VOLUME_THEMES

ALL_THEMES: Sequence[Theme] = (
    *NODE_THEMES,
    *POD_THEMES,
    *PREEMPTION_THEMES,
    *VOLUME_THEMES,
    *DEVICE_THEMES,
    *EVENT_THEMES,
)


def themes_named(only: Sequence[str], without: Sequence[str]) -> list[Theme]:
    """The themes of these names, or all of them, but for those to be left out.

    Raises:
        ValueError: there is no theme of a name.
    """
    known = {theme.name: theme for theme in ALL_THEMES}
    unknown = {*only, *without} - known.keys()
    if unknown:
        raise ValueError(f"no such themes: {sorted(unknown)}; there are {sorted(known)}")
    return [known[name] for name in only or known if name not in without]
