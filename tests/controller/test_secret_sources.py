"""Secrets that a policy refers to: only from places that controller.yaml allows, only where they may go."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from controller.config import Configuration, ConfigurationError
from controller.errors import ControllerError, Refused


@dataclass(frozen=True)
class Where:
    controller_file: str | None = None
    controller_env: str | None = None


@pytest.fixture
def configuration(tmp_path):
    folder = tmp_path / "secrets"
    (folder / "deep").mkdir(parents=True)
    (folder / "mail").write_text("pass word\n")
    (folder / "deep" / "idp").write_text("s3\r\n")
    (folder / "empty").write_text("\n")
    (folder / "binary").write_bytes(b"\xff\xfe")
    (folder / "large").write_text("x" * 70_000)
    (tmp_path / "outside").write_text("never")
    (tmp_path / "secrets-too").mkdir()
    (tmp_path / "secrets-too" / "one").write_text("never")
    (folder / "way-out").symlink_to(tmp_path / "outside")
    path = tmp_path / "controller.yaml"
    path.write_text(
        "secrets:\n"
        "- {files: secrets, destinations: [mail, identity_providers]}\n"
        "- {env: STEWARD_SECRET_, destinations: [clients]}\n"
    )
    environ = {"STEWARD_SECRET_GRAFANA": "v", "STEWARD_SECRET_EMPTY": "", "HOME": "/root"}
    return Configuration.load(path, environ)


@pytest.mark.parametrize(
    ("reference", "destination", "secret"),
    [
        pytest.param(Where(controller_file="{}/secrets/mail"), "mail", "pass word", id="file"),
        pytest.param(
            Where(controller_file="{}/secrets/deep/idp"), "identity_providers", "s3", id="file below"
        ),
        pytest.param(
            Where(controller_file="{}/secrets/deep/../mail"), "mail", "pass word", id="dots that stay inside"
        ),
        pytest.param(Where(controller_env="STEWARD_SECRET_GRAFANA"), "clients", "v", id="variable"),
    ],
)
def test_allowed(configuration, tmp_path, reference, destination, secret):
    assert configuration.resolve(placed(reference, tmp_path), destination) == secret


@pytest.mark.parametrize(
    ("reference", "destination", "error"),
    [
        pytest.param(Where(controller_file="{}/secrets/mail"), "clients", Refused, id="other destination"),
        pytest.param(Where(controller_file="{}/outside"), "mail", Refused, id="other folder"),
        pytest.param(Where(controller_file="{}/secrets-too/one"), "mail", Refused, id="folder of like name"),
        pytest.param(Where(controller_file="{}/secrets/../outside"), "mail", Refused, id="dots"),
        pytest.param(Where(controller_file="{}/secrets/way-out"), "mail", Refused, id="link out of it"),
        pytest.param(Where(controller_file="{}/secrets"), "mail", Refused, id="the folder itself"),
        pytest.param(Where(controller_file="{}/secrets/none"), "mail", ControllerError, id="no such file"),
        pytest.param(Where(controller_file="{}/secrets/deep"), "mail", ControllerError, id="a folder"),
        pytest.param(Where(controller_file="{}/secrets/empty"), "mail", ControllerError, id="empty"),
        pytest.param(Where(controller_file="{}/secrets/binary"), "mail", ControllerError, id="no text"),
        pytest.param(Where(controller_file="{}/secrets/large"), "mail", ControllerError, id="large"),
        pytest.param(Where(controller_env="HOME"), "clients", Refused, id="other prefix"),
        pytest.param(Where(controller_env="STEWARD_SECRET_GRAFANA"), "mail", Refused, id="elsewhere"),
        pytest.param(Where(controller_env="STEWARD_SECRET_NONE"), "clients", ControllerError, id="not set"),
        pytest.param(
            Where(controller_env="STEWARD_SECRET_EMPTY"), "clients", ControllerError, id="set to nothing"
        ),
        pytest.param(Where(), "mail", Refused, id="nothing"),
    ],
)
def test_refused_without_a_word_of_the_secret(configuration, tmp_path, reference, destination, error):
    with pytest.raises(error) as caught:
        configuration.resolve(placed(reference, tmp_path), destination)
    assert type(caught.value) is error
    assert not [word for word in ("pass word", "never", "/root") if word in str(caught.value)]


@pytest.mark.parametrize(
    "entry",
    [
        pytest.param("{destinations: [mail]}", id="no place"),
        pytest.param("{files: /a, env: A_, destinations: [mail]}", id="two places"),
        pytest.param("{files: /a}", id="no destination"),
        pytest.param("{files: /a, destinations: []}", id="empty destinations"),
        pytest.param("{files: /a, destinations: [anywhere]}", id="unknown destination"),
        pytest.param("{env: STEWARD, destinations: [mail]}", id="a prefix without its end"),
    ],
)
def test_an_entry_that_says_too_little_or_too_much(tmp_path, entry):
    path = tmp_path / "controller.yaml"
    path.write_text(f"secrets:\n- {entry}\n")
    with pytest.raises(ConfigurationError, match=r":2:"):
        Configuration.load(path, {})


def placed(reference, folder):
    path = reference.controller_file
    return Where(path.format(folder) if path else None, reference.controller_env)
