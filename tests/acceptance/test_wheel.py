"""The wheel holds what the command reads at run time, and the command finds it there."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

from bulkmsg import schema
from tests.acceptance.servers import environment

ROOT = Path(__file__).resolve().parents[2]


def test_the_wheel_holds_the_rules_pages_and_the_schemas(tmp_path: Path) -> None:
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True, timeout=120)
    (wheel,) = tmp_path.glob("bulkmsg-*.whl")
    installed = tmp_path / "installed"
    with zipfile.ZipFile(wheel) as packed:
        packed.extractall(installed)
    assert (installed / "bulkmsg" / "docs" / "rules.md").read_bytes() == (ROOT / "docs" / "rules.md").read_bytes()
    inside = {path.name for path in (installed / "bulkmsg" / "schemas").iterdir()}
    assert inside == {f"{name}.schema.json" for name in schema.NAMES}
    code = "import bulkmsg, sys; print(bulkmsg.__file__); from bulkmsg.cli import main; sys.exit(main(sys.argv[1:]))"
    done = subprocess.run(
        [sys.executable, "-c", code, "explain", "BM301", "outgoing.source.from"],
        cwd=tmp_path,
        env={**environment(), "PYTHONPATH": str(installed)},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(str(installed)), "it is the wheel's own code that ran"
    assert "in import mode a message must say when it was sent" in done.stdout
    assert "The address the message came from" in done.stdout
