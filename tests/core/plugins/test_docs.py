"""What the documentation shows works: hooks, code, commands and benchmarks."""

from __future__ import annotations

import ast
import inspect
import re
import shlex
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import attrs
import pytest
from typer.main import get_command

from corenas import cli
from corenas.commands.describe import choose_preset, configure
from corenas.options.structuring import choose, components, option, section
from corenas.plugins import hookspecs
from corenas.plugins.hookspecs import Component, Kind, Recipe
from corenas.plugins.registry import default_registry, load_attribute
from corenas.runs.journal import Entry
from corenas.testing import contracts
from corenas.testing.installed import InstallPlugin
from corenas.tracking.choosing import choose_trackers, split_assignments
from corenas.tracking.tracker import Tracked
from corenas.values.architecture import Architecture
from corenas.values.trial import Event, Trial

ROOT = Path(__file__).parents[3]
HOW_TO = sorted((ROOT / "docs" / "how-to").glob("*.md"))
GUIDES = (ROOT / "docs" / "how-to" / "add-an-operation.md", ROOT / "docs" / "plugins.md", *HOW_TO)
PAGE = "\n".join(path.read_text(encoding="utf-8") for path in dict.fromkeys(GUIDES))
"""What plugin authors read: the smallest plugin first, then the reference and all instructions."""

FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
DOCUMENTS = [
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md")),
    *sorted((ROOT / "docs").rglob("*.md")),
]


TUTORIAL = ROOT / "docs" / "tutorial.md"
"""Its commands are those of a package, with which they are tested."""


def blocks(text: str, language: str) -> list[str]:
    return [body for kind, body in FENCE.findall(text) if kind == language]


# Hooks


def hooks_on_the_page() -> dict[str, str]:
    """Return the sections about hooks by their signatures."""
    sections = re.split(r"^##+ ", PAGE, flags=re.MULTILINE)
    found = (re.match(r"`(corenas_\w+\(.*\))`\n(.*)", part, re.DOTALL) for part in sections)
    return {match[1]: match[2] for match in found if match}


def test_every_hook_is_on_the_page_with_its_arguments() -> None:
    specified = {
        f"{name}({', '.join(inspect.signature(hook).parameters)})"
        for name, hook in vars(hookspecs).items()
        if name.startswith("corenas_")
    }
    of_kinds = {f"{kind.hook}()" for kind in default_registry().kinds.values()}
    assert set(hooks_on_the_page()) == specified | of_kinds


def built_with(text: str) -> str:
    match = re.search(r"Built with `?(\(.*?\))", text)
    assert match is not None, text
    return match[1]


@pytest.mark.parametrize("kind", default_registry().kinds)
def test_components_take_the_arguments_that_the_page_says(kind: str) -> None:
    shown = built_with(hooks_on_the_page()[f"corenas_{kind}()"])
    assert shown == default_registry().kinds[kind].built_with
    arguments = ast.parse(f"lambda {shown[1:-1]}: 0", mode="eval").body
    assert isinstance(arguments, ast.Lambda)
    positional = [each.arg for each in arguments.args.args]
    named = [each.arg for each in arguments.args.kwonlyargs]
    for name, found in default_registry().components(kind).items():
        signature = inspect.signature(load_attribute(found.build, name))
        signature.bind(*positional, **dict.fromkeys(named))


@pytest.mark.parametrize("described", [Component, Kind, Recipe])
def test_every_field_of_a_description_is_on_the_page(described: type[Any]) -> None:
    table = PAGE.split(f"| `{described.__name__}` | |\n")[1].split("\n\n")[0]
    shown = re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE)
    assert shown == [each.name for each in attrs.fields(described)]


def test_every_way_to_describe_options_is_on_the_page() -> None:
    text = PAGE.split("\n## Options\n")[1].split("\n## ")[0]
    named = [name for name in inspect.signature(option).parameters if name not in ("default",)]
    assert [name for name in named if f"`{name}`" not in text and name != "help"] == []
    for describe in (option, section, components):
        assert f"`{describe.__name__}(" in text


def test_every_contract_is_on_the_page() -> None:
    assert [name for name in contracts.__all__ if f"`{name}`" not in PAGE] == []


# Code


@pytest.fixture(scope="module")
def files(
    tmp_path_factory: pytest.TempPathFactory, install_project: Callable[[Path], None]
) -> Path:
    """Return a folder with the blocks that begin with a file's name, installed as a project."""
    folder = tmp_path_factory.mktemp("page")
    for kind in ("python", "toml"):
        for body in blocks(PAGE, kind):
            if match := re.match(r"# ([\w.]+)\n", body):
                (folder / match[1]).write_text(body, encoding="utf-8")
    install_project(folder)
    return folder


@pytest.mark.usefixtures("files")
def test_the_smallest_plugin_works_as_the_page_says(capsys: pytest.CaptureFixture[str]) -> None:
    shown = blocks(PAGE, "console")[0].splitlines()
    outputs = []
    for line in shown:
        assert cli.main(shlex.split(line)[1:]) == 0
        outputs.append(capsys.readouterr().out)
    plugins, operations, configuration = outputs
    assert ["swish", "corenas-swish", "1.0", "works"] in map(str.split, plugins.splitlines())
    assert ["swish", "swish", "x", "*", "sigmoid(x)"] in map(str.split, operations.splitlines())
    assert 'operations = ["conv3", "swish"]' in configuration
    module = default_registry().component("operations", "swish")
    torch = pytest.importorskip("torch")
    x = torch.linspace(-3, 3, 7)
    built = load_attribute(module.build, "a test")(None, 16)
    assert torch.allclose(built(x), x * torch.sigmoid(x))


class Passed:
    """A plugin of pytest that counts."""

    def __init__(self) -> None:
        self.count = 0

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self.count += report.when == "call" and report.passed


@pytest.mark.parametrize(("name", "tests"), [("flip", 10), ("bends", 8)])
def test_what_is_shown_keeps_its_contracts(files: Path, name: str, tests: int) -> None:
    passed = Passed()
    arguments = ["-q", "-p", "no:cacheprovider", str(files / f"test_corenas_{name}.py")]
    assert pytest.main(arguments, plugins=[passed]) == 0
    assert passed.count > tests


def test_the_shown_search_is_found(files: Path, install_plugin: InstallPlugin) -> None:
    install_plugin("corenas-flip", (files / "corenas_flip.py").read_text())
    assert default_registry().owner("strategies", "flip") == "corenas-flip"
    assert list(problems(PAGE)) == []


def test_the_shown_kind_is_owned_and_added_to(
    files: Path, install_plugin: InstallPlugin, capsys: pytest.CaptureFixture[str]
) -> None:
    names = ("corenas-tables", "corenas-moons")
    for name in names:
        install_plugin(name, (files / f"{name.replace('-', '_')}.py").read_text())
    assert cli.main(["list", "data-sets"]) == 0
    lines = [line.split()[:2] for line in capsys.readouterr().out.splitlines()[1:]]
    assert lines == [["moons", "corenas-moons"], ["stripes", "corenas-tables"]]
    for name in ("moons", "stripes"):
        points, labels = choose("data_sets", name).build(seed=3)
        assert len(points) == len(labels) > 10
        assert set(labels) == {0, 1}
        assert (points, labels) == choose("data_sets", name).build(seed=3)


def test_the_shown_metric_measures(files: Path, install_plugin: InstallPlugin) -> None:
    torch = pytest.importorskip("torch")
    install_plugin("corenas-contrast", (files / "corenas_contrast.py").read_text())
    metric = choose("metrics", "contrast").build()
    images = torch.randint(0, 256, (2, 3, 8, 9), dtype=torch.uint8)
    expected = images.double().numpy().reshape(2, -1).std(axis=1, ddof=1)
    assert metric(images, None, scale=1).tolist() == pytest.approx(expected.tolist())


def test_the_shown_tracker_tells_every_trial(
    files: Path, install_plugin: InstallPlugin, tmp_path: Path
) -> None:
    install_plugin("corenas-log", (files / "corenas_log.py").read_text())
    made = choose("trackers", "log").build()
    place = tmp_path / "log"
    architecture = Architecture("s", {})
    for mark in (None, 0):  # a flush that was lost: all comes again
        made.begin(Tracked(tmp_path, {}, {}, place, mark, lambda stage: ()))
        for number in range(3):
            event = Event("trial", trial=Trial(number, architecture, score=1.0))
            made.log(Entry(event, number + 1, "2026-01-01T00:00:00", 10, b""))
    assert made.flush() == (place / "trials.txt").stat().st_size
    assert len((place / "trials.txt").read_text().splitlines()) == 3


def test_other_code_on_the_page_runs() -> None:
    others = [body for body in blocks(PAGE, "python") if not re.match(r"# \w+\.py\n", body)]
    assert others
    for body in others:
        exec(compile(body, "docs/plugins.md", "exec", dont_inherit=True), {})


# Commands


def commands_in_blocks(text: str) -> Iterator[str]:
    """Yield the command lines of fenced blocks, continued lines joined, without their prompts."""
    for language, body in FENCE.findall(text):
        if language not in ("python", "toml", "json"):
            for line in body.replace("\\\n", " ").splitlines():
                if match := re.match(r"(?:\$ )?(?:\w+=\S+ )*(corenas .*)", line):
                    yield match[1]


def commands_in_sentences(text: str) -> Iterator[str]:
    """Yield what stands in backquotes and begins with the program's name."""
    for code in re.findall(r"`(corenas [^`]+)`", FENCE.sub("", text)):
        yield " ".join(code.split())


def problems(text: str) -> Iterator[str]:
    """Yield a line for each command that is shown and that the command line would refuse."""
    for line in commands_in_blocks(text):
        yield from refused(line, whole=True)
    for line in commands_in_sentences(text):
        yield from refused(line, whole=False)


def refused(line: str, *, whole: bool) -> Iterator[str]:
    """Yield why the command line refuses a line; part of one has unknown names only."""
    command: Any = get_command(cli.build_app(default_registry()))
    words = [word for word in shlex.split(line, comments=True)[1:] if word != "--traceback"]
    operator = next((i for i, word in enumerate(words) if word in ("|", ">", "&&", ";")), None)
    words = words[:operator]
    while words and hasattr(command, "commands") and not words[0].startswith("-"):
        if words[0] not in command.commands and (default := getattr(command, "default", "")):
            words.insert(0, default)
        name = words.pop(0)
        if name not in command.commands:
            yield f"{line}: unknown command {name!r}"
            return
        command = command.commands[name]
    if whole and not {"--help", "--version"} & set(words):
        yield from refused_values(line, command, words)
    else:
        context = command.context_class(command)
        known = {flag for each in command.get_params(context) for flag in each.opts}
        options = [word.strip("[]").split("=")[0] for word in words]
        yield from (f"{line}: no option {o}" for o in options if o[:1] == "-" and o not in known)


def refused_values(line: str, command: Any, words: list[str]) -> Iterator[str]:
    try:
        given = command.make_context("corenas", list(words)).params
        if {"recipe", "assignments"} <= given.keys():
            recipe = default_registry().recipe(given["recipe"])
            preset = choose_preset(recipe, given["preset"])
            for_trackers, others = split_assignments(given["assignments"] or [])
            choose_trackers(given.get("track") or [], for_trackers)
            configure(recipe, preset=preset, file=None, assignments=others)
    except Exception as error:
        yield f"{line}: {error}"


@pytest.mark.parametrize(
    "document", [d for d in DOCUMENTS if d not in (*GUIDES, TUTORIAL)], ids=str
)
def test_every_command_that_a_document_shows_exists(document: Path) -> None:
    text = document.read_text(encoding="utf-8")
    assert list(problems(text)) == []
    if document.name == "README.md" and text:
        assert any(line.startswith("corenas run ") for line in commands_in_blocks(text))


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("corenas serch tpsr", "unknown command 'serch'"),
        ("corenas run tpsr --step 3", "--step"),
        ("corenas run tpsr --seed many", "many"),
        ("corenas resume", "Missing"),
        ("corenas doctor now", "now"),
        ("$ corenas run tpsr --set search.step=3", "search: unknown key 'step'"),
        ("OMP_NUM_THREADS=1 corenas show tpsr \\\n --preset quickest > my.toml", "quickest"),
        ("corenas run tpsrr  # a comment", "unknown recipe 'tpsrr'"),
    ],
)
def test_a_shown_command_that_does_not_exist_is_found(line: str, reason: str) -> None:
    (found,) = problems(f"Text\n\n```console\n{line}\n```\n")
    assert reason in found


def test_shown_commands_that_exist_are_accepted() -> None:
    right = ["run tpsr --preset quick --out mine", "--version", "plugins --json | head", "--help"]
    lines = "\n".join(f"corenas {line}" for line in right)
    text = f"```\n{lines}\n```\n`corenas run RECIPE [--set KEY=VALUE]…`, `corenas\nresume`"
    assert list(problems(text)) == []
    assert len(list(commands_in_blocks(text))) == len(right)
    (found,) = problems("Use `corenas run --sett a=b`.")
    assert found.endswith("no option --sett")


# Benchmarks


def test_every_benchmark_has_its_line_and_its_command() -> None:
    folder = ROOT / "benchmarks"
    shown = re.findall(r"`python benchmarks/(\w+\.py)[^`]*`", (folder / "README.md").read_text())
    assert sorted(shown) == sorted(p.name for p in folder.glob("*.py") if p.name != "timing.py")
