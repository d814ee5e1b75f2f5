"""The `steward-lab` command: a data centre on a laptop, whole or in parts.

0 done, 1 the lab could not do it, 64 wrong usage.
"""

from __future__ import annotations

import asyncio
import json
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import urlsplit

import aiohttp
import typer
from rich.console import Console
from rich.table import Table

from lab.control import FAULTS
from lab.errors import LabError

if TYPE_CHECKING:
    from aiohttp import web

__all__ = ["app", "main"]

WRONG_USAGE = 64
_USAGE_ERROR = typer.BadParameter.mro()[1]
"""click's UsageError; typer carries a copy of click from some version on, so it is found through typer."""

_FOLDER = Path(".steward-lab")
_CONTROL_TIMEOUT_SECONDS = 10

app = typer.Typer(no_args_is_help=True, pretty_exceptions_enable=False, rich_markup_mode=None)

_REAL_HELP = (
    "Run a real Keycloak with the same accounts in place of the simulated one. Needs Java 17, and Keycloak's "
    "zip from Maven Central where Maven keeps it, or STEWARD_KEYCLOAK_HOME naming an unpacked one. The first "
    "start builds it, about 20 s; each takes about 15 s."
)

Listen = Annotated[str, typer.Option(help="HOST:PORT to listen on; port 0 is a free one.")]
Folder = Annotated[Path, typer.Option("--directory", help="Folder of the running lab.")]
IsPlain = Annotated[bool, typer.Option("--plain", help="HTTP without TLS.")]


@app.callback()
def _lab() -> None:
    """Simulated Proxmox VE, Keycloak (or a real one) and NVIDIA GPUs, seeded, with faults on demand."""


@app.command()
def up(
    directory: Folder = _FOLDER,
    guests: Annotated[int, typer.Option(help="Guests of the cluster.")] = 40,
    users: Annotated[int, typer.Option(help="Accounts in Keycloak.")] = 200,
    nodes: Annotated[int, typer.Option(help="Nodes of the cluster.")] = 3,
    proxmox_port: Annotated[int, typer.Option(help="Port; 0 is a free one.")] = 0,
    keycloak_port: Annotated[int, typer.Option(help="Port; 0 is a free one.")] = 0,
    real_keycloak: Annotated[bool, typer.Option("--real-keycloak", help=_REAL_HELP)] = False,
) -> None:
    """Start the whole lab over HTTPS; stays up until SIGINT or SIGTERM."""
    from lab.up import DESCRIPTION, Plan, run

    def on_ready(described: dict[str, Any]) -> None:
        typer.echo(f"proxmox   {described['proxmox']['url']}")
        typer.echo(f"keycloak  {described['keycloak']['url']}")
        typer.echo(f"described in {directory / DESCRIPTION}")

    plan = Plan(directory, nodes, guests, users, proxmox_port, keycloak_port, real_keycloak)
    run(plan, on_ready=on_ready, say=typer.echo)


@app.command()
def proxmox(
    listen: Listen = "127.0.0.1:8006",
    environment: Annotated[Path | None, typer.Option(help="JSON: what exists; accounts start empty.")] = None,
    no_delays: Annotated[bool, typer.Option("--no-delays", help="Refuse credentials at once.")] = False,
    plain: IsPlain = False,
) -> None:
    """Simulated Proxmox VE alone; with --plain the header X-Lab-User stands for a fresh ticket."""
    from lab.proxmox.server import application_for, new_datacenter
    from lab.seed import CONTROLLER_ID, LOOK_ID, populate
    from lab.seed import environment as seeded

    if environment is not None:
        center = new_datacenter(_read_json(environment))
    else:
        center = new_datacenter(seeded())
        populate(center, steward_secret=CONTROLLER_ID, look_secret=LOOK_ID)
    asyncio.run(_serve(application_for(center, delays=not no_delays, plain=plain), listen, plain=plain))


@app.command()
def keycloak(
    listen: Listen = "127.0.0.1:8443",
    realm: Annotated[str, typer.Option(help="Name of the seeded realm.")] = "acme",
    users: Annotated[int, typer.Option(help="Accounts in it.")] = 200,
    plain: IsPlain = False,
) -> None:
    """Simulated Keycloak alone; its administrator is admin with the password admin."""
    from lab.keycloak.server import application

    asyncio.run(_serve(application(realm=realm, people=users), listen, plain=plain))


async def _serve(application: web.Application, listen: str, *, plain: bool) -> None:
    from lab.serving import start_site
    from lab.tls import Authority
    from lab.up import until_stopped

    host, port = _address(listen)
    with tempfile.TemporaryDirectory(prefix="steward-lab-") as folder:
        authority = None if plain else Authority.create(Path(folder))
        tls = authority.server_context() if authority else None
        runner, actual = await start_site(application, host=host, port=port, tls=tls)
        try:
            typer.echo(f"listening on {'https' if authority else 'http'}://{host}:{actual}")
            if authority:
                typer.echo(f"trust {authority.ca_file}")
            await until_stopped()
        finally:
            await runner.cleanup()


@app.command()
def nvidia(
    script: Annotated[
        Path | None, typer.Option(help="JSON: the GPUs and how each fares (lab/nvidia/script.py).")
    ] = None,
    directory: Folder = _FOLDER,
) -> None:
    """Scripted NVIDIA GPUs: builds a libnvidia-ml and prints the environment in which programs see them.

    Again with another script it changes what they see, while they run.
    """
    from lab.nvidia import Stub, environment
    from lab.nvidia.script import example, parse

    folder = directory.absolute() / "nvidia"
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    Stub(folder).play(example() if script is None else parse(script.read_bytes()))
    typer.echo(" ".join(f"{name}={value}" for name, value in environment(folder).items()))


@app.command()
def fault(
    name: Annotated[str, typer.Argument(help=f"One of {', '.join(FAULTS)}.")],
    arguments: Annotated[list[str] | None, typer.Argument(help="A node's name, or seconds.")] = None,
    directory: Folder = _FOLDER,
) -> None:
    """Switch a fault in the running lab."""
    _show(_ask(directory, "POST", f"/faults/{name}", arguments or []))


@app.command()
def status(
    directory: Folder = _FOLDER,
    as_json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False,
) -> None:
    """What runs in the lab, what is wrong with it, how often it was asked."""
    answer = _ask(directory, "GET", "/status", None)
    if as_json:
        typer.echo(json.dumps(answer))
    else:
        _show(answer)


def _ask(directory: Path, verb: str, path: str, body: list[str] | None) -> dict[str, Any]:
    from lab.up import DESCRIPTION

    control = _read_json(directory / DESCRIPTION)["control"]
    token = Path(control["token_file"]).read_text("ascii").strip()
    return asyncio.run(_ask_control(verb, control["url"] + path, token, body))


async def _ask_control(verb: str, url: str, token: str, body: list[str] | None) -> dict[str, Any]:
    timeout = aiohttp.ClientTimeout(total=_CONTROL_TIMEOUT_SECONDS)
    try:
        async with (
            aiohttp.ClientSession(timeout=timeout, headers={"Authorization": f"Bearer {token}"}) as session,
            session.request(verb, url, json=body) as response,
        ):
            answer: dict[str, Any] = await response.json()
    except (aiohttp.ClientError, TimeoutError) as error:
        raise LabError(f"no lab answers at {url}: {type(error).__name__}") from error
    if response.status >= 400:
        raise LabError(str(answer.get("error", f"the lab answered {response.status}")))
    return answer


def _show(answer: dict[str, Any]) -> None:
    table = Table("part", "what", "is")
    for part, facts in answer.items():
        for what, value in facts.items():
            shown = ", ".join(f"{k} {v}" for k, v in value.items()) if isinstance(value, dict) else str(value)
            table.add_row(part, what, shown)
    Console().print(table)


def _read_json(path: Path) -> dict[str, Any]:
    try:
        decoded = json.loads(path.read_text("utf-8"))
    except OSError as error:
        raise LabError(f"{path}: {error.strerror}") from error
    except ValueError as error:
        raise LabError(f"{path} is not JSON: {error}") from error
    if not isinstance(decoded, dict):
        raise LabError(f"{path} holds no JSON object")
    return decoded


def _address(listen: str) -> tuple[str, int]:
    try:
        parts = urlsplit(f"//{listen}")
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise typer.BadParameter(f"{listen!r} is no HOST:PORT") from error
    if port is None:
        raise typer.BadParameter(f"{listen!r} is no HOST:PORT")
    return host or "127.0.0.1", port


def main() -> None:
    """Run the command line and exit with one of the codes above."""
    sys.exit(_run())


def _run() -> int:
    try:
        code = app(standalone_mode=False)
    except typer.Abort:
        return 1
    except (LabError, OSError) as error:
        typer.echo(str(error), err=True)
        return 1
    except Exception as error:
        if not isinstance(error, _USAGE_ERROR):
            raise
        typer.echo(str(error), err=True)
        return WRONG_USAGE
    return code if isinstance(code, int) else 0
