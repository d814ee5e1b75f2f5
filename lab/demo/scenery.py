"""Where everything of one demo is: folders, addresses, credentials of the lab, and the files it writes."""

from __future__ import annotations

import json
import os
import secrets
import shutil
import ssl
import subprocess
import tempfile
import urllib.error
import urllib.parse
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lab.demo.stage import StepFailed
from lab.processes import free_port

__all__ = ["Scenery"]

REQUEST_SECONDS = 10


@dataclass
class Scenery:
    """Paths and ports of one demo; ``folder`` is absolute and belongs to the demo alone."""

    folder: Path
    source: Path
    controller_port: int = field(default_factory=free_port)
    agent_port: int = field(default_factory=free_port)
    sockets: Path = field(default_factory=lambda: Path(tempfile.mkdtemp(prefix="steward-")))
    """Unix sockets have at most 107 characters, and the folder may be deep."""
    addresses: dict[str, str] = field(default_factory=dict)
    """What is up for the visitor to open, beside the controller and the agent."""

    @property
    def policies(self) -> Path:
        """The policy repository of the demo: a Git work tree that the controller follows."""
        return self.folder / "policies"

    @property
    def policy(self) -> str:
        """The environment's folder as a person would type it."""
        return os.path.relpath(self.policies / "prod")

    @property
    def configuration(self) -> Path:
        """controller.yaml."""
        return self.folder / "controller" / "controller.yaml"

    @property
    def state(self) -> Path:
        """The controller's data folder."""
        return self.folder / "controller" / "state"

    @property
    def agent_configuration(self) -> Path:
        """agent.yaml."""
        return self.folder / "agent" / "agent.yaml"

    @property
    def socket(self) -> Path:
        """Where the executor listens."""
        return self.sockets / "executor.sock"

    @property
    def controller_url(self) -> str:
        """Where the controller serves."""
        return f"https://127.0.0.1:{self.controller_port}"

    @property
    def agent_url(self) -> str:
        """Where the agent serves /metrics."""
        return f"http://127.0.0.1:{self.agent_port}"

    @property
    def restic(self) -> str | None:
        """The restic program, or None where it is not installed."""
        return shutil.which("restic")

    @property
    def has_git(self) -> bool:
        """Whether git is installed; without it the controller follows no repository."""
        return shutil.which("git") is not None

    def lab(self) -> dict[str, Any]:
        """What ``steward-lab up`` says of itself."""
        described: dict[str, Any] = json.loads((self.folder / "lab" / "lab.json").read_text("utf-8"))
        return described

    def lay_policies(self) -> None:
        """Copy the example policies into a folder of the demo's own, a Git repository where there is git."""
        for name in ("common", "prod", "policy.schema.json"):
            source = self.source / "policies" / name
            if source.is_dir():
                shutil.copytree(source, self.policies / name)
            else:
                self.policies.mkdir(parents=True, exist_ok=True)
                shutil.copy(source, self.policies / name)
        if not self.has_git:
            return
        self.git("init", "--quiet", "--initial-branch=main")
        self.git("add", "--all")
        self.git("commit", "--quiet", "--message=The policy of Acme")

    def lay_proposal(self) -> None:
        """A copy of the policies in which somebody tries a change."""
        shutil.copytree(self.policies, self.folder / "proposal", ignore=shutil.ignore_patterns(".git"))

    def git(self, *arguments: str) -> None:
        """Run git in the policy repository as a person of the demo. Raises StepFailed."""
        person = ("-c", "user.name=Demo", "-c", "user.email=demo@acme.example", "-c", "commit.gpgsign=false")
        done = subprocess.run(
            ["git", *person, *arguments], cwd=self.policies, capture_output=True, text=True, check=False
        )
        if done.returncode != 0:
            raise StepFailed(f"git {' '.join(arguments)}: {done.stderr}")

    def write_controller(self, *, repairs: bool = True) -> None:
        """Name the lab's systems in controller.yaml, as a person would after ``steward init``.

        ``repairs`` false: the controller reports what drifts and leaves it so.
        """
        lab = self.lab()
        keycloak, proxmox, ca = lab["keycloak"], lab["proxmox"], lab["ca_file"]
        policy = ""
        if self.has_git:
            follow = f"branch: main, folder: prod, interval: 5s, apply: {str(repairs).lower()}"
            policy = f"policy: {{git: {self.policies}, {follow}}}\n"
        self.configuration.write_text(
            "instance: demo\n"
            "owners: [prod]\n"
            "data: ./state\n"
            f"listen: 127.0.0.1:{self.controller_port}\n"
            f"url: {self.controller_url}\n"
            "sd_token_file: state/sd.token\n"
            f"{policy}"
            "keycloak:\n"
            f"  url: {keycloak['url']}\n"
            f"  ca_file: {keycloak.get('ca_file', ca)}\n"
            f"  auth_realm: {keycloak['auth_realm']}\n"
            f"  client_id: {keycloak['client_id']}\n"
            f"  client_secret_file: {keycloak['client_secret_file']}\n"
            "proxmox:\n"
            f"  {proxmox['cluster']}:\n"
            f"    url: {proxmox['url']}\n"
            f"    ca_file: {ca}\n"
            f"    token_id: {proxmox['token_id']}\n"
            f"    token_secret_file: {proxmox['token_secret_file']}\n"
            f"    realm: {proxmox['realm']}\n"
            "reconcile: {interval: 10s}\n",
            encoding="utf-8",
        )

    def write_agent(self) -> None:
        """The host's own limits: pings, and backups of one small path set to one local repository."""
        agent = self.folder / "agent"
        agent.mkdir()
        precious = self.folder / "precious"
        precious.mkdir()
        for name in ("accounts.csv", "letters.txt"):
            (precious / name).write_text(f"{name}: something that must not be lost\n" * 40, encoding="utf-8")
        password = agent / "restic.password"
        password.touch(mode=0o600)
        password.write_text("only-for-the-demo\n", encoding="utf-8")
        self.agent_configuration.write_text(
            f"state: {agent / 'state'}\n"
            f"socket: {self.socket}\n"
            f'metrics: {{listen: "127.0.0.1:{self.agent_port}", advertise: "{self.agent_url}"}}\n'
            "limits:\n"
            "  kinds:\n"
            "    host.ping: {}\n"
            "    backup.run: {sets: [precious], repositories: [local], approvals: 0}\n"
            f"path_sets: {{precious: [{precious}]}}\n"
            f"repositories: {{local: {{url: {self.folder / 'restic'}, password_file: {password}}}}}\n",
            encoding="utf-8",
        )

    def answers(self, url: str, ca_file: Path | None = None) -> bool:
        """Whether this address answers with 200."""
        try:
            self.read(url, ca_file=ca_file)
        except (OSError, urllib.error.URLError):
            return False
        return True

    def read(self, url: str, *, ca_file: Path | None = None) -> str:
        """The text at an address; raises OSError (URLError) where there is none."""
        with self._open(urllib.request.Request(url), ca_file) as answer:
            text: bytes = answer.read()
        return text.decode("utf-8")

    def take_role_by_hand(self, username: str, role: str, *, by: str) -> None:
        """What an administrator of the realm does in Keycloak's console when nobody looks: grant a role."""
        token = self._token_of(by)
        base = self._realm_url()
        (person,) = self._keycloak("GET", f"{base}/users?exact=true&username={username}", token)
        granted = self._keycloak("GET", f"{base}/roles/{urllib.parse.quote(role)}", token)
        self._keycloak("POST", f"{base}/users/{person['id']}/role-mappings/realm", token, [granted])

    def _realm_url(self) -> str:
        keycloak = self.lab()["keycloak"]
        return f"{keycloak['url']}/admin/realms/{keycloak['realm']}"

    def _token_of(self, username: str) -> str:
        """A token of somebody of the realm, who gets a password for it."""
        keycloak = self.lab()["keycloak"]
        admin = keycloak["admin"]
        known = Path(admin["password_file"]).read_text("utf-8").strip()
        root = self._log_in(admin["realm"], admin["username"], known)
        password = secrets.token_urlsafe(24)
        base = self._realm_url()
        (person,) = self._keycloak("GET", f"{base}/users?exact=true&username={username}", root)
        credential = {"type": "password", "value": password, "temporary": False}
        self._keycloak("PUT", f"{base}/users/{person['id']}", root, {**person, "credentials": [credential]})
        return self._log_in(keycloak["realm"], username, password)

    def _keycloak(self, method: str, url: str, token: str, body: object = None) -> Any:
        request = urllib.request.Request(url, method=method)
        request.add_header("Authorization", f"Bearer {token}")
        if body is not None:
            request.data = json.dumps(body).encode()
            request.add_header("Content-Type", "application/json")
        with self._open(request, self._keycloak_ca()) as answer:
            text = answer.read()
        return json.loads(text) if text else None

    def _log_in(self, realm: str, username: str, password: str) -> str:
        form = {
            "grant_type": "password",
            "client_id": "admin-cli",
            "username": username,
            "password": password,
        }
        url = f"{self.lab()['keycloak']['url']}/realms/{realm}/protocol/openid-connect/token"
        request = urllib.request.Request(url, data=urllib.parse.urlencode(form).encode())
        with self._open(request, self._keycloak_ca()) as answer:
            token: str = json.load(answer)["access_token"]
        return token

    def _keycloak_ca(self) -> str:
        lab = self.lab()
        return str(lab["keycloak"].get("ca_file", lab["ca_file"]))

    def _open(self, request: urllib.request.Request, ca_file: Path | str | None) -> Any:
        context = ssl.create_default_context(cafile=str(ca_file)) if ca_file else None
        opener = urllib.request.build_opener(
            urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=context)
        )
        return opener.open(request, timeout=REQUEST_SECONDS)
