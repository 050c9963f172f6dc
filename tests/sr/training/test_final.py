"""The final training: on the data's images or others, validated, and written as a model file."""

import pytest
import torch
from attrs import evolve
from torch import nn

from corenas import choose
from corenas.training.networks import seeded
from corenas_sr.config import DataConfig, PixelTrainingConfig
from corenas_sr.models.files import load_model
from corenas_sr.training.final import FinalTraining, plan_training
from corenas_sr.training.pixel import PixelStep

SHORT = PixelTrainingConfig(steps=2, batch=2, patch=8, report_every=1, validate_every=2)


@pytest.fixture
def final():
    space = choose("search_spaces", "tpsr-generator")
    space = evolve(space, config=evolve(space.config, nodes=1, channels=4))
    return FinalTraining(
        "found.safetensors",
        space,
        space.build().parse([["conv3", 0]]),
        2,
        DataConfig(),
        (choose("metrics", "psnr"),),
        "cpu",
        extra={"why": "a test"},
    )


@pytest.fixture
def model(final):
    with seeded(0):
        return final.space.build().build(final.architecture)


def test_the_training_is_validated_and_its_network_written(final, model, tmp_path):
    task = final.task(model, SHORT, seed=1)
    events = list(task.events())
    assert [list(event.scalars) for event in events] == [["loss"], ["loss", "psnr"]]
    assert task.result(tmp_path).files == {"model": "found.safetensors"}
    loaded = load_model(tmp_path / "found.safetensors")
    assert (loaded.scale, loaded.info) == (2, {"why": "a test"})
    assert (loaded.space, loaded.architecture) == (final.space, final.architecture)
    ours, theirs = loaded.module.state_dict(), model.state_dict()
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)


def test_other_images_and_another_loss_take_the_place_of_the_datas(final, model):
    seen = []

    def loss(ours, theirs):
        seen.append(float(theirs.max()))
        return nn.functional.mse_loss(ours, theirs)

    black = [evolve(pair, hr=torch.zeros_like(pair.hr)) for pair in final.pairs()]
    list(final.task(model, SHORT, seed=1, loss=loss, pairs=black).events())
    assert seen == [0, 0]


@pytest.mark.parametrize("every", [0, 2, 3, 7])
def test_an_estimate_counts_the_validations_of_the_training(final, model, monkeypatch, every):
    config = evolve(SHORT, steps=7, validate_every=every)
    events = list(final.task(model, config, seed=1).events())
    validations = sum("psnr" in event.scalars for event in events)
    monkeypatch.setattr("corenas_sr.training.final.seconds_of", lambda validate: 10.0)
    plan = plan_training(
        "train",
        PixelStep(model, learning_rate=1e-4),
        config,
        data=final.data,
        metrics=final.metrics,
        scale=final.scale,
        device="cpu",
        note="a small one",
    )
    assert plan.extra_seconds == 10 * validations
    assert (plan.stage, plan.steps, plan.note) == ("train", 7, "a small one")
    assert plan.seconds_per_step > 0
