"""What runs on other machines: every step is there, and is what README and PACKAGING say."""

import re
import shlex

import click
import pytest
import yaml

from app.cli.group import cli
from tests.house.tree import ROOT

FILES = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
FLOWS = {file.name: yaml.safe_load(file.read_text("utf-8")) for file in FILES}
# Each in use by public repositories under this very tag when it was written down.
ACTIONS = {"actions/checkout@v4", "actions/setup-python@v5", "actions/upload-artifact@v4",
           "actions/download-artifact@v4"}  # fmt: skip
RUNNERS = {"ubuntu-latest", "macos-15", "macos-26", "${{ matrix.os }}"}
JOB = {"strategy", "runs-on", "timeout-minutes", "steps", "needs", "if", "env", "permissions"}
WRITES = {("release.yml", "release"): {"contents": "write"}}  # what may write, and what
STEP = {"uses", "with", "run", "if", "name"}


def jobs():
    every = [(f"{file}-{name}", job) for file, flow in FLOWS.items() for name, job in flow["jobs"].items()]
    return [pytest.param(job, id=name) for name, job in every]


def runs():
    """Every command of every step, one at a time."""
    steps = [step for flow in FLOWS.values() for job in flow["jobs"].values() for step in job["steps"]]
    return [part.strip() for step in steps for part in re.split(r"&&|\n", step.get("run", "")) if part.strip()]


@pytest.mark.parametrize("name", FLOWS)
def test_nothing_may_write_but_what_makes_a_release(name):
    assert set(FLOWS[name]) == {"name", True, "permissions", "jobs"}  # YAML reads `on` as True
    assert FLOWS[name]["permissions"] == {"contents": "read"}
    for job, told in FLOWS[name]["jobs"].items():
        assert told.get("permissions") == WRITES.get((name, job))
        assert job == "release" or "contents: write" not in yaml.safe_dump(told)


@pytest.mark.parametrize("job", jobs())
def test_jobs_have_the_form_that_github_reads(job):
    assert set(job) <= JOB
    assert job["runs-on"] in RUNNERS
    assert set(job.get("strategy", {}).get("matrix", {}).get("os", [])) <= RUNNERS
    for step in job["steps"]:
        assert set(step) <= STEP
        assert ("uses" in step) != ("run" in step)
        assert step.get("uses", "actions/checkout@v4") in ACTIONS


def test_the_readme_s_commands_are_the_ones_that_run():
    readme = (ROOT / "README.md").read_text("utf-8")
    install, test = re.findall(r"^    (python3 -m venv .*)$", readme, re.MULTILINE)[:2]
    steps = [step.get("run") for step in FLOWS["tests.yml"]["jobs"]["readme"]["steps"]]
    assert install in steps
    assert test in steps


def test_the_bundle_is_built_as_packaging_says():
    page = (ROOT / "docs" / "PACKAGING.md").read_text("utf-8")
    steps = [step.get("run") or "" for step in FLOWS["tests.yml"]["jobs"]["bundle"]["steps"]]
    for command in re.findall(r"^    (pip install .*)$", page, re.MULTILINE):
        assert command in steps
    assert any("tests.bench.frozen" in step for step in steps)


def test_a_release_is_built_by_the_first_two_commands_for_a_mac_and_by_those_for_debian():
    page = (ROOT / "docs" / "PACKAGING.md").read_text("utf-8")
    release = {name: [step.get("run") for step in job["steps"]] for name, job in FLOWS["release.yml"]["jobs"].items()}
    first, second = re.findall(r"^    (.*\.venv/bin/.*)$", page, re.MULTILINE)[:2]
    assert {first, second} <= set(release["mac"])
    assert {*re.findall(r"^    ((?:pip|python) .*)$", page, re.MULTILINE)} <= set(release["debian"])
    assert any("sha256" in step for step in release["debian"] if step)
    assert FLOWS["release.yml"]["jobs"]["release"]["needs"] == ["mac", "debian"]


def test_what_signs_is_a_secret_of_the_repository_and_nothing_else_is():
    text = (ROOT / ".github" / "workflows" / "release.yml").read_text("utf-8")
    head = set(re.findall(r"MAC_\w+", text.partition("name: release")[0]))
    assert set(re.findall(r"secrets\.(\w+)", text)) == head
    used = (ROOT / ".ci" / "keychain").read_text("utf-8")
    assert head - {"MAC_IDENTITY"} == set(re.findall(r"MAC_\w+", used))
    assert all(
        "secrets." not in (ROOT / ".github" / "workflows" / name).read_text("utf-8")
        for name in FLOWS
        if name != "release.yml"
    )


@pytest.mark.parametrize("command", runs())
def test_everything_that_is_run_is_there(command):
    words = [word for word in shlex.split(command) if "=" not in word.partition("/")[0]]
    for module in re.findall(r"-m ((?:tests|bundle)[\w.]+)", command):
        assert (ROOT / f"{module.replace('.', '/')}.py").is_file()
    for path in [word for word in words if re.match(r"(\.ci|tests|assets)/", word)]:
        assert (ROOT / path).exists()
    for extra in re.findall(r"\.\[([\w,]+)\]", command):
        assert f"{extra.split(',')[-1]} = [" in (ROOT / "pyproject.toml").read_text("utf-8")
    if words[0].endswith("flux-local"):
        check_options(words[1:])


def check_options(words):
    """The subcommand takes these options."""
    command = cli.get_command(click.Context(cli), words[0])
    known = {option for parameter in command.params for option in parameter.opts}
    assert {word for word in words if word.startswith("-")} <= known
