"""Files that hold a secret: plain files that nobody else may read."""

import os
import stat
from pathlib import Path

from exporters.errors import SourceError

_LONGEST_BYTES = 4096
_FOR_OTHERS = stat.S_IRWXO | stat.S_IWGRP | stat.S_IXGRP


def read_secret(path: Path) -> str:
    """The one word of ASCII in a file; read anew each time, so that it can be renewed.

    Raises:
        SourceError: it is not there, others may read it, or it holds no such word. Its text is never told.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError as error:
        raise SourceError(str(path), error.strerror or "cannot be opened") from error
    try:
        mode = os.fstat(descriptor).st_mode
        if not stat.S_ISREG(mode):
            raise SourceError(str(path), "not a plain file")
        if mode & _FOR_OTHERS:
            raise SourceError(str(path), f"mode {stat.S_IMODE(mode):04o} lets others at it (chmod 600)")
        text = os.read(descriptor, _LONGEST_BYTES + 1).decode("ascii", "replace").strip()
    finally:
        os.close(descriptor)
    if not text or len(text) > _LONGEST_BYTES or not all("!" <= sign <= "~" for sign in text):
        raise SourceError(str(path), "holds no token")
    return text
