"""What wakes a waiting pod: one module of cases per plugin, run by ``test_hints.py``."""
