"""What systemctl(1) tells, for hosts where no socket of systemd answers us: one batch for all units.

`systemctl show` prints a block of `Property=value` lines for each unit, blocks apart by an empty line.
"""

import shutil
from collections.abc import Iterator, Mapping

from exporters.errors import ExporterError, SourceError
from exporters.system.systemd_bus import Raw, Unit, Wanted

DEADLINE_SECONDS = 10.0
_MOST_BYTES = 1 << 24
_PROGRAM = "systemctl"
_MANAGER_ARGV = (_PROGRAM, "show", "--no-pager", "--property=Version,Virtualization,SystemState")
_COUNTS = ("NAccepted", "NConnections", "NRefused", "NRestarts", "TasksCurrent", "TasksMax")
_INSTANTS = ("LastTriggerUSec", "ActiveEnterTimestamp")
_MICROSECONDS = 1_000_000


def is_there() -> bool:
    """Whether this host has the program."""
    return shutil.which(_PROGRAM) is not None


def units_argv() -> tuple[str, ...]:
    """The command that shows all units."""
    names = ",".join(("Id", "LoadState", "ActiveState", "Type", *_COUNTS, *_INSTANTS))
    return (_PROGRAM, "show", "--all", "--no-pager", "--timestamp=unix", f"--property={names}", "*")


def read(wanted: Wanted) -> Raw:
    """Run it.

    Raises:
        ExporterError: it failed, or did not end in time.
        SourceError: its answer is not what it documents.
    """
    return parse(_run(_MANAGER_ARGV), _run(units_argv()), wanted)


def parse(manager: str, units: str, wanted: Wanted) -> Raw:
    """What both commands printed, as systemd's own answers.

    Raises:
        SourceError: a block has no name, or a number is none.
    """
    about = next(_blocks(manager), {})
    found = list(_blocks(units))
    if any("Id" not in block for block in found):
        raise SourceError(_PROGRAM, "a unit without a name")
    listed = {block["Id"]: block for block in found}
    named = tuple(
        Unit(name, block.get("LoadState", ""), block.get("ActiveState", "")) for name, block in listed.items()
    )
    properties: dict[str, dict[str, int]] = {}
    for unit in named:
        for _, name in wanted.properties(unit):
            number = _number(listed[unit.name].get(name, ""))
            if number is not None:
                properties.setdefault(name, {})[unit.name] = number
    return Raw(
        about.get("Version", ""),
        about.get("Virtualization"),
        about.get("SystemState", ""),
        named,
        {name: block["Type"] for name, block in listed.items() if "Type" in block},
        properties,
    )


def _blocks(text: str) -> Iterator[Mapping[str, str]]:
    for block in text.split("\n\n"):
        pairs = dict(line.partition("=")[::2] for line in block.splitlines() if "=" in line)
        if pairs:
            yield pairs


def _number(text: str) -> int | None:
    """A count, or an instant (`@1700000000`) in microseconds; None where systemctl has none."""
    if text.startswith("@"):
        return int(text[1:]) * _MICROSECONDS if text[1:].isdigit() else None
    return int(text) if text.isdigit() else None


def _run(argv: tuple[str, ...]) -> str:
    import subprocess  # a megabyte; most hosts do without

    try:
        done = subprocess.run(  # noqa: S603 - constant words, no shell
            argv, capture_output=True, check=True, timeout=DEADLINE_SECONDS
        )
    except (OSError, subprocess.SubprocessError) as error:
        raise ExporterError(f"{_PROGRAM}: {error}") from error
    if len(done.stdout) > _MOST_BYTES:
        raise SourceError(_PROGRAM, f"{len(done.stdout)} bytes")
    return done.stdout.decode("utf-8", "replace")
