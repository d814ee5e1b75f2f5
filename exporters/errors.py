"""Errors of the exporters.

ExporterError
├── NoDataError             the source is not there at all (no such hardware, no such library): quiet
├── SourceError             the source answered with something that its documentation does not allow
├── BusError                D-Bus refused us or answered a call with an error
├── SampleError             a collector built a family that the text format cannot carry
├── StuckError              a job did not come back within its deadline
├── BusyError               a scrape waited for another one until its time was up
├── UnknownCollectorError   a scrape asked for a collector that is not in the table
├── SettingError            a flag is unknown or its value is not what it takes
└── ListenError             the address is not loopback and nobody said that this is wanted
"""


class ExporterError(Exception):
    """Root of everything that the exporters raise on purpose."""


class NoDataError(ExporterError):
    """There is nothing to read here, and that is no fault: no GPU driver, no backups configured."""


class SourceError(ExporterError):
    """A file of /proc or /sys, or a library's answer, has a shape that is not its documented one."""

    def __init__(self, source: str, why: str) -> None:
        super().__init__(f"{source}: {why}")
        self.source = source


class BusError(ExporterError):
    """D-Bus answered with an error; `name` is such as org.freedesktop.DBus.Error.UnknownProperty."""

    def __init__(self, name: str, text: str) -> None:
        super().__init__(f"{name}: {text}")
        self.name = name


class SampleError(ExporterError):
    """A metric, label or value that text format 0.0.4 cannot carry, or the same series twice."""


class StuckError(ExporterError):
    """The job still runs after its deadline; its thread is left to it and nothing waits for it."""

    def __init__(self, job: str, deadline_seconds: float) -> None:
        super().__init__(f"{job}: no answer within {deadline_seconds:g} s")


class BusyError(ExporterError):
    """Another scrape is still under way, and this one must answer."""


class UnknownCollectorError(ExporterError):
    """`collect[]` or `exclude[]` named a collector that is not enabled."""


class SettingError(ExporterError):
    """A flag that no collector has, or a value that it does not take; the text names the flag."""


class ListenError(ExporterError):
    """Metrics tell much about a machine: other addresses than loopback need an explicit word."""
