"""A bundled schema stands alone and says of every instance what the schema and its siblings say of it."""

from __future__ import annotations

import random
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
import yaml
from jsonschema import Draft202012Validator

from bulkmsg import schema
from bulkmsg.bundle import bundled
from tests.acceptance.servers import bulkmsg
from tests.properties.test_schema_agreement import BASES, BATCH, TICKET, mutated

CASES = Path(__file__).parent.parent / "cases"

Judge = Callable[[object], bool]


def judge(start: str, documents: dict[str, Any]) -> Judge:
    """The verdict of the schema at that address, of which nothing but the given documents is known."""
    judging = jsonschema_rs.Draft202012Validator(
        {"$schema": schema.DIALECT, "$ref": start},
        registry=jsonschema_rs.Registry(list(documents.items())),
        offline=True,
    )
    return judging.is_valid


def both(name: str, part: str = "") -> tuple[Judge, Judge]:
    """The judges of a schema, or of a definition in it: with its siblings at hand, and from its bundle alone."""
    address = f"{schema.BASE}{name}.schema.json"
    siblings = {f"{schema.BASE}{each}.schema.json": schema.load(each) for each in schema.NAMES}
    start = address + (f"#/$defs/{part}" if part else "")
    return judge(start, siblings), judge(start, {address: bundled(name)})


def references(node: object) -> Iterator[str]:
    if isinstance(node, list):
        for item in node:
            yield from references(item)
    elif isinstance(node, dict):
        if isinstance(node.get("$ref"), str):
            yield node["$ref"]
        for inner in node.values():
            yield from references(inner)


@pytest.mark.parametrize("name", schema.NAMES)
def test_a_bundle_is_a_schema_that_refers_to_nothing_outside(name: str) -> None:
    bundle = bundled(name)
    Draft202012Validator.check_schema(bundle)
    assert bundle["$id"] == schema.load(name)["$id"] and bundle["$schema"] == schema.DIALECT
    for reference in references(bundle):
        assert reference.startswith("#/$defs/") and reference.removeprefix("#/$defs/") in bundle["$defs"]
    inner = [node for node in bundle["$defs"].values() if node.keys() & {"$id", "$schema"}]
    assert inner == [], "a definition of a bundle is no resource of its own"


@pytest.mark.parametrize("name", schema.NAMES)
def test_a_bundle_keeps_every_definition_of_its_schema_and_takes_only_what_is_reached(name: str) -> None:
    bundle = bundled(name)
    own = schema.load(name).get("$defs", {})
    assert list(bundle["$defs"])[: len(own)] == list(own)
    taken = set(bundle["$defs"]) - set(own)
    assert taken <= {reference.removeprefix("#/$defs/") for reference in references(bundle)}


def test_a_reference_in_data_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    example = {"$ref": "common.schema.json#/$defs/person"}
    made = {"$id": "x", "examples": [example], "properties": {"examples": example}, "$defs": {}}
    monkeypatch.setattr(schema, "load", lambda name: made if name == "made" else {"$defs": {"person": {"title": "P"}}})
    bundle = bundled("made")
    assert bundle["examples"] == [example]
    assert bundle["properties"] == {"examples": {"$ref": "#/$defs/common.person"}}


SUBJECTS: list[tuple[str, str, dict[str, Any]]] = [
    ("batch", "", BATCH),
    ("ticket", "", TICKET),
    *((kind, "", base) for kind, base in BASES.items()),
    *((kind, "entry", base) for kind, base in BASES.items()),
    *(("common", "message_entry", base) for base in BASES.values()),
    *(("progress-log", "", d["examples"][0]) for d in schema.load("progress-log")["$defs"].values()),
    *(("event", "", d["examples"][0]) for d in schema.load("event")["$defs"].values()),
    ("mapping", "", schema.load("mapping")["examples"][0]),
    *(("report", part, d["examples"][0]) for part, d in schema.load("report")["$defs"].items()),
]


@pytest.mark.parametrize("name", schema.NAMES)
def test_a_bundle_judges_thousands_of_broken_instances_as_the_schema_does(name: str) -> None:
    rng = random.Random(name)
    verdicts: set[bool] = set()
    subjects = [(both(name, part), base) for owner, part, base in SUBJECTS if owner == name]
    for (with_siblings, alone), base in subjects:
        for _ in range(1 + 2000 // len(subjects)):
            instance = mutated(base, rng)
            assert said(alone, instance) == said(with_siblings, instance)
            verdicts.add(said(alone, instance))
    assert verdicts == {True, False}, "the generator is lopsided"


def said(judging: Judge, instance: object) -> bool:
    try:
        return judging(instance)
    except ValueError:  # something that JSON has no word for
        return False


class DatesAreText(yaml.CSafeLoader):
    """Reads YAML without turning dates into something that JSON has no word for."""

    yaml_implicit_resolvers = {  # noqa: RUF012
        first: [(tag, pattern) for tag, pattern in pairs if not tag.endswith(":timestamp")]
        for first, pairs in yaml.CSafeLoader.yaml_implicit_resolvers.items()
    }


def documents() -> Iterator[Any]:
    """What stands in the YAML files of the cases; files that are no YAML are left out."""
    for path in sorted(CASES.rglob("*.yaml")):
        try:
            yield from yaml.load_all(path.read_text(), DatesAreText)
        except (yaml.YAMLError, UnicodeDecodeError, ValueError):
            continue


def test_the_bundled_batch_judges_the_cases_as_the_schemas_do() -> None:
    with_siblings, alone = both("batch")
    pairs = [(said(with_siblings, document), said(alone, document)) for document in documents()]
    assert len(pairs) > 40 and {True, False} == {first for first, _ in pairs}
    assert [first for first, _ in pairs] == [second for _, second in pairs]


def test_the_command_prints_the_same_bundle_each_time() -> None:
    printed = {
        subprocess.run(
            bulkmsg("schema", "batch", "--bundle"), capture_output=True, check=True, env={"PYTHONHASHSEED": seed}
        ).stdout
        for seed in ("1", "2")
    }
    assert len(printed) == 1
    assert yaml.safe_load(printed.pop()) == bundled("batch")
