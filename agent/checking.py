"""steward-agent check: is what `steward-agent run` would read right, and what would run."""

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from agent.configuration import Loaded, load
from agent.exporter_flags import Exporting, problems

if TYPE_CHECKING:
    from exporters.collector import Host
    from exporters.serving.web import Options
    from exporters.serving.web_reload import Watched

__all__ = ["check"]


def check(config: Path, exporting: Exporting) -> int:
    """Print what is wrong (exit status 1) or what would run (0); raises AgentError where there is no file."""
    loaded = load(config, os.environ)
    host = exporting.host(loaded.exporter_flags)
    found = [f"{loaded.path}: metrics.flags.{name}: {why}" for name, why in problems(loaded.exporter_flags)]
    found += [f"--{name}: {why}" for name, why in problems(exporting.given)]
    lines: list[str] = []
    if not found:
        from exporters.errors import ExporterError

        try:
            lines = list(_would_run(loaded, host, exporting.options(host, loaded.settings.metrics.listen)))
        except (ExporterError, OSError) as error:
            found.append(str(error))
    for line in found:
        sys.stderr.write(f"{line}\n")
    for line in lines:
        sys.stdout.write(f"{line}\n")
    return 1 if found else 0


def _would_run(loaded: Loaded, host: "Host", options: "Options") -> Iterator[str]:
    """What would run; raises ExporterError and OSError where it would not."""
    from exporters.build import registry as build
    from exporters.serving.server import check_addresses
    from exporters.serving.web_reload import Watched
    from exporters.table import TABLE

    watched = None if options.config_file is None else Watched(options.config_file)
    check_addresses(options.addresses, watched, options)
    registry = build(host)
    names = registry.names
    registry.close()
    yield f"{loaded.path}: right (sha256 {loaded.sha256})"
    yield f"metrics   {', '.join(options.addresses)}{options.telemetry_path}, {_guard(watched)}"
    yield f"on        {' '.join(names)}"
    yield f"off       {' '.join(row.name for row in TABLE if row.name not in names)}"
    yield f"kinds     {' '.join(sorted(loaded.settings.limits.get('kinds', ())))}"


def _guard(watched: "Watched | None") -> str:
    """Who may read, in words."""
    if watched is None:
        return "plain HTTP, no users"
    config = watched.current.config
    words = ["plain HTTP" if config.tls is None else "TLS"]
    if config.tls is not None and config.tls.client_auth.verifies:
        words.append(f"client certificates ({config.tls.client_auth.value})")
    words.append(f"users: {', '.join(sorted(config.users))}" if config.users else "no users")
    return ", ".join(words)
