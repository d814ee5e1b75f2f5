"""node_timex_*: how the kernel disciplines its clock, from adjtimex(2).

Always of the running kernel, whatever tree the others read, as node_exporter does it.
"""

import ctypes
import os
import struct
from collections.abc import Callable
from dataclasses import dataclass
from errno import EPERM

from exporters.collector import Collector, Host
from exporters.errors import NoDataError
from exporters.samples import Family, Kind, Metric
from exporters.system.unchanged import Unchanged

_LAYOUT = struct.Struct("@I4li3l2l3li5l12i")
"""struct timex of <sys/timex.h> in the machine's own alignment; the last eleven numbers are its reserve."""
_NOT_SYNCHRONISED = 5
_STATUS_NANO = 0x2000
_NANO, _MICRO = 1e9, 1e6
_PPM = 1e6 * 65536
"""Frequencies are in parts per million with 16 bits of fraction."""


def _gauge(name: str, text: str) -> Metric:
    return Metric(f"node_timex_{name}", Kind.GAUGE, text)


def _counter(name: str, text: str) -> Metric:
    return Metric(f"node_timex_{name}_total", Kind.COUNTER, text)


_SYNC = _gauge("sync_status", "Whether the clock is synchronised with a reliable server.")
_OFFSET = _gauge("offset_seconds", "Offset between the local clock and its reference.")
_FREQUENCY = _gauge("frequency_adjustment_ratio", "Factor by which the rate of the local clock is adjusted.")
_MAX_ERROR = _gauge("maxerror_seconds", "Largest error that the clock may have.")
_ERROR = _gauge("estimated_error_seconds", "Error that the clock is thought to have.")
_STATUS = _gauge("status", "Status bits of the clock.")
_CONSTANT = _gauge("loop_time_constant", "Time constant of the phase-locked loop.")
_TICK = _gauge("tick_seconds", "Time between two ticks of the clock.")
_PPS_FREQUENCY = _gauge("pps_frequency_hertz", "Frequency of the pulse per second.")
_PPS_JITTER = _gauge("pps_jitter_seconds", "Jitter of the pulse per second.")
_PPS_SHIFT = _gauge("pps_shift_seconds", "Length of the interval of the pulse per second.")
_PPS_STABILITY = _gauge("pps_stability_hertz", "Stability of the pulse per second: mean of its last changes.")
_PPS_JITTERS = _counter("pps_jitter", "Pulses whose jitter was beyond its limit.")
_PPS_CALIBRATIONS = _counter("pps_calibration", "Calibration intervals of the pulse per second.")
_PPS_ERRORS = _counter("pps_error", "Calibration errors of the pulse per second.")
_PPS_EXCEEDED = _counter("pps_stability_exceeded", "Pulses whose stability was beyond its limit.")
_TAI = _gauge("tai_offset_seconds", "Offset of International Atomic Time from UTC.")


@dataclass(frozen=True, slots=True)
class Raw:
    """What adjtimex(2) returned, and the struct that it filled, field by field."""

    state: int
    fields: tuple[int, ...]


def asking() -> Callable[[], Raw]:
    """A function that asks the running kernel.

    It raises:
        NoDataError: the system call is forbidden here, as in some containers.
        OSError: it failed otherwise.
    """
    # PyDLL: the call takes less than a microsecond, less than to let go of the interpreter's lock.
    adjtimex = ctypes.PyDLL(None, use_errno=True).adjtimex
    buffer = ctypes.create_string_buffer(_LAYOUT.size)
    nothing = bytes(_LAYOUT.size)

    def ask() -> Raw:
        buffer.raw = nothing  # modes = 0: only read
        state = adjtimex(buffer)
        if state < 0:
            error = ctypes.get_errno()
            if error == EPERM:
                raise NoDataError("adjtimex is not permitted")
            raise OSError(error, os.strerror(error))
        return Raw(state, _LAYOUT.unpack(buffer.raw))

    return ask


def collect(raw: Raw) -> list[Family]:
    """The fields in seconds, ratios and hertz."""
    _, offset, frequency, max_error, error, status, constant, _, _, _, _, tick = raw.fields[:12]
    pps_frequency, jitter, shift, stability, jitters, calibrations, errors, exceeded, tai = raw.fields[12:21]
    unit = _NANO if status & _STATUS_NANO else _MICRO
    return [
        _SYNC.one(int(raw.state != _NOT_SYNCHRONISED)),
        _OFFSET.one(offset / unit),
        _FREQUENCY.one(1 + frequency / _PPM),
        _MAX_ERROR.one(max_error / _MICRO),
        _ERROR.one(error / _MICRO),
        _STATUS.one(status),
        _CONSTANT.one(constant),
        _TICK.one(tick / _MICRO),
        _PPS_FREQUENCY.one(pps_frequency / _PPM),
        _PPS_JITTER.one(jitter / unit),
        _PPS_SHIFT.one(shift),
        _PPS_STABILITY.one(stability / _PPM),
        _PPS_JITTERS.one(jitters),
        _PPS_CALIBRATIONS.one(calibrations),
        _PPS_ERRORS.one(errors),
        _PPS_EXCEEDED.one(exceeded),
        _TAI.one(tai),
    ]


def build(_host: Host) -> Collector:
    """The collector on this host."""
    return Collector(Unchanged(asking(), collect))
