"""Which entries of the policy stand on which Proxmox cluster of controller.yaml. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, TypeVar

from controller.policy.problems import PolicyErrors, Problem, did_you_mean, quoted

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from controller.policy.model import Policy
    from controller.policy.places import Token
    from controller.resources.resource import Context

__all__ = ["check_clusters", "cluster_of", "entries_here"]

_LONGEST_USER_ID = 64
"""What Proxmox takes as name@realm (pve-access-control, PVE::Auth::Plugin)."""


class _Placed(Protocol):
    @property
    def cluster(self) -> str | None: ...


T = TypeVar("T", bound=_Placed)


def cluster_of(context: Context) -> str:
    """The cluster's name in controller.yaml: `par1` for the system `proxmox:par1`."""
    return context.system.partition(":")[2]


def entries_here(entries: Mapping[str, T], context: Context) -> dict[str, T]:
    """The entries of this cluster; one that names no cluster is here where there is no other."""
    here = cluster_of(context)
    return {
        name: one
        for name, one in entries.items()
        if one.cluster == here or (one.cluster is None and context.only_cluster)
    }


def check_clusters(policy: Policy, clusters: Mapping[str, str]) -> None:
    """What stands on Proxmox must fit `clusters`, each of controller.yaml with its realm for people.

    Raises PolicyErrors.
    """
    problems = [
        *_unplaced(policy, clusters),
        *_sets(policy, clusters),
        *_long_names(policy, clusters),
    ]
    if problems:
        raise PolicyErrors(problems)


def _unplaced(policy: Policy, clusters: Mapping[str, str]) -> Iterator[Problem]:
    sections: dict[str, Mapping[str, _Placed]] = {
        "machines": policy.machines,
        "pools": policy.pools,
        "storages": policy.storages,
        "nodes": policy.nodes,
    }
    for section, entries in sections.items():
        for name, one in entries.items():
            if one.cluster is None and len(clusters) > 1:
                message = f"{quoted(name)} names no cluster, and controller.yaml names {len(clusters)}"
                yield Problem(policy.at(section, name), message)
            elif one.cluster is not None and one.cluster not in clusters:
                yield _unknown(policy, one.cluster, clusters, section, name, "cluster")


def _unknown(
    policy: Policy, cluster: str, clusters: Mapping[str, str], section: str, name: str, *fields: Token
) -> Problem:
    message = f"controller.yaml names no cluster {quoted(cluster)}"
    return Problem(policy.at(section, name, *fields), message, did_you_mean(cluster, clusters))


def _sets(policy: Policy, clusters: Mapping[str, str]) -> Iterator[Problem]:
    """A set may span clusters, unless it expects a number: each cluster is counted by itself."""
    for name, one in policy.machine_sets.items():
        if one.match.cluster is not None and one.match.cluster not in clusters:
            yield _unknown(policy, one.match.cluster, clusters, "machine_sets", name, "match", "cluster")
        elif one.match.cluster is None and one.expect is not None and len(clusters) > 1:
            message = f"{quoted(name)} expects a number of machines: say of which cluster (match.cluster)"
            yield Problem(policy.at("machine_sets", name, "expect"), message)


def _long_names(policy: Policy, clusters: Mapping[str, str]) -> Iterator[Problem]:
    realm = max(clusters.values(), key=len, default="")
    for name in policy.users:
        userid = f"{name}@{realm}"
        if realm and len(userid) > _LONGEST_USER_ID:
            message = f"{quoted(userid)} is longer than {_LONGEST_USER_ID} characters, what Proxmox allows"
            yield Problem(policy.at("users", name), message)
