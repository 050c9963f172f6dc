"""ST-LPIPS with its real weights: against the authors' own code, and what it is for."""

import os
from pathlib import Path

import pytest
import torch
from torch.nn import functional as F

from corenas import DataError, choose, structure
from corenas_metrics.config import StLpipsConfig
from corenas_metrics.lpips import build_shift_tolerant
from corenas_sr.data.images import read_image, resize
from corenas_sr.features.config import CUTS, FeaturesConfig
from corenas_sr.features.shift_tolerant import BUILDERS, BlurPool
from corenas_sr.features.trunks import MissingWeights, load_trunk, read_shift_tolerant
from corenas_sr.training.losses import feature_loss

SET5 = {
    "alex": {
        "baby": 0.27967,
        "bird": 0.19530,
        "butterfly": 0.38551,
        "head": 0.37176,
        "woman": 0.39536,
    },
    "vgg": {
        "baby": 0.37078,
        "bird": 0.29714,
        "butterfly": 0.42077,
        "head": 0.43277,
        "woman": 0.36398,
    },
}
"""Of bicubic x4, as the package's own code gave them elsewhere."""

MEANS = {"alex": 0.32552, "vgg": 0.37709}


def metric(**options):
    return build_shift_tolerant(StLpipsConfig(**options))


@pytest.mark.parametrize("net", SET5)
def test_bicubic_set5_has_the_values_of_the_authors_code(net):
    folder = os.environ.get("CORENAS_DATA")
    if not folder:
        pytest.skip("CORENAS_DATA, the folder that holds Set5, is not set")
    images = Path(folder) / "Set5"
    measure = metric(net=net)
    measured = []
    for name, expected in SET5[net].items():
        low = read_image(images / "LR_bicubic" / "X4" / f"{name}x4.png")
        image = resize(low[None], 4)
        height, width = image.shape[-2:]
        truth = read_image(images / "HR" / f"{name}.png")[None, :, :height, :width]
        measured.append(float(measure(image, truth, scale=4)))
        assert measured[-1] == pytest.approx(expected, abs=1e-5)
    assert sum(measured) / len(measured) == pytest.approx(MEANS[net], abs=1e-5)


def test_a_shift_by_a_pixel_changes_less_than_blur_of_the_same_error(photograph):
    """What it was made for (section 1 of its paper), measured on a photograph."""
    truth = photograph("astronaut")[..., 100:260, 160:320]
    shifted = photograph("astronaut")[..., 101:261, 161:321]
    blurred = truth.float()
    filter = torch.ones(3, 1, 3, 3) / 9
    # Blurred until the mean squared error is at least that of the shift.
    error = (shifted.float() - truth.float()).square().mean()
    while (blurred - truth.float()).square().mean() < error:
        blurred = F.conv2d(F.pad(blurred, (1,) * 4, mode="reflect"), filter, groups=3)
    measure = metric()
    moved = float(measure(shifted, truth, scale=4))
    assert 0 < 3 * moved < float(measure(blurred.round().byte(), truth, scale=4))
    assert float(measure(truth, truth, scale=4)) == 0


@pytest.mark.parametrize("name", BUILDERS)
def test_the_blurs_are_those_of_the_file(name):
    state, _ = read_shift_tolerant(name)
    filters = [tensor for key, tensor in state.items() if key.endswith("filt")]
    blurs = [m for m in load_trunk(name) if isinstance(m, BlurPool)]
    assert len(filters) == len(blurs) > 2
    for theirs, ours in zip(filters, blurs, strict=True):
        torch.testing.assert_close(ours.filter, theirs)


@pytest.mark.parametrize("name", BUILDERS)
def test_the_least_side_of_each_slice_is_the_least_that_works(name):
    trunk = BUILDERS[name]()
    for cut in CUTS[name].values():
        with torch.no_grad():
            trunk[: cut.layers](torch.zeros(1, 3, cut.least, cut.least))
            if cut.least > 1:
                with pytest.raises(RuntimeError):
                    trunk[: cut.layers](torch.zeros(1, 3, cut.least - 1, cut.least - 1))


def test_small_images_are_refused():
    image = torch.zeros(1, 3, 20, 40, dtype=torch.uint8)
    with pytest.raises(DataError, match="21"):
        metric()(image, image, scale=4)


@pytest.mark.parametrize("network", BUILDERS)
def test_its_features_make_a_loss(network):
    loss = feature_loss(FeaturesConfig(network, ("slice1", "slice3")))
    image = torch.rand(1, 3, 24, 24, generator=torch.Generator().manual_seed(0)) * 255
    truth = (image * 0.9).detach()
    image.requires_grad_()
    value = loss(image, truth)
    value.backward()
    assert float(value.detach()) > 0
    assert bool(image.grad.isfinite().all())
    assert "ST-LPIPS" in FeaturesConfig(network, ("slice1",)).description


def test_a_file_may_be_named_and_must_fit(tmp_path):
    state, path = read_shift_tolerant("st-alexnet")
    assert metric(weights=path).info.protocol == "ST-LPIPS v0.0, net alex, RGB, shave 0"
    torch.save({"net.slice1.0.weight": torch.zeros(3)}, tmp_path / "other.pth")
    with pytest.raises(DataError, match=r"other\.pth: not the weights of st-alexnet"):
        metric(weights=tmp_path / "other.pth")
    without = {key: tensor for key, tensor in state.items() if not key.startswith("lin")}
    torch.save(without, tmp_path / "half.pth")
    with pytest.raises(DataError, match=r"half\.pth: holds no linear layers"):
        metric(weights=tmp_path / "half.pth")


def test_without_the_package_it_says_what_to_install(monkeypatch):
    monkeypatch.setattr("corenas_sr.features.shift_tolerant.PACKAGE", "no_such_package")
    with pytest.raises(MissingWeights, match="they come with the package stlpips_pytorch"):
        metric()


def test_it_is_found_by_name():
    chosen = choose("metrics", "st-lpips")
    assert chosen.component.metadata.sign == -1
    assert structure(StLpipsConfig, {"net": "vgg"}).net == "vgg"
