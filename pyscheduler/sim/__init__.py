"""The embedded cluster: an API server, nodes and pods that live in this process.

It serves the demo, component tests and benchmarks: ``object_store`` keeps versions and feeds
watchers, ``api_server`` answers requests whatever the transport, ``http_server`` and
``in_process`` carry them, ``catalogue`` knows what is served (``custom_resources`` adds kinds),
``kubelet`` makes nodes Ready and pods Running, ``disruption`` keeps count for
PodDisruptionBudgets, and ``embedded_cluster`` puts them together. ``tests/contract`` holds it to
the real kube-apiserver.
"""
