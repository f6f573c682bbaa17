"""KubeSchedulerConfiguration v1: models, defaults, expansion of plugin sets, and reading a file."""
