"""controller.yaml, typed: every mistake at once, each at its line; every key also from the environment.

A key's variable is its path in capitals, joined by `_`: `STEWARD_KEYCLOAK_CLIENT_ID`,
`STEWARD_PROXMOX_PAR1_URL` (the cluster's name with `-` and `.` as `_`). The environment wins over the
file. Lists are separated by commas. Secrets are files, named by keys that end in `_file`; relative paths
start from the file's own folder.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, Self, get_args, get_origin

from pydantic import BaseModel, Field, PrivateAttr, ValidationError, model_validator

from controller.errors import ControllerError
from controller.policy.document import MAX_FILE_BYTES, read_document
from controller.policy.places import Token, key_position, value_position
from controller.policy.problems import did_you_mean, quoted
from controller.policy.scalar_schema import resolve
from controller.policy.scalars import Duration, Name, Text
from controller.policy.section import Section
from controller.policy.settings import Limits
from controller.secret_sources import Destination, Reference, SecretSource, SecretSources

__all__ = ["Configuration", "ConfigurationError", "GitPolicy", "Keycloak", "Proxmox"]

_PREFIX = "STEWARD_"


class ConfigurationError(ControllerError):
    """controller.yaml or the environment cannot be used; one line for each mistake."""


class GitPolicy(Section):
    """The repository that `steward serve` follows."""

    git: Text = ""
    """Path or address of the repository."""
    branch: Name = "main"
    folder: Text = "."
    """The environment's folder in it."""
    interval: Duration = timedelta(seconds=30)
    """Between two looks at it."""
    apply: bool = False
    """Apply what it says; otherwise only report."""


class StoreLocation(Section):
    """Where runs, outcomes and the audit log are kept."""

    url: Text = ""
    """An SQLAlchemy URL; SQLite in `data` where empty."""


class Keycloak(Section):
    """How to reach Keycloak: with a client's secret, or a user's password."""

    url: Text
    ca_file: Text = ""
    """The only authority that is trusted, where given."""
    auth_realm: Name = "master"
    """The realm of our own account."""
    client_id: Text = ""
    client_secret_file: Text = ""
    username: Text = ""
    password_file: Text = ""

    @model_validator(mode="after")
    def _one_account(self) -> Self:
        if bool(self.client_secret_file) == bool(self.username):
            raise ValueError("needs either client_id and client_secret_file, or username and password_file")
        if self.username and not self.password_file:
            raise ValueError("username needs password_file")
        if self.client_secret_file and not self.client_id:
            raise ValueError("client_secret_file needs client_id")
        return self


class Proxmox(Section):
    """How to reach one Proxmox VE cluster, with an API token."""

    url: Text
    ca_file: Text = ""
    token_id: Text = Field(examples=["steward@pve!controller"])
    token_secret_file: Text
    realm: Name = "keycloak"
    """The realm that people log in through there: `jo@keycloak`."""


class Floor(Limits):
    """Brakes that no policy loosens."""


class Secrets(Section):
    """Secrets that policies may refer to, and what for: files of one folder, or variables of one prefix."""

    files: Text = Field(default="", examples=["/etc/steward/secrets"])
    """A folder; files in it and below."""
    env: Text = Field(default="", examples=["STEWARD_SECRET_"])
    """A prefix of variables, with `_` at its end."""
    destinations: tuple[Destination, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _one_place(self) -> Self:
        if bool(self.files) == bool(self.env):
            raise ValueError("needs either files or env")
        if self.env and not self.env.endswith("_"):
            raise ValueError("env is a prefix of variables and ends in _, as STEWARD_SECRET_")
        return self


class Reconcile(Section):
    """When the world is looked at without a new commit."""

    interval: Duration = timedelta(minutes=5)


class Configuration(Section):
    """controller.yaml."""

    instance: Name = "steward"
    """This controller's name: audience of agents' tokens, chain of the audit log."""
    owners: tuple[Name, ...] = ()
    """The ownership marks it may act for."""
    data: Text = "./state"
    """Folder of keys, CA and the SQLite store."""
    policy: GitPolicy = GitPolicy()
    store: StoreLocation = StoreLocation()
    listen: Text = "127.0.0.1:8443"
    url: Text = "https://127.0.0.1:8443"
    keycloak: Keycloak | None = None
    proxmox: dict[Name, Proxmox] = Field(default={})
    limits: Floor = Floor()
    reconcile: Reconcile = Reconcile()
    secrets: tuple[Secrets, ...] = ()
    """Which secrets policies may refer to; none where empty."""
    sd_token_file: Text = ""
    """The token that Prometheus shows for /sd/prometheus and /metrics."""

    _folder: Path = PrivateAttr(default=Path())
    _environ: Mapping[str, str] = PrivateAttr(default_factory=dict)

    @classmethod
    def load(cls, path: Path, environ: Mapping[str, str]) -> Self:
        """Read `path` and lay the environment over it. Raises ConfigurationError with all mistakes."""
        raw = _read(path)
        document = read_document(raw, str(path))
        if document.problems:
            raise ConfigurationError("\n".join(map(str, document.problems)))
        value = document.value if document.value is not None else {}
        if not isinstance(value, dict):
            raise ConfigurationError(f"{path}:1:1: must be a map")
        overlay = _Overlay.of(environ, value)
        try:
            made = cls.model_validate(overlay.merged)
        except ValidationError as error:
            lines = [_line(details, document.place, overlay, str(path)) for details in error.errors()]
            raise ConfigurationError("\n".join([*overlay.complaints, *lines])) from None
        if overlay.complaints:
            raise ConfigurationError("\n".join(overlay.complaints))
        made._folder, made._environ = path.resolve().parent, environ  # noqa: SLF001 - a constructor
        return made

    @classmethod
    def of(cls, settings: Mapping[str, Any]) -> Self:
        """A configuration that stands in no file; its paths are absolute. Raises ConfigurationError."""
        try:
            return cls.model_validate(_copied(dict(settings)))
        except ValidationError as error:
            lines = [f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in error.errors()]
            raise ConfigurationError("\n".join(lines)) from None

    def file(self, name: str) -> Path:
        """A path of this file: relative ones start from its folder."""
        return self._folder / name

    def authority(self, name: str) -> Path | None:
        """The file of a `ca_file`; None where none is named.

        Raises ConfigurationError where it cannot be read, or holds no certificate.
        """
        if not name:
            return None
        path = self.file(name)
        try:
            text = path.read_bytes()
        except OSError as error:
            raise ConfigurationError(f"ca_file {path} cannot be read: {error.strerror}") from error
        if b"-----BEGIN CERTIFICATE-----" not in text:
            raise ConfigurationError(f"ca_file {path} holds no certificate", hint="it is a PEM file")
        return path

    def secret_sources(self) -> SecretSources:
        """Where references of a policy may lead; folders that are relative start from this file's."""
        sources = [
            SecretSource(str(self.file(one.files)) if one.files else "", one.env, frozenset(one.destinations))
            for one in self.secrets
        ]
        return SecretSources(sources, self._environ)

    def resolve(self, reference: Reference, destination: Destination) -> str:
        """The secret that a policy refers to, for one destination. Raises Refused, ControllerError."""
        return self.secret_sources().read(reference, destination)

    @property
    def store_url(self) -> str:
        """The store's SQLAlchemy URL."""
        return self.store.url or f"sqlite:///{self.file(self.data) / 'steward.db'}"

    def secret(self, name: str) -> str:
        """The content of a secret's file, without the line end. Raises ConfigurationError."""
        path = self.file(name)
        try:
            return path.read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "it is no UTF-8 text"
            raise ConfigurationError(f"the secret {path} cannot be read: {reason}") from error


@dataclass(frozen=True)
class _Overlay:
    """The file's values with the environment's on top, and which paths came from which variable."""

    merged: dict[str, Any]
    variables: Mapping[tuple[str, ...], str]
    complaints: Sequence[str]

    @classmethod
    def of(cls, environ: Mapping[str, str], value: dict[str, Any]) -> Self:
        merged = _copied(value)
        variables: dict[tuple[str, ...], str] = {}
        complaints: list[str] = []
        known = {_variable(path): (path, is_list) for path, is_list in _leaves(Configuration, value)}
        for name, text in sorted(environ.items()):
            if name in known:
                path, is_list = known[name]
                _set(merged, path, tuple(text.split(",")) if is_list else resolve(text))
                variables[path] = name
            elif _is_meant_for_us(name):
                suggestion = did_you_mean(name, known)
                question = f"; did you mean {suggestion}?" if suggestion else ""
                complaints.append(f"environment: {quoted(name)} is no key of controller.yaml{question}")
        return cls(merged, variables, complaints)


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as stream:
            return stream.read(MAX_FILE_BYTES + 1)
    except OSError as error:
        raise ConfigurationError(
            f"{path} cannot be read: {error.strerror}", hint="name the file with -c, or run where it lies"
        ) from error


def _leaves(
    annotation: Any, value: Any, before: tuple[str, ...] = ()
) -> Iterator[tuple[tuple[str, ...], bool]]:
    """Every key that holds a single value or a list of texts, by its path.

    Of a map, the keys that the file's `value` has; what stands in a list of maps is said in the file alone.
    """
    origin, inner = get_origin(annotation), _model(annotation)
    if origin is dict:
        for name, item in (value if isinstance(value, dict) else {}).items():
            yield from _leaves(get_args(annotation)[1], item, (*before, str(name)))
    elif origin is tuple:
        if inner is None:
            yield before, True
    elif inner is not None:
        known = value if isinstance(value, dict) else {}
        for name, field in inner.model_fields.items():
            yield from _leaves(field.annotation, known.get(name), (*before, name))
    else:
        yield before, False


def _model(annotation: Any) -> type[BaseModel] | None:
    for kind in (annotation, *get_args(annotation)):
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            return kind
    return None


def _variable(path: Sequence[str]) -> str:
    return _PREFIX + "_".join(path).upper().replace("-", "_").replace(".", "_")


def _is_meant_for_us(name: str) -> bool:
    """Variables of sections of this file; the agent's share the prefix, so that others are not judged."""
    sections = ("KEYCLOAK", "PROXMOX", "POLICY", "STORE", "LIMITS", "RECONCILE")
    return any(name.startswith(f"{_PREFIX}{section}_") for section in sections)


def _set(values: dict[str, Any], path: Sequence[str], value: object) -> None:
    for name in path[:-1]:
        values = values.setdefault(name, {})
    values[path[-1]] = value


def _copied(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _copied(item) for name, item in value.items()}
    return tuple(map(_copied, value)) if isinstance(value, list | tuple) else value


def _line(details: Any, place: Any, overlay: _Overlay, file: str) -> str:
    path: tuple[Token, ...] = tuple(part for part in details["loc"] if part != "[key]")
    variable = overlay.variables.get(tuple(map(str, path)))
    name = ".".join(map(str, path)) or file
    if details["type"] == "extra_forbidden":
        meant = did_you_mean(str(path[-1]), _keys_beside(path))
        question = f"; did you mean {quoted(meant)}?" if meant else ""
        return f"{key_position(place, path)}: unknown key {quoted(path[-1])}{question}"
    where = f"environment {variable}" if variable else str(value_position(place, path))
    message = str(details["msg"]).removeprefix("Value error, ")
    return f"{where}: {name}: {message[:1].lower()}{message[1:]}"


def _keys_beside(path: Sequence[Token]) -> list[str]:
    """The keys that may stand where the last one of `path` does."""
    model: type[BaseModel] | None = Configuration
    for name in path[:-1]:
        field = model.model_fields.get(str(name)) if model is not None else None
        # The name of a cluster is no field of a model: what is below it has the same one.
        model = _model(field.annotation) if field is not None else model
    return list(model.model_fields) if model is not None else []
