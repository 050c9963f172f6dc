"""The recipe ``train``: its random numbers."""

from types import SimpleNamespace

import pytest

from corenas import structure
from corenas.training.networks import seeded
from corenas.values.seeds import derive_seed
from corenas_sr import train_recipe
from corenas_sr.config import TrainConfig
from corenas_sr.training.final import FinalTraining


@pytest.fixture
def run(tmp_path):
    return SimpleNamespace(
        device="cpu",
        models=tmp_path,
        images=tmp_path,
        seed_for=lambda *names: derive_seed(5, *names),
        confirm=lambda name, value: None,
        stage=lambda name, task: SimpleNamespace(files={"model": "x2.safetensors"}),
    )


def test_weights_and_patches_have_seeds_of_their_own(run, monkeypatch):
    seeds = {}

    def record_weights(seed):
        seeds["weights"] = seed
        return seeded(seed)

    def record_patches(self, model, config, *, seed):
        seeds["patches"] = seed

    monkeypatch.setattr(train_recipe, "seeded", record_weights)
    monkeypatch.setattr(FinalTraining, "task", record_patches)
    monkeypatch.setattr(train_recipe, "check_data", lambda data, *, patches: [])
    monkeypatch.setattr(train_recipe, "draw", lambda path, space, architecture: None)
    monkeypatch.setattr(train_recipe, "hand_over", lambda run, files, **options: {})
    train_recipe.train(run, structure(TrainConfig, {}))
    assert seeds == {name: derive_seed(5, "train", name) for name in ("weights", "patches")}
