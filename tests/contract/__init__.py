"""One suite of API behaviour for the embedded API server and the real kube-apiserver.

Each case runs on the embedded server over HTTP and in process, and on a real kube-apiserver.
Where they disagree the embedded one is wrong. What it leaves out on purpose is marked
``real_only(reason)``; what cannot be had from the real one ``embedded_only(reason)``.
"""
