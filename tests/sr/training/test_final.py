"""The final training: on the data's images or others, validated, and written as a model file."""

import pytest
import torch
from attrs import evolve
from torch import nn

from corenas import choose
from corenas.training.networks import seeded
from corenas_sr.config import DataConfig, PatchTrainingConfig
from corenas_sr.models.files import load_model
from corenas_sr.training.final import FinalTraining

SHORT = PatchTrainingConfig(steps=2, batch=2, patch=8, report_every=1, validate_every=2)


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
