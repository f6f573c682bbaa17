"""Whole lives of pods: the assembled scheduler on the embedded cluster, in virtual time.

Everything is real but the network, the nodes and the clock. `world` puts it together and is the
witness: it keeps what the API server's store says, never what the scheduler says.
"""
