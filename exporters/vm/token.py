"""The API token's file."""

import re
from pathlib import Path

from exporters.clients.token_file import read_secret
from exporters.errors import SourceError
from exporters.vm.errors import ProxmoxError

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
        text = read_secret(path)
    except SourceError as error:
        raise ProxmoxError(str(error)) from error
    if not _TOKEN.fullmatch(text):
        raise ProxmoxError(f"{path}: holds no token of the form USER@REALM!ID=SECRET")
    return text
