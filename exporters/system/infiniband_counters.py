"""Names of the counters of an InfiniBand port: file below the port's folder → metric and help.

`counters` since Linux 2.6.12, `counters_ext` until 4.5, `hw_counters` since 4.6, of mlx5 and others.
"""

_LANES = 4

COUNTERS = {
    "counters_ext/port_multicast_rcv_packets": (
        "legacy_multicast_packets_received",
        "Multicast packets received.",
    ),
    "counters_ext/port_multicast_xmit_packets": (
        "legacy_multicast_packets_transmitted",
        "Multicast packets sent.",
    ),
    "counters_ext/port_rcv_data_64": ("legacy_data_received_bytes", "Bytes received."),
    "counters_ext/port_rcv_packets_64": ("legacy_packets_received", "Packets received."),
    "counters_ext/port_unicast_rcv_packets": ("legacy_unicast_packets_received", "Unicast packets received."),
    "counters_ext/port_unicast_xmit_packets": ("legacy_unicast_packets_transmitted", "Unicast packets sent."),
    "counters_ext/port_xmit_data_64": ("legacy_data_transmitted_bytes", "Bytes sent."),
    "counters_ext/port_xmit_packets_64": ("legacy_packets_transmitted", "Packets sent."),
    "counters/excessive_buffer_overrun_errors": (
        "excessive_buffer_overrun_errors",
        "Repeated buffer overruns.",
    ),
    "counters/link_downed": ("link_downed", "Times that the link did not recover and went down."),
    "counters/link_error_recovery": ("link_error_recovery", "Times that the link recovered."),
    "counters/local_link_integrity_errors": (
        "local_link_integrity_errors",
        "Physical errors over the threshold.",
    ),
    "counters/multicast_rcv_packets": (
        "multicast_packets_received",
        "Multicast packets received, with errors.",
    ),
    "counters/multicast_xmit_packets": (
        "multicast_packets_transmitted",
        "Multicast packets sent, with errors.",
    ),
    "counters/port_rcv_constraint_errors": (
        "port_constraint_errors_received",
        "Packets discarded by the switch port.",
    ),
    "counters/port_xmit_constraint_errors": (
        "port_constraint_errors_transmitted",
        "Packets that the port did not send.",
    ),
    "counters/port_rcv_data": ("port_data_received_bytes", "Bytes received on all lanes."),
    "counters/port_xmit_data": ("port_data_transmitted_bytes", "Bytes sent on all lanes."),
    "counters/port_rcv_discards": ("port_discards_received", "Inbound packets discarded by the port."),
    "counters/port_xmit_discards": ("port_discards_transmitted", "Outbound packets discarded by the port."),
    "counters/port_rcv_errors": ("port_errors_received", "Packets received with an error."),
    "counters/port_rcv_packets": ("port_packets_received", "Packets received, with errors."),
    "counters/port_xmit_packets": ("port_packets_transmitted", "Packets sent, with errors."),
    "counters/port_xmit_wait": ("port_transmit_wait", "Ticks with data to send and none sent."),
    "counters/unicast_rcv_packets": ("unicast_packets_received", "Unicast packets received, with errors."),
    "counters/unicast_xmit_packets": ("unicast_packets_transmitted", "Unicast packets sent, with errors."),
    "counters/port_rcv_remote_physical_errors": (
        "port_receive_remote_physical_errors",
        "Packets received that were marked bad on their way.",
    ),
    "counters/port_rcv_switch_relay_errors": (
        "port_receive_switch_relay_errors",
        "Packets that could not be forwarded.",
    ),
    "counters/symbol_error": ("symbol_error", "Minor errors of the link."),
    "counters/VL15_dropped": ("vl15_dropped", "Management packets dropped for want of resources."),
    "hw_counters/duplicate_request": (
        "duplicate_requests_packets",
        "Requests that had been carried out before.",
    ),
    "hw_counters/implied_nak_seq_err": (
        "implied_nak_seq_errors",
        "Acknowledgements beyond the expected number.",
    ),
    "hw_counters/local_ack_timeout_err": (
        "local_ack_timeout_errors",
        "Acknowledgements that did not come in time.",
    ),
    "hw_counters/np_cnp_sent": ("np_cnp_packets_sent", "Congestion notifications sent."),
    "hw_counters/np_ecn_marked_roce_packets": (
        "np_ecn_marked_roce_packets_received",
        "RoCE packets received with a mark of congestion.",
    ),
    "hw_counters/out_of_buffer": ("out_of_buffer_drops", "Packets dropped for want of receive buffers."),
    "hw_counters/out_of_sequence": ("out_of_sequence_packets_received", "Packets received out of sequence."),
    "hw_counters/packet_seq_err": ("packet_sequence_errors", "Sequence errors that the other side told of."),
    "hw_counters/req_cqe_error": ("req_cqes_errors", "Own requests that completed with an error."),
    "hw_counters/req_cqe_flush_error": ("req_cqes_flush_errors", "Own requests that were flushed."),
    "hw_counters/req_remote_access_errors": (
        "req_remote_access_errors",
        "Own requests without access over there.",
    ),
    "hw_counters/req_remote_invalid_request": (
        "req_remote_invalid_request_errors",
        "Own requests called invalid.",
    ),
    "hw_counters/resp_cqe_error": ("resp_cqes_errors", "Answers that completed with an error."),
    "hw_counters/resp_cqe_flush_error": ("resp_cqes_flush_errors", "Answers that were flushed."),
    "hw_counters/resp_local_length_error": ("resp_local_length_errors", "Answers with a wrong length."),
    "hw_counters/resp_remote_access_errors": ("resp_remote_access_errors", "Requests without access here."),
    "hw_counters/rnr_nak_retry_err": (
        "rnr_nak_retry_packets_received",
        "Times that the other side was not ready.",
    ),
    "hw_counters/roce_adp_retrans": ("roce_adp_retransmits", "Adaptive retransmissions."),
    "hw_counters/roce_adp_retrans_to": (
        "roce_adp_retransmits_timeout",
        "Timeouts of adaptive retransmission.",
    ),
    "hw_counters/roce_slow_restart": ("roce_slow_restart_used", "Times that slow restart was used."),
    "hw_counters/roce_slow_restart_cnps": (
        "roce_slow_restart_cnps",
        "Congestion notifications of slow restart.",
    ),
    "hw_counters/roce_slow_restart_trans": ("roce_slow_restart", "Times that slow restart began."),
    "hw_counters/rp_cnp_handled": (
        "rp_cnp_packets_handled",
        "Congestion notifications that slowed this adapter.",
    ),
    "hw_counters/rp_cnp_ignored": ("rp_cnp_ignored_packets_received", "Congestion notifications ignored."),
    "hw_counters/rx_atomic_requests": ("rx_atomic_requests", "Atomic requests received."),
    "hw_counters/rx_dct_connect": ("rx_dct_connect_requests", "Requests for dynamic connections received."),
    "hw_counters/rx_icrc_encapsulated": (
        "rx_icrc_encapsulated_errors",
        "RoCE packets with a wrong check sum.",
    ),
    "hw_counters/rx_read_requests": ("rx_read_requests", "Read requests received."),
    "hw_counters/rx_write_requests": ("rx_write_requests", "Write requests received."),
}
"""File → name of the metric without `node_infiniband_` and `_total`, and what it counts."""

UNITS = {
    "counters/port_rcv_data": _LANES,
    "counters/port_xmit_data": _LANES,
    "counters_ext/port_rcv_data_64": _LANES,
    "counters_ext/port_xmit_data_64": _LANES,
}
"""Bytes that one step of the counter stands for."""
