"""Kubernetes objects as frozen structs, and the pure rules about them.

Public: plugin authors import from here. Nothing in this package does I/O, keeps time or knows
the scheduler; it turns bytes into objects (`codec`) and answers questions about objects
(`quantity`, `resources`, `selectors`, `taints`, `host_ports`, `images`, `times`, `keys`).
"""
