"""The house keeps its floors and its doors: a room imports only from below, a library only through its room."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parent.parent / "bulkmsg"

# Top to bottom, as CONTRIBUTING.md draws it. Rooms on one floor are strangers.
FLOORS: tuple[frozenset[str], ...] = tuple(
    frozenset(floor.split())
    for floor in (
        "cli",
        "app",
        "engine journal gorgias.client budget progress reports",
        "courier",
        "uploads",
        "desk reconcile preflight",
        "review delivery meeting",
        "looking",
        "plan retry stopping deadline sharing sample",
        "converters",
        "pacing places gorgias.wire gorgias.oauth validation fields bundle",
        "template schema readers",
        "batch credentials",
        "ports",
        "events diagnostic outcome rule_pages share tokens keys parcel traits",
        "message settings threads",
        "errors source json_text",
    )
)
# The garden: the loopback helpdesk imports nothing of the house. The gate: what starts the command.
GARDEN = "sandbox"
GATE = frozenset({"", "__main__"})

DOORS: dict[str, frozenset[str]] = {
    "aiohttp": frozenset({"gorgias/client.py", "sandbox/server.py"}),
    "yarl": frozenset({"gorgias/client.py"}),
    "yaml": frozenset({"readers/yaml_file.py"}),
    "jsonschema": frozenset({"schema.py"}),
    "jsonschema_rs": frozenset({"schema.py"}),
    "referencing": frozenset({"schema.py"}),
    "jinja2": frozenset({"template.py", "sandbox/page.py"}),
    "rich": frozenset({"progress.py"}),
    "orjson": frozenset({"json_text.py"}),
    "keyring": frozenset({"keys.py"}),
    "email": frozenset({"readers/mail.py", "readers/mail_parts.py", "converters/texts.py", "pacing/retry_after.py"}),
    "sqlite3": frozenset({"app/spool.py"}),
    "xml": frozenset({"readers/xml_records.py", "reports/junit.py"}),
}
ROOFS = {"click": "cli/"}


def _modules() -> Iterator[tuple[Path, str]]:
    for path in sorted(ROOT.rglob("*.py")):
        parts = path.relative_to(ROOT).with_suffix("").parts
        yield path, ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def _room(module: str) -> str:
    """The room of a module, named without the house's name: `gorgias.client` and `gorgias.wire` are two."""
    parts = module.split(".")
    return ".".join(parts[:2]) if parts[0] == "gorgias" else parts[0]


def _imports(path: Path) -> Iterator[str]:
    """Full names of all that a file imports for running; what only the type checker sees does not count."""
    tree = ast.parse(path.read_text())
    hidden = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
        for inner in ast.walk(node)
    }
    for node in ast.walk(tree):
        if id(node) in hidden:
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            yield node.module
            if node.module in ("bulkmsg", "bulkmsg.gorgias"):
                yield from (f"{node.module}.{alias.name}" for alias in node.names)


def _floor(room: str) -> int:
    for index, floor in enumerate(FLOORS):
        if room in floor:
            return index
    raise AssertionError(f"the room {room!r} stands on no floor")


def test_every_room_imports_only_from_below() -> None:
    wrong = []
    for path, module in _modules():
        room = _room(module)
        if module in GATE or room in (GARDEN, "gorgias"):
            continue
        for name in _imports(path):
            other = _room(name.removeprefix("bulkmsg.")) if name.startswith("bulkmsg.") else ""
            if not other or other in (room, "__version__", GARDEN, "gorgias"):
                continue
            if _floor(other) <= _floor(room):
                wrong.append(f"{module} imports {other}")
    assert wrong == []


def test_only_the_use_cases_and_the_roof_visit_the_sandbox() -> None:
    visitors = {
        _room(module)
        for path, module in _modules()
        if _room(module) != GARDEN and any(name.startswith("bulkmsg.sandbox") for name in _imports(path))
    }
    assert visitors <= {"app", "cli"}


def test_the_sandbox_imports_nothing_of_the_house() -> None:
    for path, module in _modules():
        if _room(module) == GARDEN:
            own = [name for name in _imports(path) if name.startswith("bulkmsg")]
            assert all(name.startswith("bulkmsg.sandbox") for name in own), module


def test_each_library_has_one_door() -> None:
    wrong = []
    for path, _ in _modules():
        place = path.relative_to(ROOT).as_posix()
        for name in _imports(path):
            library = name.split(".")[0]
            if library in DOORS and place not in DOORS[library]:
                wrong.append(f"{place} imports {library}")
            if library in ROOFS and not place.startswith(ROOFS[library]):
                wrong.append(f"{place} imports {library}")
    assert wrong == []


def test_the_heart_knows_no_library_and_no_clock_but_its_loop() -> None:
    forbidden = {"time", "aiohttp", "socket", "threading", "subprocess"}
    rooms = "engine uploads desk meeting delivery reconcile pacing places sharing retry plan review stopping deadline"
    for name in rooms.split():
        for path in (ROOT / name).glob("*.py") if (ROOT / name).is_dir() else [ROOT / f"{name}.py"]:
            assert forbidden.isdisjoint(_imports(path)), path.name


def test_the_drawing_in_contributing_is_the_one_that_is_kept() -> None:
    drawing = (ROOT.parent / "CONTRIBUTING.md").read_text()
    for floor in FLOORS:
        for room in floor:
            assert room in drawing, room
