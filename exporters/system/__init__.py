"""The machine itself, under node_exporter's names: one module per collector with `read` (IO) and `collect`
(pure).

Names, labels, types and default filters are those of node_exporter 1.12; what the machine does not tell is
absent.
"""
