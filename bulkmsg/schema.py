"""The JSON Schemas as the tool itself uses them: text, compiled checkers, and findings in words.

The only room that knows jsonschema and jsonschema-rs. Two engines, one verdict: jsonschema-rs says
"surely valid" in microseconds; whatever it does not accept, jsonschema judges and explains. jsonschema
is imported when the first instance needs explaining, because its import alone costs more than checking
thousands of valid messages. Neither engine ever fetches anything: all schemas are at hand, and a
reference to any other is an error.

Schemas carry annotations of ours, which validators ignore and `violations` reads:
`x-why` (why a rule exists, said when it fails), `x-expects` (what a text must look like, said instead
of a regular expression), `x-field` (the field to name when a rule about several fails); and on closed
objects `x-refused` (fields of the API that are refused on purpose, each with the reason). What editors
read (`errorMessage`, `patternErrorMessage`, `enumDescriptions`) says the same to them.
"""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jsonschema_rs

if TYPE_CHECKING:
    from jsonschema import ValidationError
    from jsonschema.protocols import Validator

BASE = "https://bulkmsg.dev/schemas/"
DIALECT = "https://json-schema.org/draft/2020-12/schema"
NAMES: tuple[str, ...] = (
    "batch",
    "incoming",
    "outgoing",
    "internal-note",
    "ticket",
    "progress-log",
    "event",
    "report",
    "mapping",
    "common",
)

Schema = dict[str, Any]
Path_ = tuple[str | int, ...]
Saying = Callable[[Any, Any, Schema], tuple[str, str]]  # value, what the keyword wants, rule -> message, hint


@dataclass(frozen=True, slots=True)
class Violation:
    """One way in which an instance is not what its schema asks for."""

    path: tuple[str | int, ...]  # where in the instance: the value, or the object that `field` is about
    field: str | None  # the field that the object lacks or may not have; None: the value itself is wrong
    keyword: str  # the JSON Schema keyword that failed
    message: str  # for a person; never quotes bodies, addresses or anything long
    hint: str  # what to do; "" if there is nothing to say


# --- The files ---------------------------------------------------------------------------------------------


def text(name: str) -> str:
    """The schema file as it is."""
    if name not in NAMES:
        raise KeyError(name)
    here = Path(__file__).resolve().parent
    inside = here / "schemas"  # in the wheel; in a checkout they lie beside the package
    folder = inside if inside.is_dir() else here.parent / "schemas"
    return (folder / f"{name}.schema.json").read_text("utf-8")


@cache
def load(name: str) -> Schema:
    """The schema as data. Shared: do not change it."""
    schema: Schema = json.loads(text(name))
    return schema


def describe(name: str, path: tuple[str, ...]) -> str | None:
    """Title and description of a field, or None if there is no such field. Lists need no index."""
    node = _field(name, path)
    return f"{node['title']}: {node['description']}" if node else None


# --- Checking ----------------------------------------------------------------------------------------------


class Checker:
    """One schema, compiled: a fast yes, or the slow reasons why not."""

    __slots__ = ("_fast", "_name", "_schema", "_slow")

    def __init__(self, name: str, schema: Schema) -> None:
        self._name = name
        self._schema = schema
        self._fast: Callable[[object], bool] = _compile_fast(schema).is_valid
        self._slow: Validator | None = None

    def is_valid(self, instance: object) -> bool:
        """True only if surely valid. False may also mean: not JSON, ask `violations`."""
        try:
            return self._fast(instance)
        except ValueError:  # a value that JSON has no word for
            return False

    def violations(self, instance: object, most: int | None = None) -> list[Violation]:
        """Everything that is wrong, or the first `most` of it, in the schema's order; [] means valid after all."""
        if self._slow is None:
            self._slow = _compile_slow(self._schema)
        errors = self._slow.iter_errors(instance)  # type: ignore[arg-type]
        try:
            return list(islice(_distinct(v for e in errors for v in self._explain(e)), most))
        except RecursionError:
            return [Violation((), None, "depth", "the entry is nested too deeply", "use fewer levels")]
        except TypeError:  # a pattern of names meets one that is no text, which no reader lets through
            return [Violation((), None, "propertyNames", "a field's name is not text", "put it in quotes")]
        except ValueError:  # Python refuses to write out a number of thousands of digits
            return [Violation((), None, "digits", "the entry holds a number with too many digits", "put it in quotes")]

    def _explain(self, error: ValidationError) -> Iterator[Violation]:
        if error.validator in ("anyOf", "oneOf") and "x-why" not in _rule(error):
            for nested in _likeliest(error):
                yield from self._explain(nested)
        elif _is_about_a_name(error):
            yield _bad_name(error)
        elif error.validator == "additionalProperties" and error.validator_value is False:
            yield from _unknown(error)
        elif error.validator == "required":
            yield self._missing(error)
        else:
            yield _bad_value(error)

    def _missing(self, error: ValidationError) -> Violation:
        # jsonschema yields one error for each missing field and names it in its message only.
        field = next(f for f in _required(error) if error.message.startswith(repr(f)))
        path = tuple(error.absolute_path)
        why = _why(_rule(error), field)
        example = self._example(path, field, error.instance)
        message = f"{_dotted((*path, field))} is missing" + (f": {why}" if why else "")
        return Violation(path, field, "required", message, f"add {field}" + (f", such as {example}" if example else ""))

    def _example(self, path: Path_, field: str, owner: object) -> str:
        names = tuple(part for part in path if isinstance(part, str))
        node = _field(self._name, (*names, field))
        kind = owner.get("type") if isinstance(owner, dict) else None
        if node is None and kind in NAMES:
            node = _field(kind, (field,))
        examples = node.get("examples") if node else None
        return f"{field}: {json.dumps(examples[0])}" if examples else ""


@cache
def checker(name: str, *parts: str) -> Checker:
    """The checker of a schema's root and of the named `$defs` of it, all at once; compiled once.

    `checker("outgoing", "import", "on_ticket")` is a finished outgoing message of an import that goes to an
    existing ticket. `NAME#DEF` takes that definition in place of the root: `checker("report#plan")`.
    """
    base, _, start = name.partition("#")
    rules = [_inlined(_reference(base, part), ()) for part in (start, *parts)]
    return Checker(base, {"$schema": DIALECT, "$id": f"{BASE}checker", "allOf": rules})


def _reference(name: str, part: str) -> str:
    if not part:
        load(name)
        return f"{BASE}{name}.schema.json"
    if part not in load(name)["$defs"]:
        raise KeyError(f"{name}.schema.json has no $defs/{part}")
    return f"{BASE}{name}.schema.json#/$defs/{part}"


_DATA = {"const", "enum", "examples", "x-refused", "x-order"}  # what in a schema is data, not schema
_NOTES = {"$schema", "$id", "$defs", "$comment", "title", "description", "examples"}


def _inlined(reference: str, around: tuple[str, ...]) -> Schema:
    """What the reference stands for, with the references inside it resolved in turn: both engines pay for
    each `$ref` they follow, jsonschema dearly. One that is reached from within itself stays a reference."""
    if reference in around:
        return {"$ref": reference}
    file, _, pointer = reference.removeprefix(BASE).partition("#")
    target = _at(load(file.removesuffix(".schema.json")), pointer)
    bare = {k: v for k, v in target.items() if k not in _NOTES}
    inlined: Schema = _resolve(bare, BASE + file, (*around, reference))
    return inlined


def _resolve(node: Any, home: str, around: tuple[str, ...]) -> Any:
    if isinstance(node, list):
        return [_resolve(item, home, around) for item in node]
    if not isinstance(node, dict):
        return node
    rule = {k: v if k in _DATA else _resolve(v, home, around) for k, v in node.items() if k != "$ref"}
    reference = node.get("$ref")
    if not isinstance(reference, str):
        return rule
    target = _inlined((home if reference.startswith("#") else BASE) + reference, around)
    if rule.keys() <= _NOTES:
        return target
    return {**rule, "allOf": [target, *rule.get("allOf", ())]}


@cache
def _fast_registry() -> jsonschema_rs.Registry:
    return jsonschema_rs.Registry([(BASE + f"{n}.schema.json", load(n)) for n in NAMES])


def _compile_fast(schema: Schema) -> jsonschema_rs.Draft202012Validator:
    return jsonschema_rs.Draft202012Validator(
        schema,
        registry=_fast_registry(),
        offline=True,
        validate_formats=False,  # the schemas use patterns, which both engines read alike
        pattern_options=jsonschema_rs.RegexOptions(),  # the engine that never backtracks
    )


def _compile_slow(schema: Schema) -> Validator:
    from jsonschema import Draft202012Validator
    from referencing import Registry, Resource

    pairs = [(f"{BASE}{n}.schema.json", Resource.from_contents(load(n))) for n in NAMES]
    # An explicit registry, because jsonschema's default one fetches what it does not know.
    registry: Registry[Any] = Registry().with_resources(pairs)
    slow: Validator = Draft202012Validator(schema, registry=registry)
    return slow


# --- From errors to words ----------------------------------------------------------------------------------

_KINDS = {
    "string": "text",
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
    "object": "a map",
    "array": "a list",
    "null": "empty (null)",
}
_WHY_FITS = ("not", "enum", "const", "anyOf", "contains")


def _bad_value(error: ValidationError) -> Violation:
    path, rule, keyword = tuple(error.absolute_path), _rule(error), str(error.validator)
    why = _why(rule)
    field: str | None = rule.get("x-field") if keyword == "anyOf" else None
    if keyword in _WHY_FITS and why:
        told = _value_of_enum(error) if keyword == "enum" else ""
        subject = f"{_dotted(path)}{told}: " if path else ""
        return Violation(path, field, keyword, f"{subject}{why}", f"add {field}" if field else _forbidden_hint(error))
    message, hint = _say(error)
    return Violation(path, field, keyword, f"{_dotted(path)} {message}", hint)


def _forbidden_hint(error: ValidationError) -> str:
    forbidden = error.validator == "not" and error.validator_value == {}  # nothing at all may stand there
    return f"remove {error.absolute_path[-1]}" if forbidden else ""


def _say(error: ValidationError) -> tuple[str, str]:
    say: Saying = _SAYINGS.get(str(error.validator), _say_other)
    value: Any = error.instance
    wanted: Any = error.validator_value
    return say(value, wanted, _rule(error))


def _value_of_enum(error: ValidationError) -> str:
    shown = _shown(error.instance)
    return f" is {shown}" if shown else ""


def _say_type(value: object, wanted: Any, rule: Schema) -> tuple[str, str]:
    kinds = [k for k in ([wanted] if isinstance(wanted, str) else wanted) if k != "null"]
    if value is None:
        why = _why(rule)
        return "must not be empty (null)" + (f": {why}" if why else ""), "leave it out or give it a value"
    message = f"must be {_any_of([_KINDS[k] for k in kinds])}, not {_kind(value)}"
    return message, _type_hint(value, kinds)


def _type_hint(value: object, kinds: list[str]) -> str:
    if kinds == ["string"] and isinstance(value, (int, float)):
        return "put it in quotes, so that it is read as text"
    if isinstance(value, str) and {"integer", "number", "boolean"} & set(kinds):
        return "write it without quotes" if re.fullmatch("-?[0-9]{1,16}|true|false", value) else ""
    if kinds == ["array"]:
        return "write it as a list, even with one item"
    return ""


def _say_enum(value: object, wanted: Any, rule: Schema) -> tuple[str, str]:
    allowed = [w for w in wanted if w is not None]
    shown = _shown(value)
    what = f"is {shown}, which is not one of the allowed values" if shown else "is not one of the allowed values"
    near = _nearest(value, [a for a in allowed if isinstance(a, str)])
    if near:
        return what, f"did you mean {near}?"
    listed = ", ".join(_plain(a) for a in allowed)
    return what, f"allowed: {listed}" if len(allowed) <= 12 else f"see the {len(allowed)} allowed values in the schema"


def _say_expected(value: object, wanted: Any, rule: Schema) -> tuple[str, str]:
    expected = rule.get("x-expects")
    return (f"must be {expected}" if expected else "does not have the right form"), ""


def _say_other(value: object, wanted: Any, rule: Schema) -> tuple[str, str]:
    why = _why(rule)
    return ("is not allowed here" + (f": {why}" if why else "")), ""


def _say_min_length(value: Any, wanted: Any, rule: Schema) -> tuple[str, str]:
    if wanted == 1:
        return "must not be empty", "leave it out or fill it in"
    return f"must have at least {wanted:,} characters; it has {len(value):,}", ""


def _say_minimum(value: Any, wanted: Any, rule: Schema) -> tuple[str, str]:
    return f"must be {wanted:,} or more", ""


def _say_maximum(value: Any, wanted: Any, rule: Schema) -> tuple[str, str]:
    return f"must be {wanted:,} or less", ""


_SAYINGS: Mapping[str, Saying] = {
    "type": _say_type,
    "enum": _say_enum,
    "const": lambda value, wanted, rule: (f"must be {_plain(wanted)}", f"write {_plain(wanted)}"),
    "pattern": _say_expected,
    "not": _say_expected,
    "minLength": _say_min_length,
    "maxLength": lambda value, wanted, rule: (
        f"has {len(value):,} characters; at most {wanted:,} are allowed",
        "",
    ),
    "minimum": _say_minimum,
    "maximum": _say_maximum,
    "minItems": lambda value, wanted, rule: (
        f"must have at least {_items(wanted)}; it has {len(value):,}",
        "",
    ),
    "maxItems": lambda value, wanted, rule: (f"has {_items(len(value))}; at most {wanted:,} are allowed", ""),
    "minProperties": lambda value, wanted, rule: ("must not be empty", "fill it in or leave it out"),
}


def _unknown(error: ValidationError) -> Iterator[Violation]:
    rule, owner = _rule(error), tuple(error.absolute_path)
    allowed, refused = list(rule.get("properties", ())), rule.get("x-refused", {})
    instance: Any = error.instance
    for name in instance:
        if name not in allowed:
            yield _stranger(owner, name, allowed, refused, "additionalProperties")


def _is_about_a_name(error: ValidationError) -> bool:
    return list(error.absolute_schema_path)[-2:-1] == ["propertyNames"]


def _bad_name(error: ValidationError) -> Violation:
    rule, owner = _rule(error), tuple(error.absolute_path)
    if error.validator == "enum":
        return _stranger(owner, error.instance, list(rule["enum"]), rule.get("x-refused", {}), "propertyNames")
    message, hint = _say(error)
    where = f" in {_dotted(owner)}" if owner else ""
    return Violation(owner, str(error.instance), "propertyNames", f"a name{where} {message}", hint)


def _stranger(owner: Path_, name: object, allowed: list[str], refused: Mapping[str, str], keyword: str) -> Violation:
    where = f" in {_dotted(owner)}" if owner else ""
    if isinstance(name, str) and name in refused:
        return Violation(owner, name, keyword, f"{_dotted((*owner, name))} is refused: {refused[name]}", "")
    message = f"unknown field {_shown(name) or 'of an unreadable name'}{where}"
    return Violation(owner, str(name), keyword, message, _name_hint(name, allowed))


def _name_hint(name: object, allowed: list[str]) -> str:
    if not isinstance(name, str):
        return "names of fields are text"
    if "source" in allowed and name in ("from", "to", "cc", "bcc"):
        return f"did you mean source.{name}?"
    near = _nearest(name, allowed)
    if near:
        return f"did you mean {near}?"
    return f"fields here: {', '.join(allowed)}" if len(allowed) <= 12 else "`bulkmsg schema` prints the fields"


# --- Choosing among errors ---------------------------------------------------------------------------------


def _likeliest(error: ValidationError) -> list[ValidationError]:
    """The errors of the branch that was probably meant: the one that got deepest, with fewest complaints."""
    branches: dict[Any, list[ValidationError]] = {}
    for nested in error.context or ():
        branches.setdefault(nested.schema_path[0], []).append(nested)

    def distance(errors: list[ValidationError]) -> tuple[bool, int, int]:
        wrong_kind = any(e.validator == "type" and not e.path for e in errors)
        return wrong_kind, -max(len(e.path) for e in errors), len(errors)

    return min(branches.values(), key=distance)


def _distinct(found: Iterable[Violation]) -> Iterator[Violation]:
    """The same complaint can come from two layers of a schema, and one pattern is often two keywords."""
    seen: set[tuple[Path_, str | None, str]] = set()
    for v in found:
        marks = {(v.path, v.field, v.keyword), (v.path, v.field, v.message)}
        if v.keyword in ("enum", "const") and (v.path, v.field, "type") in seen:
            continue
        if not marks & seen:
            yield v
        seen |= marks


# --- Small words -------------------------------------------------------------------------------------------


def _rule(error: ValidationError) -> Schema:
    return error.schema if isinstance(error.schema, dict) else {}


def _why(rule: Schema, field: str = "") -> str:
    why = rule.get("x-why", "")  # one sentence for the rule, or one for each field it requires
    return str(why.get(field, "") if isinstance(why, dict) else why)


def _required(error: ValidationError) -> list[str]:
    return list(error.validator_value) if isinstance(error.validator_value, list) else []


def _dotted(path: Path_) -> str:
    dotted = "".join(f"[{p}]" if isinstance(p, int) else f".{p}" for p in path).removeprefix(".")
    return (dotted if len(dotted) <= 120 and dotted.isprintable() else ascii(dotted[:120])) or "the entry"


def _shown(value: object) -> str:
    """The value in quotes if it is short and cannot be anybody's address or text; else nothing."""
    if isinstance(value, (bool, int, float)) or value is None:
        return _plain(value) if len(str(value)[:41]) <= 40 else ""
    if not isinstance(value, str) or len(value) > 40 or "@" in value:
        return ""
    return json.dumps(value, ensure_ascii=not value.isprintable())


def _plain(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _kind(value: object) -> str:
    for kinds, word in (
        (bool, "true or false"),
        (int, "a number"),
        (float, "a number"),
        (str, "text"),
        (dict, "a map"),
        (list, "a list"),
    ):
        if isinstance(value, kinds):
            return word
    return "empty (null)" if value is None else f"something JSON has no word for ({type(value).__name__})"


def _any_of(words: list[str]) -> str:
    return " or ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)


def _items(count: int) -> str:
    return f"{count:,} item" + ("" if count == 1 else "s")


def _nearest(value: object, candidates: list[str]) -> str:
    if not isinstance(value, str) or len(value) > 80:
        return ""
    for spelling in (value, re.sub("[ -]", "_", value.strip().lower()), value.strip().lower()):
        near = difflib.get_close_matches(spelling, candidates, 1, 0.6)
        if near:
            return near[0]
    return ""


# --- Finding a field's schema ------------------------------------------------------------------------------


@cache
def _field(name: str, path: tuple[str, ...]) -> Schema | None:
    root = load(name)
    home, node = name, root.get("$defs", {}).get("entry", root)
    for part in path:
        found = next((face for face in _faces(home, node) if part in face[1].get("properties", ())), None)
        if found is None:
            return None
        home, node = found[0], found[1]["properties"][part]
    return node if path and isinstance(node, dict) else None


def _faces(home: str, node: Schema) -> Iterator[tuple[str, Schema]]:
    """A node, what it refers to, and what its items are, each with its file: where its fields may stand."""
    yield home, node
    if isinstance(node.get("items"), dict):
        yield from _faces(home, node["items"])
    if "$ref" in node:
        file, _, pointer = node["$ref"].partition("#")
        home = file.removesuffix(".schema.json") or home
        yield from _faces(home, _at(load(home), pointer))


def _at(schema: Schema, pointer: str) -> Schema:
    node = schema
    for part in pointer.split("/")[1:]:
        node = node[part]
    return node
