"""docs/policy.md: its YAML is one valid policy that uses every section and every field of the language."""

from __future__ import annotations

import re
from pathlib import Path

import jsonschema
import pytest
import yaml

from controller.policy import parse
from controller.policy.model import SECTIONS, Policy
from controller.policy.schema import schema
from controller.policy.section import Section

ROOT = Path(__file__).resolve().parents[3]
TEXT = (ROOT / "docs" / "policy.md").read_text("utf-8")
BLOCKS = re.findall(r"^```yaml\n# (\S+)\n(.*?)^```$", TEXT, re.DOTALL | re.MULTILINE)


def policy_of_the_page() -> Policy:
    return parse({name: f"# {name}\n{block}".encode() for name, block in BLOCKS}, "prod")


def test_every_block_names_its_file_once():
    names = [name for name, _ in BLOCKS]
    assert len(names) == TEXT.count("```yaml")
    assert len(set(names)) == len(names)


@pytest.mark.parametrize(("name", "block"), BLOCKS, ids=[name for name, _ in BLOCKS])
def test_each_block_fits_the_schema(name, block):
    value = yaml.load(block, Loader=yaml.BaseLoader)
    wrong = [
        error.message
        for error in jsonschema.Draft202012Validator(schema()).iter_errors(value)
        if error.validator not in {"type", "anyOf", "enum", "const"}  # BaseLoader leaves every scalar a text
    ]
    assert wrong == []


def test_the_blocks_are_one_valid_policy():
    assert policy_of_the_page().owner == "prod"


def used_fields(value: object, found: dict[str, set[str]]) -> dict[str, set[str]]:
    """The fields that were given, by model."""
    if isinstance(value, Section):
        found.setdefault(type(value).__name__, set()).update(value.model_fields_set)
        for name in value.model_fields_set:
            used_fields(getattr(value, name), found)
    elif isinstance(value, dict):
        for item in value.values():
            used_fields(item, found)
    elif isinstance(value, tuple):
        for item in value:
            used_fields(item, found)
    return found


ALTERNATIVES = {
    "SecretReference": {"host_env"},  # one place of a secret excludes the others
    "Ignore": {"roles", "teams", "clients", "machines"},  # one rule names one section
    "Policy": {"extends", "override"},  # spent on reading
}


def test_the_blocks_use_every_field_of_the_language():
    used = used_fields(policy_of_the_page(), {})
    printed = schema()
    models = {"Policy": printed, **printed["$defs"]}
    missing = {
        model: unused
        for model, definition in models.items()
        if (
            unused := set(definition.get("properties", {}))
            - used.get(model, set())
            - ALTERNATIVES.get(model, set())
        )
    }
    assert missing == {}


@pytest.mark.parametrize("section", SECTIONS)
def test_every_section_has_a_heading(section):
    headings = " ".join(re.findall(r"^#+ (.*)$", TEXT, re.MULTILINE))
    told = re.search(rf"\b{section}\b", headings) or re.search(rf"^{section}:", TEXT, re.MULTILINE)
    assert told, section
