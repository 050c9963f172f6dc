"""``corenas compare`` over real run folders, whose trials are known in advance."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from corenas import cli

Make = Callable[..., Path]


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
