"""The command line: `pyscheduler run` and its companions."""
