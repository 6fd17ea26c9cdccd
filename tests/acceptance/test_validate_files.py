"""The real `validate` on many files, patterns and standard input, under build servers, and its exit codes."""

from __future__ import annotations

import json
import os
import pty
import signal
import stat
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests import read_back
from tests.acceptance.batches import BAD, GOOD, HEAD
from tests.acceptance.servers import bulkmsg, environment

WARN = GOOD.replace("channel: email", "channel: telegraph")


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def put(name: str, body: str = GOOD) -> Path:
    path = Path(name)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(HEAD + body)
    return path


def validate(*words: str, text: str = "", **more: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        bulkmsg("validate", *words), env=environment(**more), input=text, capture_output=True, text=True, timeout=60
    )


def last(done: subprocess.CompletedProcess[str]) -> str:
    return done.stderr.splitlines()[-1]


# -- patterns --------------------------------------------------------------------------------------------------------


def test_a_pattern_in_quotes_goes_through_folders_in_the_order_of_names() -> None:
    for name in (
        "b/deep/er/z.yaml",
        "b/a.yaml",
        "a.yaml",
        ".hidden.yaml",
        ".git/x.yaml",
        "b/x.yaml.acme.progress.jsonl",
    ):
        put(name, BAD)
    Path("loop").symlink_to(".")
    done = validate("**/*.yaml", "--format", "json")
    assert [each["file"] for each in json.loads(done.stdout)["diagnostics"]] == [
        "a.yaml",
        "b/a.yaml",
        "b/deep/er/z.yaml",
    ]
    assert done.returncode == 1
    assert "progress" not in validate("b/*").stdout, "a run leaves its log beside the batch: it is none"


def test_words_keep_their_order_and_a_file_named_twice_is_checked_once() -> None:
    put("b.yaml"), put("a.yaml"), put("[1].yaml")
    Path("link.yaml").symlink_to("a.yaml")
    done = validate("b.yaml", "./b.yaml", "?.yaml", "link.yaml", str(Path("a.yaml").absolute()), "[1].yaml")
    assert (done.returncode, done.stdout) == (0, "no errors in 3 files: 3 messages\n")
    assert last(done) == "next: bulkmsg plan b.yaml"


@pytest.mark.parametrize("output", ["text", "json", "github", "sarif", "junit"])
def test_a_pattern_that_fits_no_file_could_not_be_looked_at(output: str) -> None:
    put("good.yaml")
    done = validate("good.yaml", "none/**/*.yaml", "--format", output)
    assert done.returncode == 3
    assert "no file matches `none/**/*.yaml`" in done.stdout
    assert last(done) == "next: bulkmsg validate 'none/**/*.yaml'"


def test_a_folder_is_told_what_to_type() -> None:
    put("batches/deep/a.yaml")
    done = validate("batches")
    assert done.returncode == 3
    assert "hint: name its batches, like 'batches/**/*.yaml' in quotes" in done.stdout
    assert last(done) == "next: bulkmsg validate 'batches/**/*.yaml'"
    assert validate("batches/**/*.yaml").returncode == 0


def test_an_empty_name_is_no_folder() -> None:
    """A job's variable that holds nothing must not check something else, or nothing."""
    put("good.yaml")
    assert validate("good.yaml", "").returncode == 2


def test_a_pattern_does_not_walk_without_end(monkeypatch: pytest.MonkeyPatch) -> None:
    from bulkmsg.cli import batch_files

    monkeypatch.setattr(batch_files, "MAX_WALK", 10)
    for number in range(20):
        Path(f"{number}.txt").touch()
    (target,) = batch_files.targets(["**/*.yaml"])
    assert target.wrong and "more than 10 names" in target.wrong.message


# -- exit codes ------------------------------------------------------------------------------------------------------


def test_not_having_looked_outranks_errors_and_errors_outrank_none() -> None:
    put("good.yaml"), put("bad.yaml", BAD), put("warn.yaml", WARN)
    assert validate("good.yaml", "warn.yaml").returncode == 0
    assert validate("good.yaml", "warn.yaml", "--strict").returncode == 1
    assert validate("good.yaml", "bad.yaml").returncode == 1
    for words in (("none.yaml", "bad.yaml"), ("bad.yaml", "none.yaml", "good.yaml")):
        assert validate(*words).returncode == 3


def test_the_next_command_names_what_failed_with_its_flags() -> None:
    put("good.yaml"), put("my bad.yaml", BAD)
    done = validate("good.yaml", "my bad.yaml", "--mode", "import", "--strict")
    assert last(done) == "next: bulkmsg validate 'my bad.yaml' --mode import --strict"
    for number in range(5):
        put(f"{number}.yaml", BAD)
    assert last(validate("?.yaml")) == "next: bulkmsg validate '?.yaml'"


def test_people_are_told_where_a_finding_is_explained() -> None:
    put("bad.yaml", BAD + WARN)
    assert validate("bad.yaml").stderr.splitlines() == [
        "bulkmsg explain BM301 BM407 tells more",
        "next: bulkmsg validate bad.yaml",
    ]
    assert "explain" not in validate("bad.yaml", "--format", "json").stderr


def test_a_flag_that_contradicts_a_batch_names_the_batch() -> None:
    put("good.yaml"), put("send.yaml"), Path("send.yaml").write_text("version: 1\nmode: send\nmessages: []\n")
    done = validate("good.yaml", "send.yaml", "--mode", "import")
    assert done.returncode == 2
    assert "error: send.yaml: --mode import contradicts" in done.stderr


def test_of_many_files_only_those_with_findings_are_told() -> None:
    put("a.yaml"), put("b.yaml", BAD), put("c.yaml")
    lines = validate("?.yaml").stdout.splitlines()
    assert lines[0].startswith("b.yaml:5:5: error: ")
    assert lines[-2:] == ["1 error in b.yaml: 1 message", "1 error in 3 files: 3 messages"]


def test_a_reader_that_leaves_does_not_change_the_exit_code() -> None:
    put("a.yaml"), put("b.yaml", BAD)
    command = f"{' '.join(bulkmsg('validate', 'a.yaml', 'b.yaml'))} | true; exit ${{PIPESTATUS[0]}}"
    assert subprocess.run(["bash", "-c", command], env=environment(), timeout=60).returncode == 1


def test_findings_of_many_files_do_not_pile_up_in_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    from bulkmsg.cli import validate as module
    from bulkmsg.cli.options import BatchArgs
    from bulkmsg.cli.terminal import Terminal

    monkeypatch.setattr(module, "_MOST_IN_ALL", 3)
    for number in range(4):
        put(f"{number}.yaml", BAD + BAD)
    for most, shown in ((100, [2, 1, 0, 0]), (module._EVERYTHING, [2, 2, 2, 2])):
        args = module.ValidateArgs(("?.yaml",), BatchArgs(""), "json", strict=False, most=most)
        course = module._Course(args, Terminal())
        checks = list(course.checks(ExitStack()))
        assert [len(each.shown) for each in checks] == shown
        assert [each.findings for each in checks] == [2, 2, 2, 2]


# -- standard input --------------------------------------------------------------------------------------------------


def test_standard_input_is_read_as_a_batch_and_its_lines_are_shown() -> None:
    done = validate("-", text=HEAD + BAD)
    assert done.returncode == 1
    assert done.stdout.startswith("<stdin>:5:5: error: ")
    assert "     5 |   - type: incoming\n" in done.stdout
    assert last(done) == "next: bulkmsg validate -"


def test_the_name_of_standard_input_tells_its_format_and_stands_in_findings() -> None:
    row = "type,ticket_id,channel,body_text\nincoming,x,email,Hello\n"
    done = validate("-", "--stdin-name", "migration/rows.csv", "--format", "json", text=row)
    found = json.loads(done.stdout)["diagnostics"]
    assert {each["file"] for each in found} == {"migration/rows.csv"}
    assert "BM113" in {each["rule"] for each in found}
    assert validate("-", "--stdin-name", "migration/..", text="").returncode == 2


def test_files_that_standard_input_names_are_found_from_the_current_folder() -> None:
    Path("rows.csv").write_text("type,ticket_id,channel,body_text\nincoming,x,email,Hello\n")
    done = validate("-", "--format", "json", text="version: 1\nmessages: {from: rows.csv}\n")
    assert {each["file"] for each in json.loads(done.stdout)["diagnostics"]} == {"rows.csv"}


@pytest.fixture
def keeping(folder: Path) -> Iterator[tuple[subprocess.Popen[bytes], Path]]:
    """A command that waits for the end of its standard input, and the folder where it keeps what came so far."""
    (folder / "tmp").mkdir()
    command = bulkmsg("validate", "-", "--stdin-name", "secret.yaml")
    process = subprocess.Popen(
        command,
        env=environment(TMPDIR=str(folder / "tmp")),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    try:
        yield process, folder / "tmp"
    finally:
        process.kill()
        process.communicate()


def kept_file(folder: Path) -> Path:
    for _ in range(2000):
        for found in folder.glob("*/secret.yaml"):
            return found
        time.sleep(0.005)
    raise AssertionError("nothing was kept")


def test_what_is_kept_of_standard_input_is_its_owners_alone_and_goes_afterwards(
    keeping: tuple[subprocess.Popen[bytes], Path],
) -> None:
    process, tmp = keeping
    path = kept_file(tmp)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    out, _ = process.communicate((HEAD + GOOD).encode(), timeout=60)
    assert out == b"no errors in secret.yaml: 1 message\n"
    assert list(tmp.iterdir()) == []


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_a_signal_leaves_nothing_of_standard_input_behind(
    keeping: tuple[subprocess.Popen[bytes], Path], number: signal.Signals
) -> None:
    process, tmp = keeping
    kept_file(tmp)
    process.send_signal(number)
    process.communicate(timeout=60)
    assert process.returncode == 128 + number
    assert list(tmp.iterdir()) == []


def test_a_person_at_the_keyboard_is_told_that_a_batch_is_read() -> None:
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        bulkmsg("validate", "-"), env=environment(), stdin=theirs, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    os.close(theirs)
    assert process.stderr is not None
    assert b"Ctrl-D" in process.stderr.readline()
    os.write(ours, (HEAD + GOOD).encode() + b"\x04")
    out, _ = process.communicate(timeout=60)
    os.close(ours)
    assert out == b"no errors in <stdin>: 1 message\n"


# -- build servers ---------------------------------------------------------------------------------------------------


def test_github_actions_gets_annotations_and_a_summary_without_being_asked(folder: Path) -> None:
    put("repo/batches/bad.yaml", BAD)
    summary = folder / "summary.md"
    summary.write_text("before\n")
    more = {"GITHUB_ACTIONS": "true", "GITHUB_STEP_SUMMARY": str(summary), "GITHUB_WORKSPACE": str(folder / "repo")}
    os.chdir("repo/batches")
    done = validate("bad.yaml", **more)
    assert done.returncode == 1
    (seen,) = read_back.github(done.stdout)
    assert (seen.file, seen.line, seen.rule) == ("batches/bad.yaml", 5, "BM301")
    assert summary.read_text().startswith("before\n### bulkmsg validate: 1 error in bad")
    assert "BM301" in summary.read_text()
    for chosen in (
        validate("bad.yaml", "--format", "text", **more),
        validate("bad.yaml", **more, BULKMSG_FORMAT="text"),
    ):
        assert chosen.stdout.startswith("bad.yaml:5:5: error: ")
    assert validate("bad.yaml", GITHUB_ACTIONS="false").stdout.startswith("bad.yaml:5:5: error: ")


def test_a_summary_that_cannot_be_written_changes_nothing_else(folder: Path) -> None:
    put("good.yaml")
    done = validate("good.yaml", GITHUB_ACTIONS="true", GITHUB_STEP_SUMMARY=str(folder))
    assert done.returncode == 0
    assert "the job's summary could not be written" in done.stderr


@pytest.mark.parametrize("output", ["github", "text"])
def test_nothing_in_a_pull_request_becomes_a_command_of_the_runner(output: str) -> None:
    body = BAD.replace("  - type: incoming", "  - type: incoming # ##[add-mask]x ::error::y")
    for name in ("::error file=x::y.yaml", "##[add-mask]x.yaml", "a\n::stop-commands::t.yaml"):
        put(name, body)
    done = validate("*.yaml", "--format", output, GITHUB_ACTIONS="true")
    told = [found.name for line in done.stdout.splitlines() if (found := read_back.command(line))]
    assert told == (["error"] * 3 if output == "github" else [])
    assert [line for line in done.stderr.splitlines() if read_back.command(line)] == []


def test_no_line_of_a_file_stands_in_what_build_servers_keep(folder: Path) -> None:
    put("bad.yaml", BAD.replace("body_text: Hello", "body_text: Hello\n    password: hunter2-very-secret"))
    summary = folder / "summary.md"
    for output in ("json", "github", "sarif", "junit"):
        done = validate("bad.yaml", "--format", output, GITHUB_STEP_SUMMARY=str(summary))
        assert done.returncode == 1
        assert "hunter2" not in done.stdout + done.stderr
    assert "hunter2" not in summary.read_text()
