"""What a report says of runs, real and invented, and what it never does."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest
from attrs import evolve

from corenas.report._files import MOST_DIAGRAMS
from corenas.search.pareto import front
from corenas.show.progress import format_number
from corenas.values.architecture import Architecture
from corenas.values.quantity import Quantity
from corenas.values.trial import Event
from corenas_sr.results.comparing import MOST_BYTES

from .inventing import HOSTILE, WriteRun, begun, measured, refused
from .parsing import check_harmless, make, read


def events_of(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "journal.jsonl").read_text().splitlines()]


def trials_of(folder: Path, stage: str = "search") -> list[dict[str, Any]]:
    found = [e["trial"] for e in events_of(folder) if e["stage"] == stage and "trial" in e]
    return [trial for trial in found if trial["status"] == "finished"]


def test_the_answer_comes_first_with_its_numbers_and_limits(digits_run: Path) -> None:
    page = read(digits_run / "report.html")
    summary = json.loads((digits_run / "summary.json").read_text())
    (model,) = summary["models"]
    answer = page.text[: page.text.index("The network drawn")]
    assert f"The network found {summary['architecture']['id']}" in answer
    assert f"test accuracy {format_number(model['test_accuracy'])}" in answer
    assert f"params {model['params']} {model['params'] / 60:.1f} % of the limit, 6000" in answer
    row = page.table("The model and its numbers")[1]
    assert row[0].startswith("digits ")
    assert row[2] == str(model["params"])


def test_the_search_is_told_as_the_journal_has_it(digits_run: Path) -> None:
    page, trials = read(digits_run / "report.html"), trials_of(digits_run)
    best = max(trials, key=lambda trial: (trial["score"], -trial["number"]))
    rows = page.table("The best")[1:]
    assert rows[0][0] == str(best["number"])
    assert len(rows) == len({json.dumps(trial["architecture"]) for trial in trials})
    refusals = [e["trial"] for e in events_of(digits_run) if e["kind"] == "rejected"]
    if refusals:
        assert page.table("Candidates without")[1][0] == str(len(refusals))
    # A second algorithm for the mean scores: straight from the lines of the journal.
    for decision in trials[0]["architecture"]["choices"]:
        scores: dict[str, list[float]] = {}
        for trial in trials:
            option = trial["architecture"]["choices"][decision]
            scores.setdefault(option, []).append(trial["score"])
        for row in page.table(f"{decision} differs")[1:]:
            option = row[0].removesuffix(", chosen")
            if option in scores:
                mean = sum(scores[option]) / len(scores[option])
                assert float(row[1]) == pytest.approx(mean, rel=1e-3)
                assert row[3] == str(len(scores[option]))


def test_what_was_asked_is_enough_to_repeat_it(digits_run: Path) -> None:
    page = read(digits_run / "report.html")
    asked = page.text[page.text.index("What was asked", 200) :]
    for text in ("recipe digits", "preset quick", "seed 0", "torch 2.", "data: split_seed 0"):
        assert text in asked, text
    assert "search.steps: 40 -> 6" in asked
    config = digits_run / "config.toml"
    assert f"corenas run digits --config {config} --preset quick --seed 0" in asked
    assert "[search.evaluator.training]" in asked
    assert "finished" in page.tables[""][-1][-1]  # the last line of the journal
    links = [unquote(each["href"]) for each in page.all("a") if each["href"].startswith("./")]
    assert "./models/digits.safetensors" in links
    assert all((digits_run / link).is_file() for link in links)


def test_second_look_and_baselines_of_super_resolution(tiny_run: Path) -> None:
    page = read(tiny_run / "report.html")
    summary = json.loads((tiny_run / "summary.json").read_text())
    (model,) = summary["models"]
    gain = model["metrics"]["psnr"] - model["bicubic"]["psnr"]
    assert f"{gain:+.3g} against bicubic".replace("-", "\u2212") in page.text
    assert "Y of BT.601 studio range, shave = 4" in page.text
    scored = summary["search"]
    for network, first, _, then, later in page.table("Scores and ranks in both")[1:]:
        key = network.split()[0]
        assert float(first) == pytest.approx(scored["short"][key], rel=1e-3)
        assert float(then) == pytest.approx(scored["longer"][key], rel=1e-3)
        assert (network.endswith("chosen"), key) == (
            key == summary["architecture"]["id"],
            key,
        )
        others = [score for score in scored["longer"].values() if score > scored["longer"][key]]
        assert later == str(1 + len(others))


def test_pictures_are_the_ones_of_the_run_pixel_by_pixel(tiny_run: Path) -> None:
    page = read(tiny_run / "report.html")
    shots = [e for e in page.all("img") if e["src"].startswith("data:image/png")]
    labels = [each["alt"].split(",")[0] for each in shots]
    assert labels == ["low resolution", "bicubic", "ours", "ground truth"]
    for number, shot in enumerate(shots):
        file = tiny_run / "crops" / "x4" / f"{number}.png"
        assert base64.b64decode(shot["src"].partition(",")[2]) == file.read_bytes()


@pytest.mark.abuse("a report of names that would act")
def test_names_from_outside_stand_on_the_page_as_text(tiny_run: Path, write_run: WriteRun) -> None:
    page = read(tiny_run / "report.html")
    check_harmless(page)
    assert f"{HOSTILE}" in page.text
    assert "<b>run</b>" in page.text
    red = "\x1b[31m[red]"
    folder = write_run(
        [
            begun(),
            measured(0, {HOSTILE: red}, score=1.0),
            refused(1, f"{HOSTILE} {red}"),
            Event("epoch", 1, scalars={HOSTILE: 1.0}, stage=HOSTILE, message=red),
            Event("epoch", 2, scalars={HOSTILE: 2.0}, stage=HOSTILE),
        ],
        summary={
            "models": [
                {
                    "name": HOSTILE,
                    "file": f"models/{HOSTILE}",
                    HOSTILE: 3,
                    "metrics": {HOSTILE: 1.0},
                    '"><script>': {HOSTILE: 2.0},
                },
                {"name": "away", "file": "../../etc/passwd"},
                {"name": "script", "file": "javascript:alert(1)"},
            ]
        },
        config={"data": {HOSTILE: "<script>alert(1)</script>"}},
    )
    (folder / "models").mkdir()
    for name in (HOSTILE, "javascript:alert(1)"):
        (folder / "models" / name.replace("/", "")).write_bytes(b"")
    invented = make(folder)
    check_harmless(invented)
    assert invented.text.count(HOSTILE) >= 8
    assert "passwd" not in invented.source


@pytest.mark.parametrize("run", ["digits_run", "tiny_run"])
def test_a_screen_reader_finds_its_way(run: str, request: pytest.FixtureRequest) -> None:
    page = read(request.getfixturevalue(run) / "report.html")
    assert [e.get("lang") for e in page.all("html")] == ["en"]
    ids = [attributes["id"] for _, attributes in page.elements if "id" in attributes]
    assert len(ids) == len(set(ids))
    for chart in [e for e in page.all("svg") if e.get("class") == "chart"]:
        assert chart["role"] == "img"
        assert chart["aria-labelledby"] in ids
    assert all(image["alt"] for image in page.all("img"))
    levels = [int(tag[1]) for tag, _ in page.elements if tag in ("h1", "h2", "h3", "h4")]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(b <= a + 2 for a, b in pairwise(levels))
    for link in [e["href"] for e in page.all("a") if e["href"].startswith("#")]:
        assert link[1:] in ids


def spread(count: int) -> Iterator[Event]:
    """Yield a search of many trials, whose scores any program can make again."""
    yield begun()
    for number in range(count):
        score = 30 + number * 7919 % 10_007 / 10_007
        choices = {f"d{place}": f"o{number // 7**place % 7}" for place in range(8)}
        if number % 5 == 4:
            yield refused(number, f"{number} parameters, the limit is 3")
            continue
        scalars = {"entropy": 1 / (1 + number)}
        yield measured(number, choices, score=score, cost=1e6 + number * 31 % 997, scalars=scalars)


@pytest.mark.slow
def test_fifty_thousand_trials_make_a_page_of_seconds_and_say_what_they_left_out(
    write_run: WriteRun,
) -> None:
    folder = write_run(spread(50_000))
    started = time.process_time()
    page = make(folder)
    assert time.process_time() - started < 10
    # With as many bytes of pictures and diagrams as a page takes at most.
    assert len(page.source.encode()) + 4 / 3 * (MOST_BYTES + MOST_DIAGRAMS) < 3_000_000
    assert "Of 10,000 candidates without a score, 1,200 are drawn" in page.text
    assert "Charts draw 1,200 of 40,000 trials, chosen at random" in page.text
    assert "Of each stretch the least and the greatest value are drawn" in page.text
    assert page.table("Candidates without")[1] == [
        "10000",
        "rejected",
        "49999 parameters, the limit is 3",
    ]
    best = max(
        (e.trial for e in spread(50_000) if e.trial and e.trial.score),
        key=lambda trial: (trial.score, -trial.number),
    )
    assert page.table("The best 10")[1][0] == str(best.number)
    dots = [e for e in page.all("circle") if "data-t" in e]
    assert len(dots) < 6000
    assert any(f"trial {best.number}," in dot["data-t"] for dot in dots)


def test_what_has_no_room_is_named(write_run: WriteRun) -> None:
    choices = [
        {f"d{place}": f"{number >> place % 4 & 1}" for place in range(70)} for number in range(16)
    ]
    events = [begun()]
    for number, each in enumerate(choices):
        scalars = {f"scalar{n}": float(number) for n in range(18)}
        events.append(measured(number, each, score=float(number), scalars=scalars))
        events.append(refused(100 + number, f"reason {'x' * number}"))
    folder = write_run(events)
    images = folder / "images"
    images.mkdir()
    for name, size in (("large", MOST_DIAGRAMS + 1), ("small", 100)):
        (images / f"{name}.dot").write_text("")
        (images / f"{name}.svg").write_bytes(b" " * size)
    page = make(folder)
    assert "48 more decisions" in page.text
    assert "10 decisions on which scores differ less are left out" in page.text
    assert "the 8 most frequent reasons; 8 more" in " ".join(page.tables)
    assert "Not drawn, and in the journal: scalar15, scalar16, scalar17." in page.text
    assert "Too large for this page, and among the run's files: large.svg." in page.text
    assert [image["alt"].split(";")[0] for image in page.all("img")] == ["Diagram of the small"]


def test_numbers_are_described_by_the_stage_that_measured_the_network(write_run: WriteRun) -> None:
    again = (Quantity("cost", "lower", protocol="of something else"),)
    events = [begun(), measured(0, {"op": "a"}, score=1.0)]
    events.append(Event("stage", message="started", stage="second", quantities=again))
    models = [{"name": "net", "cost": 3.0, "metrics": {"quality": 2.0}}]
    page = make(write_run(events, summary={"models": models}))
    assert "quality ten images" in page.text
    assert "of something else" not in page.text


def test_a_front_of_thousands_is_thinned_and_that_is_said(write_run: WriteRun) -> None:
    events = [measured(n, {"op": str(n)}, score=float(n), cost=float(n)) for n in range(4000)]
    page = make(write_run([begun(), *events]))
    dots = [dot for dot in page.all("circle") if dot.get("class") == "front" and "data-t" in dot]
    assert 1200 <= len(dots) <= 2400
    assert "at most 1,200 more" in page.text


def test_each_protocol_is_told_with_the_models_that_it_is_of(write_run: WriteRun) -> None:
    models = [
        {"name": f"x{scale}", "metrics": {"psnr": 30.0}, "protocol": {"psnr": f"shave {scale}"}}
        for scale in (2, 4)
    ]
    models.append({**models[1], "name": "x4-perceptual"})
    summary = {"models": models, "protocol": {"size": "a count"}}
    for model in models:
        model["size"] = 3
    page = make(write_run([begun()], summary=summary))
    told = page.text[page.text.index("size a count") - 200 :]
    assert "psnr shave 2 (x2) shave 4 (x4, x4-perceptual)" in told


def test_all_of_the_front_is_drawn_and_told(write_run: WriteRun) -> None:
    folder = write_run(spread(4000))
    page = make(folder)
    trials = [e.trial for e in spread(4000) if e.trial and e.trial.measurement]
    best = front(trials, {"quality": 1, "cost": -1})
    drawn = [
        e["data-t"]
        for e in page.all("circle")
        if e.get("class") in ("front", "chosen") and "data-t" in e
    ]
    for trial in best:
        assert any(text.startswith(f"trial {trial.number},") for text in drawn)
    assert f"{len(best)} of {len(trials):,} trials are on the front" in page.text


def test_rank_correlation_of_a_second_look_is_that_of_scipy(write_run: WriteRun) -> None:
    scipy = pytest.importorskip("scipy.stats")
    first = [3.0, 1.0, 4.0, 1.5, 5.0, 9.0, 2.0]
    again = [2.0, 7.0, 1.0, 8.0, 2.5, 8.5, 1.9]
    events = [begun(), *(measured(n, {"op": str(n)}, score=s) for n, s in enumerate(first))]
    events += [measured(n, {"op": str(n)}, score=s, stage="fresh") for n, s in enumerate(again)]
    tau = float(scipy.kendalltau(first, again).statistic)
    page = make(write_run(events))
    assert f"rank correlation (Kendall's tau) {tau:+.2f}" in " ".join(page.tables)


def test_options_of_a_search_in_shares_are_compared_where_most_trials_are(
    write_run: WriteRun,
) -> None:
    scores = {"a": [1.0, 2.0], "b": [4.0, 6.0, 8.0]}
    small = [(op, score) for op, found in scores.items() for score in found]
    events = [begun()]
    for number, (op, score) in enumerate(small):
        event = measured(number, {"op": op, "place": str(number)}, score=score)
        assert event.trial is not None
        events.append(evolve(event, trial=evolve(event.trial, fidelity=1 / 3)))
    full = measured(5, {"op": "b", "place": "4"}, score=7.0)
    assert full.trial is not None
    events.append(evolve(full, trial=evolve(full.trial, rung=1, continues=4)))
    page = make(write_run(events))
    assert "5 candidates were measured in search, in 6 trainings." in page.text
    assert "all 5 trials at 1/3 of the training" in page.text
    rows = page.table("op differs by 4.5")[1:]
    assert [(row[0], row[1], row[3]) for row in rows] == [
        ("b, chosen", "6", "3"),
        ("a", "1.500", "2"),
    ]
    assert page.table("Candidates by their share")[1:] == [["1/3", "5", "8"], ["all", "1", "7"]]


def test_a_one_shot_search_without_trials_has_its_curves(write_run: WriteRun) -> None:
    scalars = [{"loss": 1 / n, "path/a": 0.5 - n / 100, "path/b": 0.5 + n / 100} for n in (1, 2, 3)]
    network = Architecture("space", {"op": "a"})
    events = [
        Event("epoch", n, 3, values, architecture=network, stage="search")
        for n, values in enumerate(scalars, start=1)
    ]
    page = make(write_run(events), state="running")
    assert f"The best network so far {network.id}" in page.text
    assert "The run goes on" in page.text
    assert "neither an architecture" not in page.text
    assert "path over steps: the 2 that end highest, of 2" in page.text
    assert "loss over 3 steps" in page.text
