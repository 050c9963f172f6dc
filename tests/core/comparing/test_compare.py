"""``corenas compare`` over real run folders, whose trials are known in advance."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from corenas import cli
from corenas.testing.installed import InstallPlugin

RECIPE = """
from pathlib import Path

from attrs import frozen

from corenas import (
    Architecture, Event, Measurement, NothingYet, Quantity, Recipe, Result, Trial, hookimpl, option
)


@frozen
class Options:
    psnr: tuple[float, ...] = option((30.0, 31.0), "one trial each")
    size: tuple[float, ...] = option((10.0, 20.0), "the cost of each")
    bonus: tuple[float, ...] = option((), "added to the last psnr, by seed")
    nets: tuple[int, ...] = option((), "the architecture of each; by default all differ")
    shares: tuple[float, ...] = option((), "the fidelity of each; by default all are full")
    digest: str = option("", "what the run knows of its data; by default where they lie")
    strategy: str = option("random", "a name")
    protocol: str = option("ten images", "how it is measured")
    stage: str = option("search", "the stage's name")
    also: str = option("", "another stage, which measures a number of its own")
    stop_at: int = option(0, "when to be interrupted")
    data: Path = option(Path("here"), "where data lie", place=True)
    tested: float = option(90.0, "the model's number")
    measured: bool = option(True, "whether there are trials")


class Listed:
    def __init__(self, options, run, quality="psnr"):
        self.options, self.run, self.done, self.quality = options, run, 0, quality

    def events(self):
        options = self.options
        while self.done < len(options.psnr):
            number = self.done
            self.done += 1
            if options.stop_at == self.done:
                self.run.stop.request("interrupted")
            net = options.nets[number] if options.nets else number
            one = Architecture("nets", {"net": str(net)})
            psnr = options.psnr[number]
            if options.bonus and self.done == len(options.psnr):
                psnr += options.bonus[self.run.seed]
            numbers = {self.quality: psnr, "size": options.size[number]}
            share = options.shares[number] if options.shares else 1.0
            trial = Trial(number, one, Measurement(numbers, 1.0), psnr, fidelity=share)
            yield Event("trial", self.done, len(options.psnr), trial=trial)

    def state(self):
        return {"done": self.done}

    def restore(self, state):
        self.done = state["done"]

    def result(self, folder):
        return Result({})


def run(run, options):
    run.confirm("digest", options.digest or str(options.data))
    quantities = [Quantity("psnr", "higher", "dB", options.protocol), Quantity("size", "lower")]
    if options.measured:
        run.stage(options.stage, Listed(options, run), quantities=quantities)
    if options.also:
        quantities[0] = Quantity("lpips", "lower")
        run.stage(options.also, Listed(options, run, "lpips"), quantities=quantities)
    if run.stopping():
        raise NothingYet("nothing yet")
    return {"models": [{"name": "net", "tested": options.tested, "scale": 2, "size": 5}]}


@hookimpl
def corenas_recipes():
    return [Recipe(name, "listed_runs:run", Options) for name in ("listed", "other")]
"""

Make = Callable[..., Path]


@pytest.fixture(autouse=True)
def _recipe(install_plugin: InstallPlugin) -> None:
    install_plugin("listed-runs", RECIPE)


@pytest.fixture
def make(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Make:
    """Make a run's folder."""

    def made(name: str, *, recipe: str = "listed", seed: int = 0, **options: Any) -> Path:
        folder = tmp_path / name
        sets = [w for k, v in options.items() for w in ("--set", f"{k}={json.dumps(v)}")]
        status = cli.main(["run", recipe, "--out", str(folder), "--seed", str(seed), *sets])
        assert status == (130 if "stop_at" in options else 0), capsys.readouterr().err
        capsys.readouterr()
        return folder

    return made


@pytest.fixture
def compare(capsys: pytest.CaptureFixture[str]) -> Callable[..., Any]:
    """Compare folders; return the JSON value."""

    def compared(*words: Path | str) -> Any:
        assert cli.main(["compare", *map(str, words), "--json"]) == 0, capsys.readouterr().err
        return json.loads(capsys.readouterr().out)

    return compared


def part(found: Any, name: str = "search") -> dict[str, Any]:
    (one,) = [each for each in found["parts"] if each["name"] == name]
    return {**one, "numbers": {each["name"]: each for each in one["numbers"]}}


def test_two_strategies_over_three_seeds(make: Make, compare: Callable[..., Any]) -> None:
    bests = {"random": [0.0, 0.5, 1.0], "evolution": [0.25, 0.75, 2.0]}
    folders = [
        make(f"{name}-{seed}", seed=seed, strategy=name, bonus=values)
        for name, values in bests.items()
        for seed in range(3)
    ]
    found = compare(*folders)
    assert found["groups"] == {"A": [1, 2, 3], "B": [4, 5, 6]}
    assert found["differences"]["strategy"] == ["random", "evolution"]
    numbers = part(found)["numbers"]
    assert numbers["psnr"]["groups"]["A"] == {"mean": 31.5, "deviation": 0.5, "count": 3}
    assert numbers["psnr"]["runs"]["6"] == 33.0
    assert numbers["size"]["groups"]["B"]["mean"] == 10.0  # lower is better
    (wins,) = [each for each in part(found)["wins"] if each["number"] == "psnr"]
    assert (wins["wins"], wins["losses"], wins["ties"]) == (0, 3, 0)
    assert wins["p"] == wins["least_p"] == 0.25
    model = part(found, "model net")["numbers"]
    assert model.keys() == {"size"}  # a scale, and what is the same everywhere, tells nothing


def test_hypervolume_is_the_share_of_the_box_to_the_reference(
    make: Make, compare: Callable[..., Any]
) -> None:
    one = make("one", psnr=[30.0, 32.0, 34.0], size=[10.0, 20.0, 40.0])
    two = make("two", psnr=[33.0, 31.0], size=[30.0, 50.0])
    (fronts,) = compare(one, two)["fronts"]
    assert fronts["reference"] == {"psnr": 30.0, "size": 50.0}
    assert fronts["ideal"] == {"psnr": 34.0, "size": 10.0}
    # By hand: (32 - 30) * (50 - 20) + (34 - 32) * (50 - 40), of 4 * 40.
    assert fronts["hypervolume"] == {"1": pytest.approx(80 / 160), "2": pytest.approx(60 / 160)}
    assert [[t["number"] for t in f] for f in fronts["fronts"].values()] == [[2, 1, 0], [0]]
    (stated,) = compare(one, two, "--reference", "psnr=31,size=60")["fronts"]
    # (32 - 31) * (60 - 20) + (34 - 32) * (60 - 40), of 3 * 50.
    assert stated["hypervolume"]["1"] == pytest.approx(80 / 150)


@pytest.mark.parametrize(
    "words", [("--metrics", "psnr,size"), ("--reference", "psnr=30,size=50"), ()]
)
def test_numbers_of_one_stage_are_a_front_there_and_none_elsewhere(
    make: Make, compare: Callable[..., Any], words: tuple[str, ...]
) -> None:
    folders = make("one", also="second"), make("two", also="second", strategy="mine")
    found = compare(*folders, *words)
    shown = [(each["stage"], [*each["reference"]]) for each in found["fronts"]]
    lacking = "second: psnr not measured there: no front"
    assert shown == [("search", ["psnr", "size"])] + (
        [] if words else [("second", ["lpips", "size"])]
    )
    assert (lacking in found["warnings"]) == bool(words)


@pytest.mark.abuse("the page of a comparison cannot be written")
def test_a_page_that_cannot_be_written_is_said(
    make: Make, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folders = str(make("one")), str(make("two", strategy="mine"))
    assert cli.main(["compare", *folders, "--html", "/proc/nowhere/page.html"]) == 1
    assert "/proc/nowhere/page.html: cannot be written" in capsys.readouterr().err
    (tmp_path / "file").touch()
    assert cli.main(["compare", *folders, "--html", str(tmp_path / "file" / "page.html")]) == 2
    assert "cannot be read: Not a directory" in capsys.readouterr().err


def test_taus_are_of_the_architectures_that_both_measured(
    make: Make, compare: Callable[..., Any]
) -> None:
    sizes = [1.0] * 7
    one = make("one", nets=[1, 2, 3, 4, 5, 6, 6], psnr=[1, 2, 3, 4, 5, 0, 9], size=sizes)
    two = make("two", nets=[1, 2, 3, 4, 5, 7, 8], psnr=[1, 2, 3, 5, 4, 9, 8], size=sizes)
    few = make("few", nets=[1, 2, 3, 4], psnr=[1, 2, 3, 4], size=sizes[:4])
    agreements = compare(one, two, few)["agreements"]
    assert [(a["first"], a["second"], a["shared"]) for a in agreements] == [
        (1, 2, 5),
        (1, 3, 4),
        (2, 3, 4),
    ]
    # Of the ten pairs of five, one is discordant.
    assert agreements[0]["tau"] == pytest.approx(0.8)
    assert agreements[1]["tau"] is None


def test_taus_are_of_scores_after_the_most_training(
    make: Make, compare: Callable[..., Any]
) -> None:
    # Each run's first two trials are candidates that went no further; their low scores agree.
    shares = [0.1, 0.1, 1.0, 1.0, 1.0, 1.0, 1.0]
    common: dict[str, Any] = {"nets": [8, 9, 1, 2, 3, 4, 5], "shares": shares, "size": [1.0] * 7}
    one = make("one", psnr=[-9, -8, 1, 2, 3, 4, 5], **common)
    two = make("two", psnr=[-9, -8, 1, 2, 3, 5, 4], **common)
    (found,) = compare(one, two)["agreements"]
    assert found["shared"] == 5
    assert found["tau"] == pytest.approx(0.8)


def test_runs_on_data_elsewhere_are_one_group_only_where_the_data_are_known_to_be_equal(
    make: Make, compare: Callable[..., Any]
) -> None:
    one, other = make("one"), make("other", data="there", seed=1)
    found = compare(one, other)
    assert found["groups"] == {"A": [1], "B": [2]}
    assert found["differences"] == {"data": ["here", "there"]}
    assert not any("computes what" in each for each in found["warnings"])
    known = make("known", digest="abc"), make("moved", digest="abc", data="there", seed=1)
    assert compare(*known)["groups"] == {"A": [1, 2]}
    for folder in known:
        (folder / "checkpoints" / "digest.fact.json").unlink()
    assert compare(*known)["groups"] == {"A": [1], "B": [2]}


def test_runs_on_data_that_changed_in_place_are_not_one_group(
    make: Make, compare: Callable[..., Any]
) -> None:
    folders = make("one"), make("two")
    assert compare(*folders)["groups"] == {"A": [1, 2]}
    # As a run leaves it that has found other images in the same folder.
    fact = folders[1] / "checkpoints" / "digest.fact.json"
    fact.write_text(json.dumps({**json.loads(fact.read_text()), "value": "others"}))
    found = compare(*folders)
    assert found["groups"] == {"A": [1], "B": [2]}
    assert "data are not the same in run 1 and run 2: digest" in found["warnings"]
    assert not any("computes what" in each for each in found["warnings"])


def test_what_runs_measured_of_themselves_is_nothing_of_their_data(
    make: Make, compare: Callable[..., Any]
) -> None:
    folders = make("one", digest="abc"), make("two", digest="abc", data="there", seed=1)
    for number, folder in enumerate(folders):
        fact = folder / "checkpoints" / "step-net.fact.json"
        fact.write_text(json.dumps({"value": 0.1 + number, "digest": ""}))
    assert compare(*folders)["groups"] == {"A": [1, 2]}


@pytest.mark.abuse("a comparison of summaries with numbers that are not finite")
@pytest.mark.parametrize("number", ["NaN", "Infinity", "1e999", "1" + "0" * 400])
def test_numbers_that_are_not_finite_are_not_compared(
    make: Make, compare: Callable[..., Any], number: str
) -> None:
    folders = make("one"), make("two", tested=95.0)
    for folder in folders:
        summary = folder / "summary.json"
        text = summary.read_text(encoding="utf-8")
        assert '"size": 5' in text
        summary.write_text(text.replace('"size": 5', f'"size": {number}'), encoding="utf-8")
    found = part(compare(*folders, "--better", "size:lower"), "model net")
    assert found["numbers"].keys() == {"tested"}
    assert found["wins"] == []


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"protocol": "one image"}, "psnr is not measured alike"),
        ({"psnr": [30.0, 31.0, 31.5], "size": [1.0, 2.0, 3.0]}, "budgets differ in candidates"),
        ({"data": "there"}, "data lie elsewhere in run 1 and run 2 (data); also different: digest"),
        ({"stop_at": 1}, "run 2 is stopped (search at 1 of 2)"),
        ({"stage": "hunt"}, "run 2 alone has the stage hunt"),
        ({"recipe": "other"}, "recipes differ (A listed, B other)"),
        ({"seed": 5, "strategy": "mine"}, "A and B have no seed in common"),
        ({}, "run 2 computes what run 1 does"),
        ({"measured": False}, "run 2 alone"),
    ],
)
def test_what_speaks_against_a_comparison_is_said(
    make: Make, compare: Callable[..., Any], options: dict[str, Any], said: str
) -> None:
    one = make("one")
    found = compare(one, make("two", **options))
    if said == "run 2 alone":  # nothing of its own is there: what is left to compare is the model
        assert [each["name"] for each in found["parts"]] == ["model net"]
        return
    assert any(said in each for each in found["warnings"]), found["warnings"]


def test_numbers_that_are_measured_differently_are_in_no_test(
    make: Make, compare: Callable[..., Any]
) -> None:
    found = compare(make("one"), make("two", protocol="one image"))
    # A score is made of the numbers that are measured: it is not comparable either.
    assert {each["number"] for each in part(found)["wins"]} == {"size"}
    assert "score" not in part(found)["numbers"]
    assert found["fronts"] == []
    assert compare(make("three"), make("four", strategy="mine"))["fronts"] != []


def test_a_number_without_a_direction_gets_one_by_hand(
    make: Make, compare: Callable[..., Any]
) -> None:
    folders = make("one"), make("two", tested=95.0)
    plain = part(compare(*folders), "model net")
    assert plain["numbers"]["tested"]["better"] == "neither"
    assert "tested" not in {each["number"] for each in plain["wins"]}
    found = part(compare(*folders, "--better", "tested:higher"), "model net")
    (wins,) = [each for each in found["wins"] if each["number"] == "tested"]
    assert (wins["first"], wins["wins"], wins["losses"]) == ("A", 0, 1)


def test_bad_input_is_refused(
    make: Make, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    one, two = make("one"), make("two", strategy="mine")
    (tmp_path / "empty").mkdir()
    (tmp_path / "mine.html").write_text("a page of mine")
    cases = {
        (str(one),): "two run folders or more",
        (str(one), str(one / ".." / "one")): "is given twice",
        (str(one), str(tmp_path / "empty")): "not a run folder",
        (str(one), str(tmp_path / "nowhere")): "not a run folder",
        (str(one), str(two), "--metrics", "psnr"): "2 to 4 different numbers",
        (str(one), str(two), "--metrics", "psnr,sise"): "did you mean 'size'?",
        (str(one), str(two), "--better", "psnr"): "NAME:higher",
        (str(one), str(two), "--better", "nothing:higher"): "was not measured",
        (str(one), str(two), "--reference", "psnr=30"): "the front is of psnr, size",
        (str(one), str(two), "--reference", "psnr=nan,size=3"): "expected NAME=NUMBER",
        (str(one), str(two), "--html", str(tmp_path / "mine.html")): "is there already",
        (str(one), str(two), "--html", str(tmp_path)): "is a folder",
    }
    for words, said in cases.items():
        assert cli.main(["compare", *words]) == 2
        shown = capsys.readouterr()
        assert said in shown.err
        assert not shown.out


HOSTILE = "[bold]x[/bold] \x1b[31mred <img src=x onerror=alert(1)> & 'q'"


class Page(HTMLParser):
    """Collects a page's tags, their attributes and its text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.links: list[str] = []
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.links += [value or "" for name, value in attrs if name in ("src", "href")]
        assert not any(name.startswith("on") for name, _ in attrs)

    def handle_data(self, data: str) -> None:
        self.text += data


def test_names_are_text_on_the_terminal_and_on_the_page(
    make: Make, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    one, two = make(HOSTILE), make("two", strategy=HOSTILE.replace("\x1b", ""))
    page = tmp_path / "page.html"
    for _ in range(2):  # its own page is written over
        assert cli.main(["compare", str(one), str(two), "--html", str(page)]) == 0
    shown = capsys.readouterr().out
    assert "\x1b" not in shown
    assert HOSTILE.replace("\x1b", " ") in shown
    assert "strategy" in shown
    read = Page(page.read_text(encoding="utf-8"))
    assert HOSTILE.replace("\x1b", " ") in read.text
    assert "script" not in read.tags
    assert read.links
    assert all(link.startswith("data:image/png;base64,") for link in read.links)
    assert len(page.read_bytes()) < 300_000
    assert not re.search(r"https?://", page.read_text(encoding="utf-8"))


def test_ten_runs_make_one_picture(make: Make, tmp_path: Path) -> None:
    folders = [
        make(f"run-{n}", seed=n % 5, strategy="ab"[n // 5], bonus=[0, 1, 2, 3, 4])
        for n in range(10)
    ]
    page = tmp_path / "page.html"
    assert cli.main(["compare", *map(str, folders), "--html", str(page)]) == 0
    assert Page(page.read_text(encoding="utf-8")).tags.count("img") == 1


@pytest.mark.abuse("a comparison of runs of which one has lost its journal's end")
def test_a_damaged_journal_is_read_as_far_as_it_goes(
    make: Make, compare: Callable[..., Any]
) -> None:
    one, two = make("one"), make("two", strategy="mine")
    journal = two / "journal.jsonl"
    journal.write_bytes(journal.read_bytes()[:-20])
    found = compare(one, two)
    assert any(each.startswith("run 2: its journal is damaged") for each in found["warnings"])
    assert part(found)["numbers"]["psnr"]["runs"] == {"1": 31.0, "2": 31.0}


def test_nothing_measured_is_an_error(make: Make, capsys: pytest.CaptureFixture[str]) -> None:
    folders = [make("one", measured=False), make("two", measured=False, strategy="mine")]
    for folder in folders:
        (folder / "summary.json").unlink()
    assert cli.main(["compare", *map(str, folders)]) == 1
    assert "nothing to compare" in capsys.readouterr().err
