"""The real command, where it only looks: validate, plan, dry runs, schema, init, help, and what streams do to it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.acceptance.batches import BAD, GOOD, HEAD, OPTIONS, QUICK, history_batch, log_of
from tests.acceptance.servers import bulkmsg, environment, run, sandbox

ROOT = Path(__file__).resolve().parents[2]
HEAVY = {"aiohttp", "jsonschema", "jsonschema_rs", "yaml", "rich", "asyncio", "orjson", "jinja2"}


@pytest.fixture(autouse=True, scope="module")
def compiled_once(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Where Python may not write its cache, each of the many processes here would compile everything anew."""
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("PYTHONDONTWRITEBYTECODE", raising=False)
        patch.setenv("PYTHONPYCACHEPREFIX", str(tmp_path_factory.getbasetemp() / "pycache"))
        yield


@pytest.fixture
def good(tmp_path: Path) -> Path:
    path = tmp_path / "good.yaml"
    path.write_text(HEAD + GOOD)
    return path


@pytest.fixture
def bad(tmp_path: Path) -> Path:
    path = tmp_path / "bad.yaml"
    path.write_text(HEAD + GOOD + BAD + BAD)
    return path


# -- validate --------------------------------------------------------------------------------------------------------


def test_a_valid_batch(good: Path) -> None:
    done = run(None, "validate", good)
    assert (done.returncode, done.stdout) == (0, f"no errors in {good}: 1 message\n")
    assert done.stderr.splitlines()[-1] == f"next: bulkmsg plan {good}"


def test_findings_stand_on_stdout_with_place_line_caret_and_hint(bad: Path) -> None:
    done = run(None, "validate", bad)
    assert done.returncode == 1
    lines = done.stdout.splitlines()
    assert lines[0].startswith(f"{bad}:12:5: error: ")
    assert lines[0].endswith("[BM301]")
    assert lines[1] == "    12 |   - type: incoming"
    assert lines[2] == "       |     ^"
    assert lines[3].startswith("  hint: ")
    assert lines[-1] == f"2 errors in {bad}: 3 messages"


def test_a_cap_on_findings_is_told_and_counts_stay_whole(bad: Path) -> None:
    done = run(None, "validate", bad, "--max-findings", "1")
    assert done.stdout.startswith(f"{bad}:12:5: error: "), "the first by place is shown, whichever was found first"
    assert done.stdout.count("[BM301]") == 1
    assert "1 of 2 findings are shown" in done.stdout
    answer = json.loads(run(None, "validate", bad, "--max-findings", "1", "--format", "json").stdout)
    assert len(answer["diagnostics"]) == 1
    assert answer["counts"]["error"] == 2


def test_the_answers_of_several_files_add_up(good: Path, bad: Path) -> None:
    done = run(None, "validate", good, bad, "--format", "json")
    answer = json.loads(done.stdout)
    assert done.returncode == 1
    assert not answer["valid"]
    assert answer["messages"] == 4
    assert answer["counts"] == {"error": 2, "warning": 0, "note": 0}
    assert {each["file"] for each in answer["diagnostics"]} == {str(bad)}
    first = {"rule", "severity", "message", "hint", "file", "line", "column", "path", "key"}
    first |= {"row", "column_name", "related"}
    assert set(answer["diagnostics"][0]) == first


def test_a_file_that_is_not_there_could_not_be_looked_at(tmp_path: Path, good: Path) -> None:
    done = run(None, "validate", good, tmp_path / "none.yaml")
    assert done.returncode == 3
    assert f"{tmp_path / 'none.yaml'}: error: " in done.stdout
    assert ":0" not in done.stdout


def test_strict_makes_warnings_count(good: Path) -> None:
    good.write_text(good.read_text().replace("channel: email", "channel: telegraph"))
    assert run(None, "validate", good).returncode == 0
    done = run(None, "validate", good, "--strict")
    assert done.returncode == 1
    assert "no errors, 1 warning in" in done.stdout


def test_nothing_from_a_file_reaches_the_terminal_as_an_escape(tmp_path: Path) -> None:
    path = tmp_path / "evil.yaml"
    path.write_text(HEAD + GOOD + '    "x\\e[31m\u202ey": 1\n')
    for output in ("text", "json"):
        done = run(None, "validate", path, "--format", output)
        assert done.returncode == 1
        assert all(char.isprintable() or char == "\n" for char in done.stdout + done.stderr)


# -- plan and dry run ------------------------------------------------------------------------------------------------


def test_a_plan_as_json(good: Path) -> None:
    done = run(None, "plan", good, "--format", "json", "--rate", "10/1s")
    assert done.returncode == 0
    assert json.loads(done.stdout) == {
        "batch": "history",
        "mode": "import",
        "messages": 1,
        "by_type": {"incoming": 1, "outgoing": 0, "internal-note": 0},
        "tickets": 1,
        "new_tickets": 0,
        "requests": 6,
        "recipients": 0,
        "sends": 0,
        "seconds": 0.0,
        "rate": "10/1s",
        "to_do": 1,
        "costs": {
            "account": 2,
            "preflight": 1,
            "lost_log": 2,
            "named_tickets": 0,
            "in_doubt": 0,
            "uploads": 0,
            "new_tickets": 0,
            "messages": 1,
            "updates": 0,
        },
        "faster": [],
    }


def test_a_plan_counts_only_what_the_progress_log_leaves_to_do(tmp_path: Path) -> None:
    batch = history_batch(tmp_path, 60, 4)
    with sandbox(*QUICK) as url:
        first = json.loads(run(url, "plan", batch, "--format", "json").stdout)
        assert run(url, "run", batch, *OPTIONS, "--limit", "1").returncode == 0
        done = run(url, "plan", batch, "--format", "json", "--progress-log", log_of(batch))
        said = run(url, "plan", batch)
    left = json.loads(done.stdout)
    assert (first["to_do"], first["requests"]) == (60, 67)
    assert (left["messages"], left["to_do"], left["requests"]) == (60, 45, 48)
    assert "before    15 created; 45 messages to do" in said.stdout


def test_a_plan_under_a_share_takes_its_time_and_says_why(good: Path) -> None:
    whole, half = (
        json.loads(run(None, "plan", good, "--format", "json", "--rate", "2/20s", *more).stdout)["seconds"]
        for more in ((), ("--share", "50%"))
    )
    assert half > 1.9 * whole > 0
    for words in (("plan", good), ("run", good, "--dry-run")):
        assert "of which our share is 50%" in run(None, *words, "--share", "50%").stdout


def test_a_plan_of_what_is_left_counts_one_request_for_each_new_ticket(tmp_path: Path) -> None:
    incoming = "{type: incoming, channel: chat, sender: {email: jane@example.com}, sent_datetime: 2021-03-01T10:00:00Z"
    lines = ["version: 1", "mode: import", "name: threads", "tickets:"]
    for name in ("one", "two", "three"):
        lines += [f"- external_id: {name}", "  subject: Hi", "  messages:"]
        lines += [f"  - {incoming}, body_text: {name} {number}}}" for number in range(4)]
    batch = tmp_path / "batch.yaml"
    batch.write_text("\n".join(lines))
    with sandbox(*QUICK) as url:
        done = run(url, "run", batch, *OPTIONS, "--limit", "1")
        assert done.returncode == 0, done.stderr
        told = json.loads(run(url, "plan", batch, "--format", "json").stdout)
    assert (told["to_do"], told["costs"]["new_tickets"]) == (8, 2)


def test_a_plan_says_so_where_the_progress_log_tells_nothing(tmp_path: Path) -> None:
    batch = history_batch(tmp_path, 4, 4)
    log_of(batch).write_text("no log at all\n")
    done = run(None, "plan", batch, "--format", "json")
    assert json.loads(done.stdout)["to_do"] == 4
    assert "reckoned as a first run: " in done.stderr


def test_a_dry_run_is_validate_and_plan_and_needs_no_account(good: Path, bad: Path) -> None:
    done = run(None, "run", "-n", good, GORGIAS_ACCOUNT="", GORGIAS_EMAIL="", GORGIAS_API_KEY="")
    assert done.returncode == 0
    assert "history (import mode)" in done.stdout
    assert done.stderr.splitlines()[-1] == f"next: bulkmsg run {good}"
    assert not list(good.parent.glob("*.jsonl*"))
    done = run(None, "run", "--dry-run", bad)
    assert (done.returncode, done.stdout) == (3, "")
    assert "[BM301]" in done.stderr
    assert done.stderr.splitlines()[-1] == f"next: bulkmsg validate {bad}"


def test_a_plan_shows_the_very_messages(good: Path) -> None:
    done = run(None, "plan", good, "--show", "5", "--format", "json")
    (line,) = done.stdout.splitlines()
    shown = json.loads(line)
    assert list(shown) == ["key", "file", "line", "path", "body"]
    assert shown["path"] == "/api/tickets/12/messages"
    assert shown["body"]["external_id"].startswith("bulkmsg-history-")
    done = run(None, "plan", good, "--show", shown["key"])
    assert "POST /api/tickets/12/messages" in done.stdout
    assert run(None, "plan", good, "--show", "nobody").returncode == 2


def test_flags_come_from_the_environment_but_for_three(good: Path) -> None:
    done = run(None, "plan", good, BULKMSG_FORMAT="json", BULKMSG_RATE="7/1s")
    assert json.loads(done.stdout)["rate"] == "7/1s"
    done = run(None, "plan", good, BULKMSG_MODE="send", BULKMSG_ALLOW_SEND="5", BULKMSG_YES="1")
    assert (done.returncode, "(import mode)" in done.stdout) == (0, True)
    done = run(None, "plan", good, BULKMSG_RATE="fast")
    assert done.returncode == 2
    assert "BULKMSG_RATE" in done.stderr


# -- schema, init, help ----------------------------------------------------------------------------------------------


def test_schemas_are_printed_as_they_are() -> None:
    done = run(None, "schema", "outgoing")
    assert done.stdout == (ROOT / "schemas" / "outgoing.schema.json").read_text()
    listed = run(None, "schema").stdout
    assert {line.split()[0] for line in listed.splitlines()} >= {"batch", "incoming", "progress-log", "event", "report"}
    done = run(None, "schema", "outgoin")
    assert (done.returncode, "did you mean outgoing?" in done.stderr) == (2, True)


def test_what_init_writes_is_valid_and_runs_and_is_never_overwritten(tmp_path: Path) -> None:
    folder = tmp_path / "first"
    done = run(None, "init", folder)
    assert done.returncode == 0
    assert done.stderr.splitlines()[-1] == f"next: bulkmsg validate {folder / 'batch.yaml'}"
    checked = run(None, "validate", folder / "batch.yaml", folder / "send.yaml", "--strict")
    assert checked.returncode == 0
    assert "[BM" not in checked.stdout
    for name in ("batch.yaml", "send.yaml"):
        assert run(None, "run", folder / name, "--sandbox").returncode == 0
    (folder / "batch.yaml").write_text("mine")
    done = run(None, "init", folder)
    assert done.returncode == 2
    assert "batch.yaml" in done.stderr
    assert (folder / "batch.yaml").read_text() == "mine"


def test_init_leaves_a_gitignore_alone_and_tells_its_lines(tmp_path: Path) -> None:
    (tmp_path / ".gitignore").write_text("mine\n")
    done = run(None, "init", tmp_path)
    assert done.returncode == 0
    assert (tmp_path / ".gitignore").read_text() == "mine\n"
    assert "*.progress.jsonl" in done.stderr


def test_explain_fits_the_terminal_and_says_what_it_does_not_know() -> None:
    done = run(None, "explain", "bm301", "outgoing.source.from", COLUMNS="40")
    assert done.returncode == 0
    assert done.stdout.startswith("BM301  error: in import mode a message\n")
    assert all(len(line) <= 40 for line in done.stdout.splitlines() if not line.startswith("    ")), "but for code"
    assert max(len(line) for line in run(None, "explain", "batch", COLUMNS="300").stdout.splitlines()) <= 100
    done = run(None, "explain", "sent_datetme")
    assert (done.returncode, done.stdout) == (2, "")
    assert "there is no rule or field 'sent_datetme'" in done.stderr
    assert done.stderr.splitlines()[-1] == "hint: did you mean sent_datetime?"


@pytest.mark.parametrize("words", [[], ["run", "-h"], ["explain", "-h"], ["sandbox", "-h"]])
def test_help_loads_nothing_heavy(words: list[str]) -> None:
    code = "import sys; from bulkmsg.cli import main; main(sys.argv[1:]); print(*sys.modules, file=sys.stderr)"
    done = subprocess.run([sys.executable, "-c", code, *words], env=environment(), capture_output=True, text=True)
    assert done.returncode == 0
    assert done.stdout.startswith("Usage: bulkmsg")
    assert HEAVY.isdisjoint(done.stderr.split())


def test_the_version() -> None:
    assert run(None, "--version").stdout.startswith("bulkmsg, version ")


# -- streams ---------------------------------------------------------------------------------------------------------


def shell(line: str, **more: str) -> subprocess.CompletedProcess[str]:
    env = {**environment(), "B": " ".join(bulkmsg()), **more}
    return subprocess.run(["bash", "-c", line], env=env, capture_output=True, text=True, timeout=60)


@pytest.mark.parametrize("words", ["validate bad.yaml", "--help", "results good.yaml"])
def test_a_closed_pipe_is_no_trouble(bad: Path, good: Path, words: str) -> None:
    done = shell(f"cd {bad.parent}; $B {words} | head -1 >/dev/null; echo ${{PIPESTATUS[0]}}")
    assert done.stdout.strip() in ("0", "1" if "bad" in words else "0")
    assert "Traceback" not in done.stderr
    assert "Broken" not in done.stderr
    assert "Exception" not in done.stderr


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
@pytest.mark.parametrize("words", ["--help", "results good.yaml"])
def test_a_full_disk_is_told_in_one_line(good: Path, words: str) -> None:
    done = shell(f"cd {good.parent}; $B {words} >/dev/full")
    assert done.returncode == 1
    assert "error: the answer could not be written: No space left on device" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_terminal_that_knows_only_ascii(bad: Path) -> None:
    bad.write_text(bad.read_text().replace("type: incoming", "type: incoming # Grüße", 3), "utf-8")
    done = shell(f"$B validate {bad}", LC_ALL="C", PYTHONUTF8="0", PYTHONCOERCECLOCALE="0")
    assert done.returncode == 1
    assert "Gr\\xfc\\xdfe" in done.stdout
    assert "Traceback" not in done.stderr


def test_closed_streams_end_nothing(good: Path) -> None:
    done = shell(f"$B validate {good} >&- 2>&- <&-")
    assert done.returncode == 0


def test_the_tests_see_no_variable_of_the_user() -> None:
    assert not [name for name in environment() if name.startswith("BULKMSG_")]
    assert os.environ.get("GORGIAS_BASE_URL") is None
