"""Runs plugins: knows profiles and extension points, and no plugin by name."""
