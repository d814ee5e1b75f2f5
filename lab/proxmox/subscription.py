"""/nodes/{node}/subscription (pve-manager:PVE/API2/Subscription.pm). No recording holds it."""

from __future__ import annotations

from lab.proxmox.guests import NODE
from lab.proxmox.methods import Call, Method

__all__ = ["METHODS"]

_NONE: dict[str, object] = {
    "status": "notfound",
    "message": "There is no subscription key",
    "url": "https://www.proxmox.com/en/proxmox-virtual-environment/pricing",
}


def show_subscription(call: Call) -> object:
    """The node's subscription; without Sys.Audit on the node only its status."""
    node = call.params["node"]
    told = call.center.environment.subscriptions.get(node, _NONE)
    if call.rights.check(call.who, f"/nodes/{node}", ("Sys.Audit",), quiet=True):
        return told
    return {"status": told["status"]}


METHODS = (
    Method(
        "GET",
        "/nodes/{node}/subscription",
        show_subscription,
        {"node": NODE},
        open_to="all",
        proxied=True,
    ),
)
