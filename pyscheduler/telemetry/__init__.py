"""Metrics, logs and traces; anyone may import this."""
