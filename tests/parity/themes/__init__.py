"""Themes: each draws what is interesting for one plugin. See `base` for how they meet."""
