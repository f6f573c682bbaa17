"""Controllers for custom resources of plugins: ``pyscheduler controllers``, a process of its own.

They keep the status of those resources; nothing here decides where a pod runs, and the scheduler
works without them. The only place that imports kopf.
"""
