"""A trilevel network goes the way of every super-resolution network: training, file, upscaling."""

from attrs import evolve

from corenas import Architecture, choose
from corenas.training.networks import seeded
from corenas_sr.config import PixelTrainingConfig
from corenas_sr.data.datasets import load_pairs
from corenas_sr.models.files import load_model, save_model
from corenas_sr.models.inference import upscale
from corenas_sr.training.pixel import pixel_training
from corenas_trilevel.space.config import TrilevelBConfig

TINY = TrilevelBConfig(cells=2, searched_cells=1, ups=1, widths=(2, 4), features=4, scale=2)


def test_network_is_trained_saved_loaded_and_enlarges_images(photographs, tmp_path):
    space = evolve(choose("search_spaces", "trilevel-b"), config=TINY)
    built = space.build()
    choices = {d.name: d.options[1] for d in built.decisions} | {"path": "0"}
    architecture = Architecture(built.name, choices)
    with seeded(0):
        network = built.build(architecture)
    pairs = load_pairs(str(photographs / "train"), scale=2, split="train")
    config = PixelTrainingConfig(steps=40, batch=4, patch=8, learning_rate=2e-2, report_every=10)
    losses = [
        event.scalars["loss"]
        for event in pixel_training(network, pairs, config, scale=2, seed=0).events()
    ]
    assert losses[0] > 20  # of 255: where it begins, all is grey
    assert losses[-1] < 0.7 * losses[0]
    file = tmp_path / "model.safetensors"
    save_model(file, network, space=space, architecture=architecture, scale=2)
    low, high = pairs[0].lr, pairs[0].hr
    image = upscale(load_model(file).module, low, scale=2).float()
    expected = upscale(network.eval(), low, scale=2).float()
    assert (image - expected).abs().max() <= 1  # of one memory layout and of another
    assert (image - high).abs().mean() < 0.5 * (127.5 - high.float()).abs().mean()
