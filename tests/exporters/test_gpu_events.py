"""XID errors: none is lost between two readings, each is counted by its code, and nothing overlaps."""

from __future__ import annotations

import threading

import pytest

from exporters.errors import ExporterError
from exporters.gpu.events import Events, XidLog
from exporters.gpu.readings import XidCount
from tests.exporters.nvml import SECONDS, Clock, binding, by, gpu, labels_of, machine, until, watched

COUNT = "steward_gpu_xid_errors_total"
NO_THREAD = {"collector.gpu.event-thread": "false"}


def counted(gpus, uuid, code):
    return next((one.count for one in gpus.gpus.xids() if (one.uuid, one.code) == (uuid, code)), 0)


def test_errors_between_two_readings_are_all_counted():
    lab = machine(gpu(0), gpu(1))
    with watched() as gpus:
        seen = gpus.read()
        assert by(seen, COUNT, "uuid", "xid")["GPU-1", "79"] == 0  # so that the first one is an increase
        lab.change("GPU-1", xids=(31, 79, 79))
        until(lambda: counted(gpus, "GPU-1", 79) == 2)
        lab.change("GPU-0", xids=(13,))
        lab.change("GPU-1", xids=(31, 79, 79, 13))
        until(lambda: counted(gpus, "GPU-1", 13) == 1)
        seen = gpus.read()
    counts = {key: value for key, value in by(seen, COUNT, "uuid", "xid").items() if value}
    assert counts == {("GPU-0", "13"): 1, ("GPU-1", "31"): 1, ("GPU-1", "79"): 2, ("GPU-1", "13"): 1}
    last = {
        labels["UUID"]: (labels["err_code"], labels["err_msg"])
        for labels in labels_of(seen, "DCGM_FI_DEV_XID_ERRORS")
    }
    assert last == {
        "GPU-0": ("13", "Graphics engine exception"),
        "GPU-1": ("13", "Graphics engine exception"),
    }


def test_errors_come_while_the_reader_hangs():
    """A GPU that falls off the bus hangs its reader and says so by an event."""
    lab = machine(gpu(0))
    with watched() as gpus:
        gpus.read()
        lab.change("GPU-0", errors={"nvmlDeviceGetPowerUsage": "HANG"})
        reading = threading.Thread(target=gpus.read)
        reading.start()
        until(lambda: lab.calls("nvmlDeviceGetPowerUsage") == 2)
        lab.change("GPU-0", xids=(79,))
        until(lambda: counted(gpus, "GPU-0", 79) == 1)
        assert reading.is_alive()
        lab.change("GPU-0", errors={})
        reading.join(SECONDS)
        assert not reading.is_alive()


def test_after_a_new_session_they_are_registered_again():
    lab = machine(gpu(0), gpu(1))
    with watched() as gpus:
        gpus.read()
        before = threading.active_count()
        lab.change("GPU-1", lost=True)
        gpus.read()
        lab.change("GPU-1", lost=False)
        gpus.read()
        assert by(gpus.read(), "steward_gpu_up", "uuid") == {"GPU-0": 1, "GPU-1": 1}
        assert lab.calls("nvmlEventSetCreate") == lab.calls("nvmlInitWithFlags") > 1
        lab.change("GPU-1", xids=(48,))
        until(lambda: counted(gpus, "GPU-1", 48) == 1)
        assert threading.active_count() == before  # one thread, from session to session


def test_a_gpu_that_is_plugged_in_is_watched_too():
    lab = machine(gpu(0))
    with watched() as gpus:
        gpus.read()
        lab.play({"gpus": [gpu(0), gpu(1)]})
        assert by(gpus.read(), "steward_gpu_up", "uuid") == {"GPU-0": 1, "GPU-1": 1}
        lab.change("GPU-1", xids=(62,))
        until(lambda: counted(gpus, "GPU-1", 62) == 1)
        assert lab.calls("nvmlInitWithFlags") == 1


def test_nothing_but_the_wait_is_beside_another_call():
    lab = machine(*(gpu(number) for number in range(4)))
    with watched() as gpus:
        for number in range(20):
            lab.change("GPU-2", lost=number % 4 == 1)
            gpus.read()
        assert lab.most_calls_at_once() == 1


def test_without_the_thread_the_reader_fetches_them():
    lab = machine(gpu(0))
    with watched(flags=NO_THREAD) as gpus:
        before = threading.active_count()
        gpus.read()
        assert threading.active_count() == before
        lab.change("GPU-0", xids=(13, 13, 45))
        seen = gpus.read()
    counts = {key: value for key, value in by(seen, COUNT, "xid").items() if value}
    assert counts == {"13": 2, "45": 1}
    assert by(seen, "steward_gpu_xid_last_timestamp_seconds", "xid").keys() == {"13", "45"}


@pytest.mark.parametrize("call", ["nvmlEventSetCreate", "nvmlDeviceRegisterEvents"])
def test_a_driver_without_events_has_all_the_rest(call, caplog):
    machine(gpu(0), errors={call: "NOT_SUPPORTED"})
    with watched() as gpus:
        seen = gpus.read()
        assert by(seen, "steward_gpu_up", "uuid") == {"GPU-0": 1}
        assert by(gpus.read(), "DCGM_FI_DEV_XID_ERRORS", "err_code") == {"0": 0}
    assert caplog.records == []


def test_a_wait_that_fails_is_tried_again_and_not_in_a_hurry():
    lab = machine(gpu(0), errors={"nvmlEventSetWait_v2": "UNKNOWN"})
    with watched() as gpus:
        gpus.read()
        until(lambda: lab.calls("nvmlEventSetWait_v2") == 1)
        gpus.read()
        assert lab.calls("nvmlEventSetWait_v2") <= 2


def test_a_wait_that_hangs_keeps_the_session_and_the_other_gpus():
    lab = machine(gpu(0), gpu(1), errors={"nvmlEventSetWait_v2": "HANG"})
    nvml = binding()
    nvml.nvmlInit()
    events = Events(nvml, XidLog(), wait_milliseconds=0, patience_seconds=0.01)
    events.begin({"GPU-0": nvml.nvmlDeviceGetHandleByIndex(0)})
    until(lambda: lab.calls("nvmlEventSetWait_v2") == 1)
    with pytest.raises(ExporterError, match="does not come back"):
        events.end()
    assert nvml.nvmlDeviceGetCount() == 2
    lab.play({"gpus": [gpu(0), gpu(1)]})
    until(lambda: ended(events))
    events.close()
    nvml.nvmlShutdown()


def ended(events):
    try:
        events.end()
    except ExporterError:
        return False
    return True


def test_the_log_is_bounded_whatever_a_driver_invents():
    log = XidLog(Clock(5.0))
    for code in range(10_000):
        log.add("GPU-0", code)
    log.add("GPU-0", 0)
    assert len(log.counts()) == 256
    assert log.counts()[0] == XidCount("GPU-0", 0, 2, 5.0)
    assert log.last() == {"GPU-0": 0}
