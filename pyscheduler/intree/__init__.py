"""kube-scheduler's default plugins: a file each, or a package when a plugin has parts.

They use the public packages ``framework`` and ``api`` alone, as any plugin does, and do not know
one another. `registry` lists them; only ``app`` knows them by name.
"""
