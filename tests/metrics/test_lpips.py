from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import lpips
import pytest
import torch
import torchvision
from attrs import evolve
from torch import Tensor

from corenas import ConfigError, DataError
from corenas_metrics._protocols import LPIPS_NETS
from corenas_metrics.config import LpipsConfig, RandomFeaturesConfig
from corenas_metrics.lpips import build, build_random, network
from corenas_sr.data.images import read_image, resize
from corenas_sr.features.trunks import random_trunk

Photograph = Callable[[str], Tensor]

# LPIPS over VGG16 whose convolutions are filled from a hash: measured by an independent program.
REFERENCE = {
    "astronaut_bic4": 0.009110732,
    "astronaut_block4": 0.011495911,
    "astronaut_hash20": 0.005886533,
    "china_bic4": 0.029842010,
    "china_block4": 0.028479192,
    "china_hash20": 0.005403036,
}
EVERY_PAIR = [
    pytest.param(name, marks=[] if name == "astronaut_block4" else pytest.mark.slow)
    for name in REFERENCE
]

# LPIPS over SqueezeNet of the bicubic enlargement by 4.
SET5_SQUEEZE = {
    "baby": 0.209546,
    "bird": 0.185949,
    "butterfly": 0.375243,
    "head": 0.421266,
    "woman": 0.237308,
}


def hashed(number: int, parameter: Tensor) -> Tensor:
    """Fill a parameter from a hash of its number and its elements' positions."""
    x = (torch.arange(parameter.numel()) + number * 0x9E3779B1) % 2**32
    x = (x ^ x >> 16) * 0x7FEB352D % 2**32
    x = (x ^ x >> 15) * 0x846CA68B % 2**32
    u = (x ^ x >> 16).double() / 2**32 * 2 - 1
    scale = (6 / parameter[0].numel()) ** 0.5 if parameter.ndim > 1 else 0.01
    return (u * scale).float().view_as(parameter)


@pytest.fixture(scope="module")
def hash_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    with torch.device("meta"):
        parameters = torchvision.models.vgg16(weights=None).features.named_parameters()
        state = {name: (p, parameter) for p, (name, parameter) in enumerate(parameters)}
    path = tmp_path_factory.mktemp("weights") / "hash.pth"
    torch.save({name: hashed(p, parameter) for name, (p, parameter) in state.items()}, path)
    return path


def pair(*shape: int) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(3)
    images = torch.randint(0, 256, (2, *shape), generator=generator, dtype=torch.uint8)
    return images[0], images[1]


@pytest.mark.parametrize("name", EVERY_PAIR)
def test_lpips_equals_the_reference_values(
    name: str, photograph: Photograph, hash_file: Path
) -> None:
    metric = build(LpipsConfig(weights=hash_file))
    measured = metric(photograph(name), photograph(name.partition("_")[0]), scale=4)
    assert measured.dtype == torch.float64
    assert measured.item() == pytest.approx(REFERENCE[name], abs=1e-6)
    assert metric.info.protocol == "LPIPS v0.1, net vgg, RGB, shave 0"


def test_lpips_equals_torchmetrics(hash_file: Path) -> None:
    functional = pytest.importorskip("torchmetrics.functional.image.lpips")
    with torch.device("meta"):
        theirs = functional._LPIPS(pretrained=False, net="vgg", pnet_rand=True)
    ours = build(LpipsConfig(weights=hash_file)).network
    # It names trunk and heads as lpips does, but does not save the constants of its input.
    problems = theirs.load_state_dict(ours.state_dict(), assign=True, strict=False)
    assert problems.missing_keys == []
    image, reference = pair(2, 3, 64, 96)
    scaled = (x.float() / 127.5 - 1 for x in (image, reference))
    expected = theirs.eval()(*scaled).flatten().double()
    measured = build(LpipsConfig(weights=hash_file))(image, reference, scale=4)
    torch.testing.assert_close(measured, expected, rtol=0, atol=1e-6)


def test_lpips_squeeze_of_bicubic_set5_has_the_known_values() -> None:
    folder = os.environ.get("CORENAS_DATA")
    if not folder:
        pytest.skip("CORENAS_DATA, the folder that holds Set5 and weights, is not set")
    root = Path(folder)
    weights = root / "weights" / "squeezenet1_1_features.pth"
    metric = build(LpipsConfig(net="squeeze", weights=weights))
    measured = {}
    for name in SET5_SQUEEZE:
        low = read_image(root / "Set5" / "LR_bicubic" / "X4" / f"{name}x4.png")
        image = resize(low[None], 4)
        height, width = image.shape[-2:]
        reference = read_image(root / "Set5" / "HR" / f"{name}.png")[None, :, :height, :width]
        measured[name] = metric(image, reference, scale=4).item()
    assert measured == pytest.approx(SET5_SQUEEZE, abs=1e-5)
    assert sum(measured.values()) / 5 == pytest.approx(0.285862, abs=1e-5)


@pytest.mark.slow
def test_lpips_vgg_of_bicubic_set5_has_the_known_mean() -> None:
    folder = os.environ.get("CORENAS_DATA")
    if not folder:
        pytest.skip("CORENAS_DATA, the folder that holds Set5 and weights, is not set")
    root = Path(folder)
    metric = build(LpipsConfig(weights=root / "weights" / "vgg16_features.pth"))
    measured = []
    for name in SET5_SQUEEZE:
        low = read_image(root / "Set5" / "LR_bicubic" / "X4" / f"{name}x4.png")
        image = resize(low[None], 4)
        height, width = image.shape[-2:]
        reference = read_image(root / "Set5" / "HR" / f"{name}.png")[None, :, :height, :width]
        measured.append(metric(image, reference, scale=4).item())
    assert sum(measured) / 5 == pytest.approx(0.2797, abs=5e-5)


@pytest.mark.filterwarnings("ignore::UserWarning:torchvision")  # of how the package calls it
@pytest.mark.parametrize("net", ["alex", "vgg"])
def test_real_weights_give_what_the_package_gives(net: str) -> None:
    """The package builds torchvision's network by itself; the features are read into that."""
    folder = os.environ.get("CORENAS_DATA")
    if not folder:
        pytest.skip("CORENAS_DATA, the folder that holds Set5 and weights, is not set")
    file = Path(folder) / "weights" / f"{LPIPS_NETS[net].trunk}_features.pth"
    theirs = lpips.LPIPS(net=net, version="0.1", pnet_rand=True, verbose=False)
    whole = torchvision.models.get_model(LPIPS_NETS[net].trunk, weights=None).features
    whole.load_state_dict(torch.load(file, weights_only=True))
    # Its slices hold the layers of torchvision's network under their numbers.
    for each in (getattr(theirs.net, f"slice{n}") for n in range(1, 6)):
        for number, layer in each.named_children():
            layer.load_state_dict(whole[int(number)].state_dict())
    images = Path(folder) / "Set5"
    low = read_image(images / "LR_bicubic" / "X4" / "butterflyx4.png")
    image, reference = resize(low[None], 4), read_image(images / "HR" / "butterfly.png")[None]
    with torch.no_grad():
        expected = theirs(*(x.float() / 127.5 - 1 for x in (image, reference))).item()
    measured = build(LpipsConfig(net=net, weights=file))(image, reference, scale=4).item()
    assert measured == pytest.approx(expected, abs=1e-6)
    assert measured > 0.2


@pytest.mark.parametrize("net", LPIPS_NETS)
def test_every_layer_of_the_trunk_is_used(net: str) -> None:
    """A wrong assignment of layers to slices would show in another distance."""
    trunk = random_trunk(LPIPS_NETS[net].trunk, seed=5)
    model = network(net, trunk)
    x = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(1))
    features, ends = x, []
    for layer in trunk:
        features = layer(features)
        ends.append(features)
    for measured in model.net(x):
        assert any(torch.equal(measured, end) for end in ends)
    assert not any(tensor.is_meta or tensor.requires_grad for tensor in model.parameters())


def test_equal_images_have_no_distance_and_others_have_some() -> None:
    metric = build_random(RandomFeaturesConfig())
    image, reference = pair(2, 3, 40, 40)
    assert metric(image, image, scale=2).tolist() == [0, 0]
    assert (metric(image, reference, scale=2) > 0).all()


def test_a_batch_gives_what_its_images_give_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    metric = build_random(RandomFeaturesConfig())
    image, reference = pair(5, 3, 40, 40)
    alone = [metric(image[k : k + 1], reference[k : k + 1], scale=2).item() for k in range(5)]
    assert metric(image, reference, scale=2).tolist() == pytest.approx(alone, rel=1e-5)
    monkeypatch.setattr("corenas_metrics.lpips._BATCH_PIXELS", 2 * 40 * 40)
    assert metric(image, reference, scale=2).tolist() == pytest.approx(alone, rel=1e-5)


def test_the_same_images_give_the_same_bits() -> None:
    image, reference = pair(1, 3, 40, 40)
    first, second = (build_random(RandomFeaturesConfig()) for _ in range(2))
    assert first(image, reference, scale=2).tolist() == second(image, reference, scale=2).tolist()


def test_building_draws_no_random_numbers_and_warns_of_nothing() -> None:
    torch.manual_seed(11)
    expected = torch.rand(1)
    torch.manual_seed(11)
    build_random(RandomFeaturesConfig(seed=4))
    assert torch.rand(1) == expected


def test_random_features_never_pass_for_lpips() -> None:
    info = build_random(RandomFeaturesConfig()).info
    assert "lpips" not in repr(info).lower()
    assert "random" in info.protocol


def test_the_seed_of_random_features_changes_them() -> None:
    image, reference = pair(1, 3, 40, 40)
    distances = [
        build_random(RandomFeaturesConfig(seed=seed))(image, reference, scale=2).item()
        for seed in (0, 1)
    ]
    assert distances[0] != distances[1]


@pytest.mark.parametrize("net", LPIPS_NETS)
def test_an_image_too_small_for_the_net_is_refused_with_its_size(net: str) -> None:
    chosen = LPIPS_NETS[net]
    metric = network(net, random_trunk(chosen.trunk))
    side = chosen.least
    assert metric(torch.zeros(1, 3, side, side), torch.ones(1, 3, side, side)).isfinite().all()
    with pytest.raises(RuntimeError):
        metric(torch.zeros(1, 3, side, side - 1), torch.zeros(1, 3, side, side - 1))


def test_the_component_names_the_size_it_refuses() -> None:
    metric = build_random(RandomFeaturesConfig())
    image, reference = pair(1, 3, 40, 16)
    with pytest.raises(DataError, match=r"16x40 pixels is too small.*17x17"):
        metric(image, reference, scale=2)


def test_missing_weights_are_an_error_that_helps(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    with pytest.raises(DataError) as caught:
        build(LpipsConfig())
    message = str(caught.value)
    assert "https://download.pytorch.org/models/vgg16-397923af.pth" in message
    assert str(tmp_path / "checkpoints" / "vgg16-397923af.pth") in message
    assert "'weights'" in message
    assert "'download'" in message
    assert "528 MB" in message


def test_an_unknown_net_is_refused_with_the_nearest() -> None:
    with pytest.raises(ConfigError, match="'vgg16'; did you mean 'vgg'"):
        LpipsConfig(net="vgg16")


def test_the_component_needs_a_ground_truth_of_the_same_size() -> None:
    metric = build_random(RandomFeaturesConfig())
    image, _ = pair(1, 3, 40, 40)
    with pytest.raises(ValueError, match="ground truth"):
        metric(image, None, scale=2)
    with pytest.raises(ValueError, match="differ"):
        metric(image, image[..., :-1], scale=2)


def test_the_device_option_is_where_it_computes() -> None:
    metric = evolve(build_random(RandomFeaturesConfig()), device="meta")
    seen = []
    metric.network.register_forward_pre_hook(
        lambda module, inputs: seen.append(inputs[0].device.type)
    )
    with pytest.raises(NotImplementedError, match="meta"):
        metric(*pair(1, 3, 40, 40), scale=2)
    assert seen == ["meta"]


def test_a_device_that_is_not_there_is_refused(hash_file: Path) -> None:
    with pytest.raises(ConfigError, match="device: 'gpu' cannot be used"):
        build(LpipsConfig(weights=hash_file, device="gpu"))
