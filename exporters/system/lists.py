"""Lists of CPUs as the kernel writes them: `0-2,5` (https://docs.kernel.org/admin-guide/cputopology.html)."""

from exporters.errors import SourceError

_MOST = 1 << 16
"""More CPUs than any kernel is built for (NR_CPUS is at most 8192 on x86): a list beyond is no list."""


def parse_list(source: str, text: bytes) -> tuple[str, ...]:
    """The numbers of the list, in its order; `source` names the file in the error.

    Raises:
        SourceError: it is no such list.
    """
    cpus: list[str] = []
    try:
        for part in text.decode("ascii", "replace").strip().split(","):
            first, _, last = part.partition("-")
            if not part:
                continue
            if int(last or first) > _MOST:
                raise SourceError(source, f"CPU {last or first}")
            cpus += map(str, range(int(first), int(last or first) + 1))
    except ValueError as error:
        raise SourceError(source, str(error)) from error
    return tuple(cpus)
