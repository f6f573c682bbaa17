"""pyscheduler: a Kubernetes scheduler and scheduler-plugin framework in Python."""

__version__ = "0.1.0"
