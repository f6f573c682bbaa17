"""Themes: each draws what is interesting for one plugin. See `base` for how they meet."""

from collections.abc import Sequence

from tests.parity.themes.base import Theme
from tests.parity.themes.devices import DEVICE_THEMES
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
)
