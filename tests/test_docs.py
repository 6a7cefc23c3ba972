"""The documents say what the code does. An error, setting, option or dependency that they leave out fails here."""

from __future__ import annotations

import ast
import re
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer.main

import anabranch
from anabranch.catalog.changes import TOPICS
from anabranch.cli import cli, failures
from anabranch.media.conformance import RULES
from anabranch.settings import Settings
from anabranch.tasks.kinds import KINDS

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parent.parent
RAISED = {"SourceError", "OptionError", "SetupError", "EncodeError", "ResourceError", "FinalError", "Unusable"}
# What the API answers, beside those.
RAISED |= {"Problem"}


def read(name: str) -> str:
    return (ROOT / name).read_text()


def codes() -> set[str]:
    """The codes of all errors that the source makes."""
    found = set()
    for path in Path(anabranch.__file__).parent.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            named = isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
            if named and (node.func.id in RAISED or node.func.id == "_refuse") and node.args:  # type: ignore[attr-defined]
                first = node.args[0]  # type: ignore[attr-defined]
                if isinstance(first, ast.Constant) and re.fullmatch("[a-z_]+", str(first.value)):
                    found.add(str(first.value))
        found |= set(re.findall(r'"code": "([a-z_]+)"', path.read_text()))
        found |= set(re.findall(r'\b4\d\d: "([a-z_]+)"', path.read_text()))
    return found


def test_every_error_is_explained_and_every_explanation_is_of_an_error() -> None:
    rows = re.findall(r"^\| (`.*?) \|", read("docs/errors.md"), re.MULTILINE)
    explained = {code for row in rows for code in row.split("`")[1::2]}
    made = codes()
    assert len(made) > 30
    assert explained == made


def test_every_setting_is_explained() -> None:
    text = read("docs/configuration.md")
    named = {f"ANABRANCH_{name.upper()}" for name in Settings.model_fields}
    assert named == set(re.findall(r"`(ANABRANCH_\w+)` \|", text))


def test_every_kind_and_option_is_explained() -> None:
    text = read("docs/tasks.md")
    for name, kind in KINDS.items():
        section = text.partition(f"## `{name}`")[2].partition("\n## ")[0]
        assert section, name
        for option in kind.options.model_fields:
            assert f"`{option}`" in section, f"{name}.{option}"


def test_every_topic_of_webhooks_is_explained() -> None:
    text = read("docs/webhooks.md")
    assert [topic for topic in TOPICS if f"`{topic}`" not in text] == []


def test_every_rule_of_conformance_is_explained() -> None:
    section = read("docs/hls.md").partition("## How conformance is checked")[2]
    assert set(re.findall(r"^\| `([a-z-]+)` \|", section, re.MULTILINE)) == set(RULES)


def test_every_command_and_option_is_explained() -> None:
    """In a row of its own; what all commands take is explained once."""
    text = read("docs/cli.md")
    rows = dict(re.findall(r"^\| `anabranch ([a-z -]+?)(?: [A-Z_]+)?` \| (.*) \|$", text, re.MULTILINE))
    commands = dict(_commands(typer.main.get_command(cli), ""))
    assert set(rows) == set(commands)
    for name, command in commands.items():
        for parameter in command.params:
            if parameter.param_type_name == "option":
                for option in set(parameter.opts) - {"--json", "--url", "--key"}:
                    assert f"`{option}`" in rows[name], f"{name} {option}"


def _commands(command: Any, name: str) -> Iterator[tuple[str, Any]]:
    """All commands by what is typed for them."""
    for word, below in getattr(command, "commands", {}).items():
        whole = f"{name} {word}".strip()
        if hasattr(below, "commands"):
            yield from _commands(below, whole)
        else:
            yield whole, below


def test_exit_codes_are_explained_as_they_are() -> None:
    told = re.findall(r"^\| (\d) \|", read("docs/cli.md"), re.MULTILINE)
    assert told == re.findall(r"^    (\d)  ", failures.__doc__ or "", re.MULTILINE)


def test_every_dependency_has_its_reason() -> None:
    project = tomllib.loads(read("pyproject.toml"))
    listed = [*project["project"]["dependencies"], *project["dependency-groups"]["dev"]]
    text = read("docs/dependencies.md")
    for requirement in listed:
        name = re.match(r"[\w-]+", requirement)
        assert name is not None
        assert f"`{name.group()}`" in text, requirement


def test_links_between_documents_lead_somewhere() -> None:
    for document in [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")]:
        for target in re.findall(r"\]\((?!http)([^)#]+)", document.read_text()):
            assert (document.parent / target).exists(), f"{document.name}: {target}"


def test_every_guarantee_names_a_test_that_there_is_and_no_fault_is_left_out() -> None:
    text = read("docs/guarantees.md")
    rows = [row for row in re.findall(r"^\| (?!what happens)(?!-)(.+) \|$", text, re.MULTILINE) if "---" not in row]
    named = [re.findall(r"`(tests/[\w/]+\.py)::(test_\w+)`$", row) for row in rows]
    assert len(rows) > 50
    assert [row for row, tests in zip(rows, named, strict=True) if len(tests) != 1] == []
    assert all(row.count(" | ") == 3 for row in rows)
    shown = {test for tests in named for test in tests}
    assert [test for test in shown if test not in _tests(test[0])] == []
    # And what a fault does is told to those who run it.
    faults = {test for path in ROOT.glob("tests/faults/test_*.py") for test in _tests(str(path.relative_to(ROOT)))}
    assert faults
    assert faults - shown == set()


def test_guarantees_are_found_from_where_one_looks_for_them() -> None:
    for document in ("README.md", "ARCHITECTURE.md"):
        assert "](docs/guarantees.md)" in read(document)


def _tests(path: str) -> set[tuple[str, str]]:
    """The tests of a file, as pytest collects them."""
    if not (ROOT / path).is_file() or not Path(path).name.startswith("test_"):
        return set()
    functions = (ast.FunctionDef, ast.AsyncFunctionDef)
    found = (node.name for node in ast.parse(read(path)).body if isinstance(node, functions))
    return {(path, name) for name in found if name.startswith("test_")}
