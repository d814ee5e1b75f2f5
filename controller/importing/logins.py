"""Which client Proxmox VE logs people in through, in the policy's words. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from controller.resources.proxmox_marks import owner_of, text_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from controller.importing.saying import Entries, LeftOut
    from controller.importing.world import ClusterWorld
    from controller.proxmox_values import ProxmoxOpenId

__all__ = ["add_login"]

_OPENID = "openid"
_CLAIM = "username"


def add_login(
    clients: Entries, clusters: Sequence[ClusterWorld], issuer: str, owner: str, left_out: LeftOut
) -> None:
    """Give the client that the OpenID realm of every cluster names its field `proxmox`.

    A policy says it for all clusters or for none: where they differ, it is left out and told.
    """
    logins = [one.login for one in clusters if one.login is not None and one.login.type == _OPENID]
    told = {
        cluster.name: why
        for cluster in clusters
        if (why := _why_not(cluster, clients, issuer, owner, logins))
    }
    for cluster, why in told.items():
        left_out.add("clients", f"proxmox on {cluster}", why)
    if not logins or told:
        return
    said: dict[str, Any] = {}
    if len({login.default for login in logins}) == 1:
        said["default"] = logins[0].default
    if len({text_of(login.comment) for login in logins}) == 1:
        said["comment"] = text_of(logins[0].comment)
    clients[logins[0].client_id]["proxmox"] = {name: value for name, value in said.items() if value}


def _why_not(
    cluster: ClusterWorld,
    clients: Mapping[str, Mapping[str, Any]],
    issuer: str,
    owner: str,
    logins: Sequence[ProxmoxOpenId],
) -> str:
    """Why a policy cannot say how people log in to a cluster; "" where it can, or there is nothing to say."""
    login = cluster.login
    if not logins:
        return ""
    if login is None or login.type != _OPENID:
        return f"there is no OpenID realm {cluster.realm}, or our account may not see it; others have one"
    if login.issuer_url.rstrip("/") != issuer:
        return f"its realm {login.name} asks {login.issuer_url}"
    if login.client_id not in clients:
        return f"people log in through the client {login.client_id}, which no policy names"
    if len({one.client_id for one in logins}) > 1:
        return f"people log in through {login.client_id} here and through another client elsewhere"
    if owner_of(login.comment) not in {"", owner}:
        return f"its realm {login.name} belongs to {owner_of(login.comment)}"
    if login.username_claim != _CLAIM:
        return f"its realm {login.name} names people by {login.username_claim or 'the subject'}"
    if login.autocreate:
        return f"its realm {login.name} makes accounts by itself (autocreate)"
    if login.client_key and clients[login.client_id].get("public"):
        return f"its realm {login.name} has a secret, and the client {login.client_id} is public"
    return ""
