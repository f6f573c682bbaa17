"""Benchmarks: what is promised in docs/performance.md, each a command of its own."""
