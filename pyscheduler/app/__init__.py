"""The composition root: what is started, in which order, and how it is observed and stopped."""
