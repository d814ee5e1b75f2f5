"""The screen as lines of styled text: what is worth a line at this size, the rest counted.

Everything here is pure; names come from the host and may hold anything, so what does not print is replaced
before it reaches a terminal.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from unicodedata import east_asian_width

from agent.top.history import History, curve
from agent.top.view import Use, View, by_cpu, by_memory
from exporters.gpu.state import GpuState

__all__ = ["Line", "Look", "Panel", "Span", "draw", "plain"]

_TWO_COLUMNS = 100
_GAP = 2
_BAR = 24
_CURVE = 24
_WARM = 0.7
_HOT = 0.9
_UNITS = ("B", "KiB", "MiB", "GiB", "TiB", "PiB")
_STEP = 1024


@dataclass(frozen=True)
class Span:
    """Text in one style: "", title, dim, good, warm or hot."""

    text: str
    style: str = ""


Line = tuple[Span, ...]


@dataclass(frozen=True)
class Look:
    """What the person chose: who comes first, and whether the screen stands still."""

    sort: str = "cpu"
    is_paused: bool = False
    interval_seconds: float = 0.5


@dataclass(frozen=True)
class Panel:
    """A titled list; at least two rows of it are shown where it has them."""

    title: Line
    rows: tuple[Line, ...]


def draw(
    seen: View, history: History, look: Look, *, head: str, width: int, height: int | None
) -> list[Line]:
    """The whole screen, at most `height` lines of `width` columns; a height of None shows everything."""
    lines = [_head(head, look, width), *_machine(seen, history, width), ()]
    left = None if height is None else max(0, height - len(lines))
    lines += _columns(list(_panels(seen, history, look)), width, left)
    return [_cut(line, width) for line in (lines if height is None else lines[:height])]


def plain(line: Line) -> str:
    """A line without its styles."""
    return "".join(span.text for span in line).rstrip()


def _head(head: str, look: Look, width: int) -> Line:
    pace = "paused" if look.is_paused else f"every {look.interval_seconds:g} s"
    keys = f"{pace}   space: pause   m/c: sort   q: quit"
    space = width - len(head) - len(keys)
    return (Span(head, "title"), Span(" " * max(2, space) + keys, "dim"))


def _machine(seen: View, history: History, width: int) -> Iterator[Line]:
    wide = width >= _TWO_COLUMNS - 20
    if seen.cpu is not None:
        modes = "  ".join(f"{mode} {_percent(seen.cpu_modes.get(mode, 0.0))}" for mode in _MODES)
        tail = (Span(" " + curve(history.of("cpu"), _CURVE, 1.0), "dim"),) if wide else ()
        yield (
            Span("CPU     "),
            *_bar(seen.cpu),
            Span(f" {_percent(seen.cpu):>5}"),
            *tail,
            Span(f"  {len(seen.cores)} CPUs: {modes}", "dim"),
        )
        if len(seen.cores) > 1:
            yield (Span("        "), *(_core(share) for share in seen.cores[: width - 8]))
    if seen.memory is not None:
        memory = seen.memory
        swap = f"  swap {_size(memory.swap_used)} of {_size(memory.swap_total)}" if memory.swap_total else ""
        used = memory.used / memory.total
        tail = (Span(" " + curve(history.of("memory"), _CURVE, 1.0), "dim"),) if wide else ()
        yield (
            Span("Memory  "),
            *_bar(used),
            Span(f" {_percent(used):>5}"),
            *tail,
            Span(f"  {_size(memory.used)} of {_size(memory.total)}{swap}", "dim"),
        )
    if seen.pressure:
        waits = (Span(f"{name} {_percent(share)}   ", _style(share)) for name, share in seen.pressure.items())
        yield (Span("Waiting "), *waits)


_MODES = ("user", "system", "iowait", "steal")


def _panels(seen: View, history: History, look: Look) -> Iterator[Panel]:
    order = by_memory if look.sort == "memory" else by_cpu
    if seen.failed_units:
        failed = tuple((Span(f"  {_printable(name)}", "hot"),) for name in seen.failed_units)
        yield Panel((Span(f"Failed services ({len(failed)})", "hot"),), failed)
    for gpu in seen.gpus:
        yield _gpu(gpu, history)
    if seen.guests:
        yield Panel(_title("Guests and containers", _USE_HEAD), tuple(map(_use, order(seen.guests))))
    if seen.users:
        yield Panel(_title("Users", _USE_HEAD), tuple(map(_use, order(seen.users))))
    if seen.units:
        yield Panel(_title("Services", _USE_HEAD), tuple(map(_use, order(seen.units))))
    if seen.disks:
        rows = (
            (
                Span(f"  {_name(disk.name)}{_rate(disk.read)}{_rate(disk.written)}"),
                Span(f"{_percent(disk.busy):>8}", _style(disk.busy)),
            )
            for disk in seen.disks
        )
        yield Panel(_title("Disks", f"{'read/s':>12}{'written/s':>12}{'busy':>8}"), tuple(rows))
    if seen.interfaces:
        flows = tuple(
            (Span(f"  {_name(one.name)}{_rate(one.received)}{_rate(one.sent)}"),) for one in seen.interfaces
        )
        yield Panel(_title("Network", f"{'received/s':>12}{'sent/s':>12}"), flows)
    if seen.mounts:
        yield Panel(_title("File systems", f"{'used':>12}{'size':>12}"), tuple(_mounts(seen)))
    if seen.problems:
        rows = (
            (Span(f"  {name}: ", "warm"), Span(_printable(why)))
            for name, why in sorted(seen.problems.items())
        )
        yield Panel((Span("Not readable", "warm"),), tuple(rows))


_USE_HEAD = f"{'CPU':>12}{'memory':>12}{'tasks':>8}"


def _mounts(seen: View) -> Iterator[Line]:
    for mount in seen.mounts:
        if mount.error:
            yield (Span(f"  {_name(mount.point)}"), Span(f"  {_printable(mount.error)}", "hot"))
        else:
            share = mount.used / mount.size
            yield (
                Span(f"  {_name(mount.point)}{_size(mount.used):>12}{_size(mount.size):>12}"),
                Span(f"{_percent(share):>8}", _style(share)),
            )


def _gpu(gpu: GpuState, history: History) -> Panel:
    title = (Span(f"GPU {gpu.index}  {_printable(gpu.name)}", "title"),)
    if not gpu.up:
        return Panel(title, ((Span("  lost: the driver does not reach it", "hot"),),))
    facts = [
        f"{gpu.temperature:g} °C" if gpu.temperature is not None else "",
        f"{gpu.power:.0f} W" if gpu.power is not None else "",
        f"fan {gpu.fan_speed:g} %" if gpu.fan_speed is not None else "",
    ]
    rows: list[Line] = []
    if gpu.gpu_util is not None:
        busy = float(gpu.gpu_util) / 100
        tail = " " + curve(history.of(f"gpu {gpu.uuid}"), _CURVE // 2, 1.0)
        rows.append(
            (Span("  busy    "), *_bar(busy, _BAR // 2), Span(f" {_percent(busy)}"), Span(tail, "dim"))
        )
    if gpu.mem_used is not None and gpu.mem_total:
        share = gpu.mem_used / gpu.mem_total
        sizes = f" {_percent(share)}  {_size(gpu.mem_used)} of {_size(gpu.mem_total)}"
        rows.append((Span("  memory  "), *_bar(share, _BAR // 2), Span(sizes)))
    rows.append((Span("  " + "   ".join(fact for fact in facts if fact), "dim"),))
    for name, memory, share_of in _gpu_owners(gpu):
        busy_text = f"{share_of:>7.0f} %" if share_of is not None else " " * 9
        rows.append((Span(f"  {_name(name)}{_size(memory or 0):>12}{busy_text}"),))
    return Panel(title, tuple(rows))


def _gpu_owners(gpu: GpuState) -> Iterator[tuple[str, int | None, float | None]]:
    """Guests and containers by their names, and the users of everything else."""
    for use in (*gpu.guests, *gpu.containers, *gpu.users):
        name = use.guest or use.container or use.user
        yield name, use.memory_bytes, None if use.sm_percent is None else float(use.sm_percent)


def _columns(panels: Sequence[Panel], width: int, height: int | None) -> list[Line]:
    """The panels in one column or two, each shortened alike where they do not fit."""
    if width < _TWO_COLUMNS:
        return _stack(panels, height)
    half = (width - _GAP) // 2
    columns: tuple[list[Panel], list[Panel]] = ([], [])
    for panel in panels:
        shorter = min(columns, key=lambda column: sum(len(one.rows) + 2 for one in column))
        shorter.append(panel)
    left, right = (_stack(column, height) for column in columns)
    longest = max(len(left), len(right))
    return [
        (*_padded(left[place] if place < len(left) else (), half), Span(" " * _GAP), *_line_at(right, place))
        for place in range(longest)
    ]


def _line_at(lines: Sequence[Line], place: int) -> Line:
    return lines[place] if place < len(lines) else ()


def _stack(panels: Sequence[Panel], height: int | None) -> list[Line]:
    shown = [len(panel.rows) for panel in panels]
    while height is not None and sum(shown) + 2 * len(panels) > height and max(shown, default=0) > 1:
        shown[shown.index(max(shown))] -= 1
    lines: list[Line] = []
    for panel, count in zip(panels, shown, strict=True):
        hidden = len(panel.rows) - count
        more = (Span(f"  … {hidden} more", "dim"),) if hidden else ()
        lines += [(*panel.title, *more), *panel.rows[:count], ()]
    return lines


def _title(text: str, columns: str) -> Line:
    return (Span(f"{text:<{_NAME + 2}}", "title"), Span(columns, "dim"))


def _use(use: Use) -> Line:
    tasks = "" if use.tasks is None else str(use.tasks)
    cpu = f"{use.cpus * 100:.1f} %"
    name = f"{use.name} {use.detail}" if use.detail else use.name
    return (Span(f"  {_name(name)}{cpu:>12}{_size(use.memory):>12}{tasks:>8}"),)


_NAME = 20


def _name(text: str) -> str:
    """A name in its column: cut, and padded by what it really takes."""
    kept = _clip(_printable(text), _NAME)
    return kept + " " * (_NAME - _columns_of(kept))


def _bar(share: float, width: int = _BAR) -> Line:
    full = min(width, max(0, round(share * width)))
    return (Span("█" * full, _style(share) or "good"), Span("░" * (width - full), "dim"))


def _core(share: float) -> Span:
    return Span(curve((share,), 1, 1.0) if share >= _SEEN else "▁", _style(share) or "good")


_SEEN = 0.06


def _style(share: float) -> str:
    return "hot" if share >= _HOT else "warm" if share >= _WARM else ""


def _percent(share: float) -> str:
    return f"{share * 100:.0f} %"


def _size(count: float) -> str:
    value = float(count)
    for unit in _UNITS[:-1]:
        if abs(value) < _STEP:
            return f"{value:.0f} {unit}" if unit == "B" or value >= 100 else f"{value:.1f} {unit}"
        value /= _STEP
    return f"{value:.1f} {_UNITS[-1]}"


def _rate(count: float) -> str:
    return f"{_size(count):>12}"


def _printable(text: str) -> str:
    return "".join(character if character.isprintable() else "\ufffd" for character in text)


def _columns_of(text: str) -> int:
    return sum(2 if east_asian_width(character) in "WF" else 1 for character in text)


def _clip(text: str, width: int) -> str:
    if _columns_of(text) <= width:
        return text
    kept = ""
    for character in text:
        if _columns_of(kept + character) > width - 1:
            break
        kept += character
    return kept + "…"


def _padded(line: Line, width: int) -> Line:
    cut = _cut(line, width)
    return (*cut, Span(" " * (width - sum(_columns_of(span.text) for span in cut))))


def _cut(line: Line, width: int) -> Line:
    left = width
    kept = []
    for span in line:
        if left <= 0:
            break
        text = _clip(span.text, left) if _columns_of(span.text) > left else span.text
        kept.append(Span(text, span.style))
        left -= _columns_of(text)
    return tuple(kept)
