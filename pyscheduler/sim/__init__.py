"""The embedded cluster: an API server, nodes and pods that live in this process.

It serves the demo, component tests and benchmarks: ``object_store`` keeps versions and feeds
watchers, ``api_server`` answers requests whatever the transport, ``http_server`` and
``in_process`` carry them, ``kubelet`` makes nodes Ready and pods Running, and
``embedded_cluster`` puts them together. ``tests/contract`` holds it to the real kube-apiserver.
"""
