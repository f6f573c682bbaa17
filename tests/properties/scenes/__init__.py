"""Random clusters for the test that both forms of a plugin agree.

Every plugin is tried on what `general.scene` makes. One that says nothing about those, because it
looks at other kinds of objects, brings a module of its own here: ``PLUGIN``, its name, and
``scene(rng)``, which makes a `Scene`. Modules are found by themselves.
"""
