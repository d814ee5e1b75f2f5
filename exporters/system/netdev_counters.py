"""The counters of `netdev`: names, and the places in their source that are summed under each name.

The source is struct rtnl_link_stats64 (linux/if_link.h) over netlink, else the columns of /proc/net/dev.
"""

from exporters.samples import Kind, Metric

Counter = tuple[str, tuple[int, ...]]
"""A name without `node_network_` and `_total`, and the places that are summed."""

DETAILED: tuple[Counter, ...] = tuple(
    (name, (place,))
    for place, name in enumerate(
        (
            "receive_packets",
            "transmit_packets",
            "receive_bytes",
            "transmit_bytes",
            "receive_errors",
            "transmit_errors",
            "receive_dropped",
            "transmit_dropped",
            "multicast",
            "collisions",
            "receive_length_errors",
            "receive_over_errors",
            "receive_crc_errors",
            "receive_frame_errors",
            "receive_fifo_errors",
            "receive_missed_errors",
            "transmit_aborted_errors",
            "transmit_carrier_errors",
            "transmit_fifo_errors",
            "transmit_heartbeat_errors",
            "transmit_window_errors",
            "receive_compressed",
            "transmit_compressed",
            "receive_nohandler",
        )
    )
)
"""Each counter of the kernel under its own name."""

SUMMED: tuple[Counter, ...] = (
    ("receive_bytes", (2,)),
    ("receive_packets", (0,)),
    ("receive_errs", (4,)),
    ("receive_drop", (6, 15)),
    ("receive_fifo", (14,)),
    ("receive_frame", (13, 10, 11, 12)),
    ("receive_compressed", (21,)),
    ("receive_multicast", (8,)),
    ("transmit_bytes", (3,)),
    ("transmit_packets", (1,)),
    ("transmit_errs", (5,)),
    ("transmit_drop", (7,)),
    ("transmit_fifo", (18,)),
    ("transmit_colls", (9,)),
    ("transmit_carrier", (17, 16, 19, 20)),
    ("transmit_compressed", (22,)),
    ("receive_nohandler", (23,)),
)
"""As /proc/net/dev has them (net/core/net-procfs.c), and the packets that nobody handled."""

FILE_SUMMED: tuple[Counter, ...] = tuple((name, (place,)) for place, (name, _) in enumerate(SUMMED[:16]))
"""The columns of /proc/net/dev."""

_FILE_NAMES = {
    "receive_errs": "receive_errors",
    "receive_drop": "receive_dropped",
    "transmit_errs": "transmit_errors",
    "transmit_drop": "transmit_dropped",
}
FILE_DETAILED: tuple[Counter, ...] = tuple(
    (_FILE_NAMES.get(name, name), places) for name, places in FILE_SUMMED
)
"""The same under the names that they have among the detailed ones."""


def metric(name: str, labels: tuple[str, ...] = ("device",)) -> Metric:
    """The metric of a counter."""
    return Metric(f"node_network_{name}_total", Kind.COUNTER, f"Network device statistic {name}.", labels)
