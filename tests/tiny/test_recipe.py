"""The recipe ``tiny``: whole runs, resumed runs, time budgets, and what is refused."""

import json
from pathlib import Path

import pytest
import torch
from attrs import evolve

from corenas import ConfigError, structure
from corenas.cost import count
from corenas_sr.models.files import load_model
from corenas_tiny._presets import PRESETS
from corenas_tiny.config import MULT_ADDS_PER_PIXEL, PARAMS_LIMIT, TinyConfig


def summary_of(folder):
    return json.loads((folder / "summary.json").read_text())


def journal_of(folder):
    """Return what a journal says, without what depends on the clock."""
    events = [json.loads(line) for line in (folder / "journal.jsonl").read_text().splitlines()]
    for event in events:
        del event["time"], event["check"]
        event.get("trial", {}).pop("seconds", None)
    return events


@pytest.fixture(scope="module")
def config():
    return structure(TinyConfig)


def test_the_limits_are_those_of_the_published_network(config):
    options = config.limited_search.evaluator.config
    assert (options.params_limit, options.mult_adds_limit) == (61_097, 3_562_905_600)
    space = config.limited_search.space.build()
    assert space.config.scale == 4


@pytest.mark.parametrize("scale", [2, 3])
def test_at_other_scales_a_pixel_of_the_input_may_cost_as_much(scale):
    search = structure(TinyConfig, {"scale": scale}).limited_search
    width, height = 1280 // scale, 720 // scale
    expected = MULT_ADDS_PER_PIXEL * width * height
    assert search.evaluator.option("mult_adds_limit") == expected
    assert search.space.option("scale") == scale


def test_limits_of_the_evaluator_itself_come_first():
    layer = {"search": {"evaluator": {"params_limit": 1000}}, "params_limit": 5}
    assert structure(TinyConfig, layer).limited_search.evaluator.option("params_limit") == 1000


def test_a_limit_on_latency_has_it_measured_and_scored():
    search = structure(TinyConfig, {"latency_limit": 0.05}).limited_search
    assert search.evaluator.option("latency") == (320, 180)
    assert search.objective.name == "constraint"
    assert search.objective.option("limit") == 0.05
    crossed = structure(
        TinyConfig, {"latency_limit": 0.05, "search": {"objective": {"use": "sum"}}}
    )
    with pytest.raises(ConfigError, match=r"latency_limit: takes the place of search\.objective"):
        _ = crossed.limited_search


def test_a_latency_table_rejects_what_is_too_slow_before_it_is_trained():
    search = structure(
        TinyConfig, {"latency_limit": 0.05, "latency_table": "table.json"}
    ).limited_search
    assert search.evaluator.option("latency_table") == Path("table.json").absolute()
    assert search.evaluator.option("latency_limit") == 0.05
    assert search.evaluator.option("latency") is None
    assert search.objective.name == "metric"


@pytest.mark.parametrize("preset", PRESETS)
def test_presets_are_options_of_the_recipe(preset):
    made = structure(TinyConfig, PRESETS[preset])
    assert made.search.evaluator.option("training").ema is not None
    # The longest of all has steps as those of the networks that the literature compares.
    assert (made.training.steps >= 1_000_000) == (preset == "best")


@pytest.mark.parametrize(
    ("layer", "message"),
    [
        ({"search": {"space": "surrogate"}}, "unknown|scale"),
        ({"search": {"space": "tpsr-discriminator"}}, "search.space: 'tpsr-discriminator' has no"),
        ({"baselines": ["tiny/res3-16x11"] * 2}, "baselines: name each once"),
        ({"shares": {"search": 0.9, "finalists": 0.2}}, "leave nothing"),
        ({"training": {"steps": 5}}, "each phase needs one"),
    ],
)
def test_options_that_cannot_work_are_refused(layer, message):
    with pytest.raises(ConfigError, match=message):
        structure(TinyConfig, layer)


@pytest.mark.slow
def test_a_run_hands_over_the_network_found_beside_known_ones(tmp_path, command, tiny):
    done = command(*tiny(tmp_path / "run"))
    assert done.status == 0, done.err
    summary = summary_of(tmp_path / "run")
    names = [entry["name"] for entry in summary["models"]]
    assert names == ["x4", "tiny-ecbsr-32x4", "tpsr-paper"]
    assert summary["search"]["trials"] == 4
    assert len(summary["search"]["longer"]) == 2
    for entry in summary["models"]:
        model = load_model(tmp_path / "run" / entry["file"])
        assert count(model.module, (1, 3, 180, 320)).params == entry["params"] <= PARAMS_LIMIT
        assert model.scale == 4
        # Weights that were averaged and trained: nothing of them is not a number.
        assert all(bool(t.isfinite().all()) for t in model.module.state_dict().values())
        assert entry["name"] in done.out
    assert summary["models"][0]["file"] == "models/tiny-x4.safetensors"
    assert (tmp_path / "run" / "images" / "network.svg").exists()
    assert (tmp_path / "run" / "images" / "comparison-tpsr-paper.png").exists()


@pytest.mark.slow
@pytest.mark.parametrize("scale", [2, 3])
def test_other_scales_run_too(tmp_path, command, tiny, scale):
    done = command(*tiny(tmp_path / "run", scale=scale, baselines="[]"))
    assert done.status == 0, done.err
    (entry,) = summary_of(tmp_path / "run")["models"]
    assert (entry["name"], entry["scale"]) == (f"x{scale}", scale)


INTERRUPTER = """
import os
import signal

from corenas import hookimpl


@hookimpl
def corenas_event(run, event):
    if (event.stage, event.step) == (os.environ.get("INTERRUPT_STAGE"), 2):
        os.kill(os.getpid(), signal.SIGINT)
"""


@pytest.mark.slow
def test_a_stop_hands_over_what_was_trained_and_nothing_else(
    tmp_path, command, tiny, install_plugin
):
    install_plugin("interrupter", INTERRUPTER)
    run = tmp_path / "run"
    done = command(*tiny(run), env={"INTERRUPT_STAGE": "search"})
    assert done.status != 0
    assert "there is no model yet" in done.out
    assert "models" not in summary_of(run)
    assert summary_of(run)["search"]["trials"] == 2
    # A training that was begun is worth handing over; the known networks come after it.
    command("resume", run, env={"INTERRUPT_STAGE": "train"})
    assert [entry["name"] for entry in summary_of(run)["models"]] == ["x4"]
    assert not summary_of(run)["finished"]
    assert command("resume", run).status == 0
    assert len(summary_of(run)["models"]) == 3


KILLER = """
import os
import signal

from corenas import hookimpl


@hookimpl
def corenas_event(run, event):
    lines = (run.folder / "journal.jsonl").read_bytes().count(b"\\n")
    if lines == int(os.environ.get("KILL_AT_LINE", "-1")):
        os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.slow
@pytest.mark.abuse("run killed at seeded moments")
def test_a_killed_run_resumes_to_the_same_models(tmp_path, command, tiny, install_plugin):
    install_plugin("killer", KILLER)
    env = {}

    def run(*arguments):
        return command(*arguments, env=env, save_always=True).status

    options = {"search__evaluator__training__reparameterise": "true",
               "training__reparameterise": "true"}  # fmt: skip
    arguments = [tiny(tmp_path / name, **options) for name in ("whole", "killed")]
    assert run(*arguments[0]) == 0
    events = journal_of(tmp_path / "whole")
    stages = [event["stage"] for event in events]
    # In the search, and in each phase of the final training.
    moments = [stages.index("search") + 6, stages.index("train") + 3, stages.index("train") + 9]
    assert events[moments[1]]["scalars"]["phase"] == 1
    assert events[moments[2]]["scalars"]["phase"] == 2
    env["KILL_AT_LINE"] = str(moments[0] + 1)
    assert run(*arguments[1]) == -9
    for moment in moments[1:]:
        env["KILL_AT_LINE"] = str(moment + 1)
        assert run("resume", tmp_path / "killed") == -9
    env.clear()
    assert run("resume", tmp_path / "killed") == 0
    assert journal_of(tmp_path / "killed") == events
    for file in sorted((tmp_path / "whole" / "models").rglob("*.safetensors")):
        other = tmp_path / "killed" / file.relative_to(tmp_path / "whole")
        ours, theirs = (load_model(path).module.state_dict() for path in (file, other))
        assert all(torch.equal(ours[name], theirs[name]) for name in ours)


@pytest.mark.slow
def test_a_time_budget_is_divided_among_the_stages(tmp_path, command, tiny):
    budget = 20
    changes = {
        "search__steps": 10_000,
        "search__evaluator__training__steps": 40,
        "training__steps": 10_000_000,
        "baselines": '["tiny/res3-16x10"]',
    }
    done = command(*tiny(tmp_path / "run", "--max-time", f"{budget}s", **changes))
    assert done.status == 0, done.err
    summary = summary_of(tmp_path / "run")
    assert f"of {budget} s: 7 s for the search, 3 s for its finalists, 10 s" in done.out
    seconds = summary["seconds"]
    assert list(seconds) == ["search", "finalists", "train", "train-tiny-res3-16x10"]
    # A candidate that is being trained when the share is spent comes to its end.
    assert 0.35 * budget <= seconds["search"] < 0.6 * budget
    assert summary["search"]["trials"] > 2
    trained = [seconds["train"], seconds["train-tiny-res3-16x10"]]
    assert 0.3 * budget < sum(trained) < 0.6 * budget
    assert max(trained) < 1.8 * min(trained)


@pytest.mark.slow
def test_a_dry_run_tells_of_every_stage_and_trains_nothing(tmp_path, command, tiny):
    done = command(*tiny(tmp_path / "run", "--dry-run"))
    assert done.status == 0, done.err
    for stage in ("search", "finalists", "train", "train-tiny-ecbsr-32x4", "train-tpsr-paper"):
        assert stage in done.out
    assert not (tmp_path / "run" / "journal.jsonl").exists()


def one_shot(tiny, folder, *more, **changes):
    """The command line of a run whose search trains a supernet."""
    quick = {
        "search__strategy": "darts",
        "search__strategy__warmup__steps": 1,
        "search__strategy__search__steps": 1,
    }
    arguments = tiny(folder, *more, **{**quick, **changes})
    return [each for each in arguments if "strategy.population" not in each]


def test_a_dry_run_with_a_supernet_has_no_finalists(tmp_path, command, tiny):
    done = command(*one_shot(tiny, tmp_path / "run", "--dry-run"))
    assert done.status == 0, done.err
    assert "train" in done.out
    assert "finalists" not in done.out


@pytest.mark.parametrize(
    ("more", "changes", "message"),
    [
        (["--max-time=1h"], {}, "--max-time: a search that trains a supernet"),
        ([], {"latency_limit": 1.0}, "latency_limit: search.strategy is 'darts', which times no"),
    ],
)
def test_limits_that_a_supernet_knows_nothing_of_are_refused(
    tmp_path, command, tiny, more, changes, message
):
    done = command(*one_shot(tiny, tmp_path / "run", *more, **changes))
    assert done.status == 2
    assert message in done.err
    assert "finalists" not in done.out


def test_a_network_beyond_the_limits_is_not_trained_for_hours(tmp_path, command, tiny):
    done = command(*one_shot(tiny, tmp_path / "run", params_limit=10))
    assert done.status == 1
    assert "search: the network found is refused: " in done.err
    assert "parameters, the limit is 10; " in done.err
    assert "search.strategy.cost" in done.err
    assert {event["stage"] for event in journal_of(tmp_path / "run")} == {"search"}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"baselines": '["tiny/res3-16x12"]'}, "baselines: 'tiny/res3-16x12' is neither"),
        ({"baselines": '["tpsr/paper"]', "scale": 3}, "baselines: scale: must be one of 2, 4"),
        ({"training__phases": '[{share = 0.5, patch = 1000}]'}, "a patch needs 1000"),
        ({"search__strategy": "evolutoin"}, "did you mean 'evolution'"),
    ],
)  # fmt: skip
def test_what_would_fail_after_hours_is_refused_at_once(tmp_path, command, tiny, changes, message):
    options = dict(changes)
    if "search__strategy" in options:
        options["search__strategy__population"] = ""
    arguments = [a for a in tiny(tmp_path / "run", **options) if not a.endswith("population=")]
    done = command(*arguments)
    assert done.status != 0
    assert message in done.err
    assert not (tmp_path / "run" / "journal.jsonl").exists() or not journal_of(tmp_path / "run")


def test_known_networks_come_first_in_an_evolution_that_asks_for_them(config):
    from corenas.search.strategies.config import EvolutionConfig
    from corenas.search.strategies.evolution import Evolution

    space = config.search.space.build()
    evolution = Evolution(EvolutionConfig(population=3, known=True), space, 0)
    first = [evolution.ask() for _ in range(2)]
    again = Evolution(evolve(EvolutionConfig(population=3), known=True), space, 5)
    again.restore(evolution.state())
    rest = [evolution.ask() for _ in range(8)]
    assert [again.ask() for _ in range(8)] == rest
    assert [*first, *rest][: len(space.known)] == list(space.known.values())
    assert rest[-1] not in space.known.values()
