"""The API token's file."""

import os
import re
import stat
from pathlib import Path

from exporters.vm.errors import ProxmoxError

_LONGEST_BYTES = 4096
_FOR_OTHERS = stat.S_IRWXO | stat.S_IWGRP | stat.S_IXGRP
# PVE::AccessControl: user@realm!tokenid, and the secret is a UUID; nothing here may end a header field.
_TOKEN = re.compile(
    r"(?:(?![:/!=])[!-~])+@[A-Za-z][A-Za-z0-9.\-_]+![A-Za-z][A-Za-z0-9.\-_]+=[0-9A-Za-z\-]{1,200}"
)


def read_token(path: Path) -> str:
    """The token `USER@REALM!ID=SECRET` in the file; read anew each time, so that it can be renewed.

    Raises:
        ProxmoxError: it is not there, others may read it, or it holds no token. Its text is never told.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError as error:
        raise ProxmoxError(f"{path}: {error.strerror}") from error
    try:
        _check_mode(path, os.fstat(descriptor).st_mode)
        text = os.read(descriptor, _LONGEST_BYTES + 1).decode("ascii", "replace").strip()
    finally:
        os.close(descriptor)
    if not _TOKEN.fullmatch(text):
        raise ProxmoxError(f"{path}: holds no token of the form USER@REALM!ID=SECRET")
    return text


def _check_mode(path: Path, mode: int) -> None:
    if not stat.S_ISREG(mode):
        raise ProxmoxError(f"{path}: not a plain file")
    if mode & _FOR_OTHERS:
        raise ProxmoxError(f"{path}: mode {stat.S_IMODE(mode):04o} lets others at it (chmod 600)")
