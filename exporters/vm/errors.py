"""What asking Proxmox VE can end with.

ExporterError
└── ProxmoxError            the API answered, but not with what was asked for
    ├── DeniedError         403: a privilege is missing; names path and privilege
    ├── NodeDownError       595 to 599, or no answer in time: the node behind the API does not answer
    └── UnreachableError    none of the addresses answers
"""

import re

from exporters.errors import ExporterError

# PVE::RPCEnvironment `check`: `Permission check failed (/vms/100, VM.Audit)`; alternatives are joined by `|`.
_REFUSED = re.compile(r"Permission check failed \((/[^,()\s]{0,200}), ([A-Za-z.|]{1,200})\)")


class ProxmoxError(ExporterError):
    """The API answered with an error, or with something that is none of its answers."""


class DeniedError(ProxmoxError):
    """The token lacks `privilege` on `path`; both as Proxmox VE names them."""

    def __init__(self, path: str, privilege: str) -> None:
        super().__init__(f"the token has no {privilege} on {path}")
        self.path = path
        self.privilege = privilege


class NodeDownError(ProxmoxError):
    """A request for a node was not passed on to it; the API itself is well."""


class UnreachableError(ProxmoxError):
    """No address of the API answers; the text says why, address by address."""


def refusal(message: str, request_path: str) -> DeniedError:
    """The error of a 403; the request's path where its text names no privilege."""
    match = _REFUSED.search(message)
    return DeniedError(request_path, "unknown") if match is None else DeniedError(match[1], match[2])
