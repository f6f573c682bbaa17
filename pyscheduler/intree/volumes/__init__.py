"""Volumes: who may share them, how many fit, in which zone they are, and where they come from."""
