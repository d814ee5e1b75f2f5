"""Names of containers, of which the hierarchy of cgroups has only identifiers.

From files that the runtimes keep below the root: Docker's config.v2.json of each container, podman's
containers.json, and the names of the kubelet's links in /var/log/containers (POD_NAMESPACE_CONTAINER-ID.log).
Guests of Proxmox VE have theirs in pve_guest_info: files of /etc/pve may hang with its cluster.
"""

import json
import os
from collections.abc import Iterable, Mapping

from exporters.errors import SourceError
from exporters.system.tree import Tree, read_file

_DOCKER = "/var/lib/docker/containers"
_PODMAN = "/var/lib/containers/storage/overlay-containers/containers.json"
_KUBELET = "/var/log/containers"
_LONGEST_NAME = 256


class ContainerNames:
    """Finds names by runtime and identifier; what was found is remembered while the container is there."""

    def __init__(self, tree: Tree) -> None:
        self._tree = tree
        self._known: dict[tuple[str, str], str] = {}

    def of(self, wanted: Iterable[tuple[str, str]]) -> Mapping[tuple[str, str], str]:
        """Names of these, each a runtime and a whole identifier; one whose name is not told is absent."""
        here = set(wanted)
        self._known = {each: name for each, name in self._known.items() if each in here}
        unknown = here - self._known.keys()
        runtimes = {runtime for runtime, _ in unknown}
        listed = self._podman() if "podman" in runtimes else {}
        logged = self._kubelet() if runtimes & {"containerd", "crio", "docker"} else {}
        for runtime, identifier in unknown:
            name = logged.get(identifier) or listed.get(identifier)
            if name is None and runtime == "docker":
                name = self._docker(identifier)
            if name:
                self._known[runtime, identifier] = name[:_LONGEST_NAME]
        return self._known

    def _docker(self, identifier: str) -> str | None:
        found = self._json(f"{_DOCKER}/{identifier}/config.v2.json")
        name = found.get("Name") if isinstance(found, dict) else None
        return name.removeprefix("/") if isinstance(name, str) else None

    def _podman(self) -> dict[str, str]:
        names = {}
        found = self._json(_PODMAN)
        for each in found if isinstance(found, list) else []:
            if isinstance(each, dict) and isinstance(each.get("names"), list) and each["names"]:
                names[str(each.get("id"))] = str(each["names"][0])
        return names

    def _kubelet(self) -> dict[str, str]:
        """By identifier: namespace, pod and container, apart by slashes."""
        try:
            links = os.listdir(self._tree.below_root(_KUBELET))  # noqa: PTH208 - names alone are wanted
        except OSError:
            return {}
        names = {}
        for link in links:
            name, _, identifier = link.removesuffix(".log").rpartition("-")
            pod, _, rest = name.partition("_")
            namespace, _, container = rest.partition("_")
            if container:
                names[identifier] = f"{namespace}/{pod}/{container}"
        return names

    def _json(self, path: str) -> object:
        try:
            return json.loads(read_file(self._tree.below_root(path)))
        except (OSError, SourceError, ValueError, RecursionError):
            return None
