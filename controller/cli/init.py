"""``steward init`` and ``steward trust``: a new controller's keys, and whom its hosts shall believe."""

from __future__ import annotations

import secrets
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from controller.cli.plan import Config, Output, Printed
from controller.errors import ControllerError

if TYPE_CHECKING:
    from protocol.keys import SigningKey

__all__ = ["init", "trust"]

trust = typer.Typer(no_args_is_help=True, help="Whom the hosts believe: trust documents and the root key.")

_CONTROLLER_YAML = """\
# Steward's controller. Every key can also come from the environment, as STEWARD_….
instance: {instance}
owners: []                      # ownership marks that it may act for, as [prod]
data: ./state                   # keys, certificates, the store: keep it, and keep it to yourself
listen: {listen}
url: {url}
sd_token_file: state/sd.token   # what Prometheus shows for /sd/prometheus
#
# policy: {{git: /srv/policies.git, branch: main, folder: prod, interval: 30s, apply: false}}
# keycloak:
#   url: https://sso.example.org
#   ca_file: sso-ca.pem
#   client_id: steward
#   client_secret_file: keycloak.secret
# proxmox:
#   par1:
#     url: https://pve.example.org:8006
#     ca_file: pve-ca.pem
#     token_id: "steward@pve!controller"
#     token_secret_file: proxmox.secret
"""
_Days = Annotated[int, typer.Option(min=1, max=30, help="Days until the document expires.")]
_RootKey = Annotated[
    Path, typer.Option("--root-key", help="The root key's file. Keep it away from this machine.")
]


def init(
    folder: Annotated[Path, typer.Argument(help="A new folder for this controller.")],
    address: Annotated[
        str, typer.Option(help="Where agents and browsers reach it.")
    ] = "https://127.0.0.1:8443",
    instance: Annotated[
        str, typer.Option(help="Its name: audience of agents' tokens, chain of the audit log.")
    ] = "steward",
) -> None:
    """Make a controller: controller.yaml, keys, an authority of its own for TLS, and the store.

    Example:
      steward init ./controller --address https://steward.example.org:8443
    """
    from controller.cli.printing import open_configuration, open_store
    from controller.service import data_folder, server_names

    url, listen = _places(address)
    file = folder / "controller.yaml"
    if file.exists() or (folder / "state").exists():
        raise ControllerError(f"{folder} holds a controller already", hint="name a new folder")
    folder.mkdir(parents=True, exist_ok=True)
    file.write_text(_CONTROLLER_YAML.format(instance=instance, listen=listen, url=url), encoding="utf-8")
    configuration = open_configuration(file)
    data_folder(configuration).create(instance, server_names(url, listen), now=int(time.time()))
    open_store(configuration).close()
    typer.echo(f"{file} and {folder / 'state'} are there. Next:")
    typer.echo(f"  steward trust init -c {file} --root-key ROOT.pem    then take ROOT.pem away from here")
    typer.echo(f"  steward serve -c {file}")
    typer.echo(f"  steward host enroll NAME -c {file}    prints a token for `steward-agent enroll`")


@trust.command("init")
def trust_init(root_key: _RootKey, config: Config = Path("controller.yaml"), days: _Days = 30) -> None:
    """Make the root key and the first trust document, which every host pins.

    Example:
      steward trust init --root-key /media/key/root.pem
    """
    from controller import pki
    from controller.cli.printing import open_configuration
    from controller.datafolder import write_new
    from controller.service import data_folder
    from controller.trust import first_document, sign_document
    from protocol.keys import SigningKey

    data = data_folder(open_configuration(config))
    if data.trust.steps():
        raise ControllerError(
            "there is a trust document already", hint="`steward trust renew` makes the next"
        )
    pins = (pki.spki_sha256(data.ca_certificate()),)
    root = SigningKey.generate(secrets.token_bytes(32))
    document = first_document(root.public, data.public_key("signing"), pins, now=int(time.time()), days=days)
    write_new(root_key, root.to_pem())
    data.trust.add(sign_document(document, root))
    _audit(config, "trust.created", document.version, document.expires_at)
    typer.echo(f"trust document 1 is signed by {root.keyid}")
    typer.echo(
        f"The root key is {root_key}: keep it offline, and safe; without it no host can be told of new keys."
    )


@trust.command("renew")
def trust_renew(root_key: _RootKey, config: Config = Path("controller.yaml"), days: _Days = 30) -> None:
    """Sign the next trust document, with the controller's key and CA of today. Hosts fetch it by themselves.

    Example:
      steward trust renew --root-key /media/key/root.pem
    """
    from controller import pki
    from controller.cli.printing import open_configuration, utc
    from controller.service import data_folder
    from controller.trust import next_document, sign_document

    data = data_folder(open_configuration(config))
    pins = (pki.spki_sha256(data.ca_certificate()),)
    document = next_document(
        data.trust.last(), data.public_key("signing"), pins, now=int(time.time()), days=days
    )
    data.trust.add(sign_document(document, _root_key(root_key)))
    _audit(config, "trust.renewed", document.version, document.expires_at)
    typer.echo(f"trust document {document.version} is signed, and expires {utc(document.expires_at)}")


@trust.command("show")
def trust_show(config: Config = Path("controller.yaml"), output: Printed = Output.TABLE) -> None:
    """Print every version of the trust document.

    Example:
      steward trust show -c controller.yaml
    """
    from controller.cli.printing import open_configuration, print_rows
    from controller.service import data_folder
    from protocol.keys import PublicKey

    steps = data_folder(open_configuration(config)).trust.steps()
    rows = [
        {
            "version": step.document.version,
            "expires_at": step.document.expires_at,
            "root_keyids": [PublicKey.from_base64(key.public).keyid for key in step.document.root.keys],
            "controller_keyids": [
                PublicKey.from_base64(key.public).keyid for key in step.document.controller.keys
            ],
            "ca_pins": list(step.document.ca_pins),
        }
        for step in steps
    ]
    print_rows(rows, ("version", "expires_at", "root_keyids", "controller_keyids"), output)


def _root_key(path: Path) -> SigningKey:
    from protocol.errors import BadKey
    from protocol.keys import SigningKey

    try:
        return SigningKey.from_pem(path.read_bytes())
    except OSError as error:
        raise ControllerError(f"{path} cannot be read: {error.strerror}") from error
    except BadKey as error:
        raise ControllerError(f"{path} is no root key: {error}") from error


def _audit(config: Path, event: str, version: int, expires_at: int) -> None:
    from controller.cli.printing import actor, open_configuration, open_store

    store = open_store(open_configuration(config))
    detail = {"expires_at": expires_at}
    store.audit.append(
        at=int(time.time()), actor=actor(), event=event, subject=f"trust {version}", detail=detail
    )
    store.close()


def _places(address: str) -> tuple[str, str]:
    from urllib.parse import urlsplit

    parts = urlsplit(address)
    if parts.scheme != "https" or not parts.hostname or parts.path.strip("/"):
        raise typer.BadParameter("an address is https://HOST:PORT")
    port = parts.port or 443
    is_loopback = parts.hostname in ("127.0.0.1", "localhost")
    listen = f"127.0.0.1:{port}" if is_loopback else f"0.0.0.0:{port}"
    return address.rstrip("/"), listen
