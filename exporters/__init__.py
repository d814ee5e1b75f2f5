"""Metric sources: the table of collectors, the registry that runs them, and the server of /metrics.

The room stands alone: it imports nothing else of ours, and `exporters.build` with `exporters.serving.server`
is all that a program needs to serve a machine's metrics.
"""
