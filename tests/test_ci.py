"""What is offered to build servers is tried: the action's scripts are run, the hook by pre-commit itself, and each
example of docs/ci.md is held against its schema.

The tests that install the package as users do need the package registry, as `make test` itself does.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import pytest
import yaml

from bulkmsg.cli.root import COMMANDS, root
from tests import read_back
from tests.acceptance.batches import BAD, GOOD, HEAD
from tests.acceptance.servers import environment

ROOT = Path(__file__).resolve().parent.parent
PAGE = (ROOT / "docs" / "ci.md").read_text()
BIN = Path(sys.executable).parent


def run(*words: str | Path, cwd: Path | None = None, **env: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(word) for word in words],
        cwd=cwd,
        env={**environment(), "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}", **env},
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        timeout=300,
    )


def checked(*words: str | Path, cwd: Path | None = None, **env: str) -> str:
    done = run(*words, cwd=cwd, **env)
    assert done.returncode == 0, f"{words}\n{done.stdout}\n{done.stderr}"
    return done.stdout


# -- the examples of the page ----------------------------------------------------------------------------------------

KINDS = {
    "github-workflow": ("check-jsonschema", "--builtin-schema", "vendor.github-workflows"),
    "gitlab-ci": ("check-jsonschema", "--builtin-schema", "vendor.gitlab-ci", "--data-transform", "gitlab-ci"),
    "pre-commit-config": ("pre-commit", "validate-config"),
}
_BLOCK = re.compile(
    r"^<!-- (?P<kind>[a-z-]+)(?:: (?P<name>\S+))? -->\n```yaml\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL
)


@dataclass(frozen=True)
class Example:
    kind: str
    text: str

    @property
    def value(self) -> Any:
        return yaml.safe_load(self.text)


EXAMPLES = [Example(match["kind"], match["text"]) for match in _BLOCK.finditer(PAGE)]


def test_every_yaml_example_of_the_page_is_of_a_kind_that_is_tried() -> None:
    assert len(EXAMPLES) == PAGE.count("```yaml\n")
    assert {example.kind for example in EXAMPLES} == set(KINDS)


@pytest.mark.parametrize("number", range(len(EXAMPLES)))
def test_an_example_is_what_its_build_server_asks_for(number: int, tmp_path: Path) -> None:
    example = EXAMPLES[number]
    path = tmp_path / "example.yaml"
    path.write_text(example.text)
    checked(*KINDS[example.kind], path)
    path.write_text(example.text.replace("repos:", "repo:").replace("jobs:", "job:").replace("script:", "skript:"))
    assert run(*KINDS[example.kind], path).returncode != 0, "the check must be able to fail"


def scripts() -> Iterator[str]:
    """All shell on the page: that of the examples, and that of its blocks."""
    for example in EXAMPLES:
        yield from _scripts_in(example.value)
    yield from re.findall(r"^```sh\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)


def _scripts_in(value: Any) -> Iterator[str]:
    for key, inner in value.items() if isinstance(value, dict) else enumerate(value if isinstance(value, list) else ()):
        if key == "run":
            yield inner
        elif key in ("script", "before_script"):
            yield "\n".join(inner)
        else:
            yield from _scripts_in(inner)


COMMAND = re.compile(r"(?:exec |\$\(|; |^ *)(bulkmsg [^|;\n]*)", re.MULTILINE)
CALLS = [call for script in scripts() for call in COMMAND.findall(script.replace("\\\n", " "))]


def test_the_page_has_calls_of_each_kind() -> None:
    assert {call.split()[1] for call in CALLS} >= {"validate", "plan", "run", "status"}
    assert len(CALLS) == sum(script.count("bulkmsg ") for script in scripts()), "no call is overlooked"


@pytest.mark.parametrize("call", CALLS)
def test_a_command_of_the_page_can_be_typed(call: str) -> None:
    """Shell variables stand for a number here, which is also a name of a file."""
    words = re.sub(r"\$\w+", "7", call.partition(" >")[0].partition(" <")[0])
    _, name, *arguments = shlex.split(words)
    assert name in COMMANDS
    command = root.get_command(click.Context(root), name)
    assert command is not None
    command.make_context(name, arguments)


def test_no_script_of_the_page_or_the_action_holds_an_expression() -> None:
    """What stands in `${{ }}` is put into a script before the shell reads it: a name of a branch could be a command."""
    action = yaml.safe_load((ROOT / "action.yml").read_text())
    found = [*scripts(), *_scripts_in(action)]
    assert len(found) > 8
    assert [script for script in found if "${{" in script] == []


def test_no_workflow_gives_secrets_to_pull_requests() -> None:
    for example in EXAMPLES:
        if example.kind == "github-workflow":
            workflow = example.value
            events = workflow.get("on", workflow.get(True))
            assert "pull_request_target" not in events
            assert workflow["permissions"]["contents"] == "read"
            for job in workflow["jobs"].values():
                if "secrets." in str(job):
                    assert job["environment"] and "pull_request" not in events


# -- the action ------------------------------------------------------------------------------------------------------

ACTION: dict[str, Any] = yaml.safe_load((ROOT / "action.yml").read_text())


def test_the_action_is_what_github_asks_for() -> None:
    checked("check-jsonschema", "--builtin-schema", "vendor.github-actions", ROOT / "action.yml")


@dataclass
class Job:
    """A job of GitHub Actions, as far as the action sees it: folders, files that a step writes to, steps in order."""

    folder: Path
    workspace: Path

    def step(self, step: dict[str, Any], given: dict[str, str]) -> subprocess.CompletedProcess[str]:
        script = self.folder / "script.sh"
        script.write_text(step["run"])
        inputs = {name: given.get(name, str(each.get("default", ""))) for name, each in ACTION["inputs"].items()}
        assert step["shell"] == "bash"
        return run(
            *("bash", "--noprofile", "--norc", "-eo", "pipefail", script),
            cwd=self.workspace / self._filled(step.get("working-directory", "."), inputs),
            GITHUB_ACTIONS="true",
            GITHUB_WORKSPACE=str(self.workspace),
            GITHUB_ACTION_PATH=str(ROOT),
            GITHUB_STEP_SUMMARY=str(self.folder / "summary.md"),
            GITHUB_OUTPUT=str(self.folder / "output"),
            RUNNER_TEMP=str(self.folder),
            PATH=os.environ["PATH"],  # not the bulkmsg of the tests
            **{name: self._filled(value, inputs) for name, value in step.get("env", {}).items()},
        )

    @staticmethod
    def _filled(value: str, inputs: dict[str, str]) -> str:
        return re.sub(r"\$\{\{ inputs\.([\w-]+) \}\}", lambda match: inputs[match[1]], value)

    @property
    def summary(self) -> str:
        return (self.folder / "summary.md").read_text()

    @property
    def output(self) -> str:
        return (self.folder / "output").read_text()


INSTALL, VALIDATE = ACTION["runs"]["steps"]


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The runner's folder after the action's first step."""
    folder = tmp_path_factory.mktemp("runner")
    done = Job(folder, folder).step(INSTALL, {"python": sys.executable})
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture
def job(installed: Path, tmp_path: Path) -> Job:
    for name in ("summary.md", "output"):
        (installed / name).unlink(missing_ok=True)
    (tmp_path / "repo" / "batches" / "deep").mkdir(parents=True)
    return Job(installed, tmp_path / "repo")


def test_the_action_annotates_the_lines_and_lists_them_in_the_summary(job: Job) -> None:
    (job.workspace / "batches" / "deep" / "bad.yaml").write_text(HEAD + BAD)
    (job.workspace / "batches" / "good.yaml").write_text(HEAD + GOOD)
    done = job.step(VALIDATE, {"sarif-file": "out.sarif"})
    assert done.returncode == 1, done.stderr
    (seen,) = read_back.github(done.stdout)
    assert (seen.file, seen.line, seen.rule) == ("batches/deep/bad.yaml", 5, "BM301")
    assert "BM301" in job.summary
    assert job.output == "exit-code=1\n"
    assert list(read_back.sarif((job.workspace / "out.sarif").read_text())) == [seen]


def test_the_action_passes_on_what_it_is_given(job: Job) -> None:
    (job.workspace / "batches" / "a b.yaml").write_text(HEAD + GOOD.replace("channel: email", "channel: telegraph"))
    given = {"files": "\na b.yaml\n*.yaml\n", "working-directory": "batches"}
    assert job.step(VALIDATE, given).returncode == 0
    assert job.step(VALIDATE, {**given, "strict": "true"}).returncode == 1
    assert job.step(VALIDATE, {"files": "none.yaml"}).returncode == 3
    assert job.step(VALIDATE, {"max-findings": "x"}).returncode == 2
    assert job.output == "exit-code=0\nexit-code=1\nexit-code=3\nexit-code=2\n"


def test_an_input_of_the_action_is_never_run(job: Job) -> None:
    hostile = '$(touch owned) `touch owned`; touch owned\n--format=text\n"; touch owned; "'
    done = job.step(VALIDATE, {"files": hostile, "strict": "true; touch owned", "sarif-file": "$(touch owned)"})
    assert done.returncode == 3
    assert not any(path.name == "owned" for path in job.workspace.rglob("*"))
    assert "no such option" not in done.stderr.lower()


# -- the hook --------------------------------------------------------------------------------------------------------


def git(folder: Path, *words: str) -> str:
    named = ("-c", "user.name=t", "-c", "user.email=t@example.com", "-c", "commit.gpgsign=false")
    return checked("git", *named, *words, cwd=folder, GIT_CONFIG_GLOBAL=os.devnull, GIT_CONFIG_SYSTEM=os.devnull)


def test_the_hook_file_is_what_pre_commit_asks_for() -> None:
    checked("pre-commit", "validate-manifest", ROOT / ".pre-commit-hooks.yaml")


def test_pre_commit_installs_the_hook_from_a_repository_and_runs_it(tmp_path: Path) -> None:
    """As a user has it: the tool's repository at a commit, a repository with batches, `pre-commit run`."""
    tool, user = tmp_path / "bulkmsg", tmp_path / "user"
    passed_over = shutil.ignore_patterns(".git", ".venv", ".*_cache", ".hypothesis", "__pycache__", "tests")
    shutil.copytree(ROOT, tool, ignore=passed_over)
    for folder in (tool, user):
        folder.mkdir(exist_ok=True)
        git(folder, "init", "--quiet")
    git(tool, "add", "--all")
    git(tool, "commit", "--quiet", "--message", "all")
    (user / "batches" / "deep").mkdir(parents=True)
    bad = user / "batches" / "deep" / "bad.yaml"
    bad.write_text(HEAD + BAD)
    (user / "unrelated.yaml").write_text("no: batch\n")
    (example, *_) = [each for each in EXAMPLES if each.kind == "pre-commit-config"]
    config = example.value
    config["repos"][0].update(repo=str(tool), rev=git(tool, "rev-parse", "HEAD").strip())
    (user / ".pre-commit-config.yaml").write_text(yaml.safe_dump(config))
    git(user, "add", "--all")

    def hook() -> subprocess.CompletedProcess[str]:
        return run("pre-commit", "run", "--color=never", cwd=user, PRE_COMMIT_HOME=str(tmp_path / "home"))

    done = hook()
    assert done.returncode == 1, done.stdout + done.stderr
    assert "batches/deep/bad.yaml:5:5: error: " in done.stdout, done.stdout
    assert "unrelated" not in done.stdout
    bad.write_text(HEAD + GOOD)
    git(user, "add", "--all")
    done = hook()
    assert (done.returncode, "Passed" in done.stdout) == (0, True), done.stdout


def test_the_page_shows_the_hook_that_there_is() -> None:
    (hook,) = yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text())
    used = [each for example in EXAMPLES if example.kind == "pre-commit-config" for each in example.value["repos"]]
    assert {each["id"] for repo in used for each in repo["hooks"]} == {hook["id"]}
    assert textwrap.dedent(hook["args"][0]) in PAGE
