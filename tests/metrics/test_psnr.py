from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from skimage.metrics import peak_signal_noise_ratio
from torch import Tensor

from corenas import ConfigError, DataError
from corenas_metrics._protocols import PROTOCOLS
from corenas_metrics.config import PsnrConfig
from corenas_metrics.psnr import build, psnr

Photograph = Callable[[str], Tensor]

# RGB with shave 0, Y with shave 4, rounded Y with shave 4: measured by an independent program.
REFERENCE_DB = {
    "astronaut_bic4": (25.3896240353, 26.8439016935, 26.8406833552),
    "astronaut_block4": (23.3962251632, 24.8656822382, 24.8631944108),
    "astronaut_hash20": (27.1135363705, 31.7684371047, 31.7494120557),
    "china_bic4": (21.0904071003, 22.4249247955, 22.4230999421),
    "china_block4": (20.6869896671, 22.0538491100, 22.0522426714),
    "china_hash20": (27.0389741924, 31.6895386275, 31.6743146429),
}


def pair(*shape: int) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(7)
    images = torch.randint(0, 256, (2, *shape), generator=generator, dtype=torch.uint8)
    return images[0], images[1]


def rounded_luma(image: Tensor) -> Tensor:
    """Y rounded half up in integer arithmetic, where ties are exact."""
    red, green, blue = image.long().unbind(1)
    numerator = 65481 * red + 128553 * green + 24966 * blue
    return 16 + (2 * numerator + 255000).div(510000, rounding_mode="floor")


@pytest.mark.parametrize("name", REFERENCE_DB)
def test_psnr_equals_the_reference_values(name: str, photograph: Photograph) -> None:
    image, original = photograph(name), photograph(name.partition("_")[0])
    rgb, y, rounded = REFERENCE_DB[name]
    assert psnr(image, original, luma=False).item() == pytest.approx(rgb, abs=1e-9)
    assert psnr(image, original, shave=4).item() == pytest.approx(y, abs=1e-9)
    # A few pixels lie exactly half-way between two integers, where the last bit decides.
    measured = psnr(image, original, shave=4, rounded=True).item()
    assert measured == pytest.approx(rounded, abs=1e-5)


def test_rounded_psnr_equals_integer_arithmetic(photograph: Photograph) -> None:
    image, original = photograph("astronaut_bic4"), photograph("astronaut")
    difference = rounded_luma(image) - rounded_luma(original)
    mean = difference[..., 4:-4, 4:-4].double().square().mean()
    expected = 10 * torch.log10(255**2 / mean)
    measured = psnr(image, original, shave=4, rounded=True)
    torch.testing.assert_close(measured, expected[None], rtol=0, atol=1e-10)


@pytest.mark.parametrize("size", [(1, 1), (37, 53), (9, 70_000), (300, 300)])
def test_rgb_psnr_equals_scikit_image(size: tuple[int, int]) -> None:
    image, reference = pair(1, 3, *size)
    expected = peak_signal_noise_ratio(reference.numpy(), image.numpy(), data_range=255)
    assert psnr(image, reference, luma=False).item() == pytest.approx(expected, abs=1e-10)


@pytest.mark.parametrize("size", [(20, 30), (150, 200), (260, 270)])
def test_each_image_of_a_batch_has_its_own_psnr(size: tuple[int, int]) -> None:
    image, reference = pair(3, 3, *size)
    alone = [psnr(image[k : k + 1], reference[k : k + 1], shave=2) for k in range(3)]
    together = psnr(image, reference, shave=2)
    assert together.shape == (3,)
    assert together.dtype == torch.float64
    assert together.tolist() == torch.cat(alone).tolist()
    assert len(set(together.tolist())) == 3


def test_equal_images_are_infinitely_good() -> None:
    image, _ = pair(1, 3, 8, 8)
    for luma in (True, False):
        assert psnr(image, image, luma=luma).item() == np.inf


def test_whole_numbers_in_floating_point_count_as_quantised() -> None:
    image, reference = pair(1, 3, 20, 20)
    expected = psnr(image, reference)
    assert psnr(image.float(), reference.float()).item() == expected.item()
    assert psnr(image.double(), reference.double()).item() == expected.item()


@pytest.mark.parametrize("bad", [float("nan"), 0.5, -1.0, 256.0, float("inf")])
@pytest.mark.parametrize("which", [0, 1])
def test_what_was_not_quantised_is_refused(bad: float, which: int) -> None:
    images = [each.float() for each in pair(1, 3, 8, 8)]
    images[which][0, 0, 0, 0] = bad
    with pytest.raises(ValueError, match="quantise"):
        psnr(images[0], images[1])


@pytest.mark.parametrize(
    ("image", "reference", "message"),
    [
        (torch.zeros(1, 3, 8, 8), torch.zeros(1, 3, 8, 9), r"\(1, 3, 8, 8\).*\(1, 3, 8, 9\)"),
        (torch.zeros(2, 3, 8, 8), torch.zeros(1, 3, 8, 8), "differ"),
        (torch.zeros(1, 3, 8, 8).byte(), torch.zeros(1, 3, 8, 8), "torch.uint8.*torch.float32"),
        (torch.zeros(1, 1, 8, 8).byte(), torch.zeros(1, 1, 8, 8).byte(), r"\(N, 3, H, W\)"),
        (torch.zeros(0, 3, 8, 8).byte(), torch.zeros(0, 3, 8, 8).byte(), r"\(0, 3, 8, 8\)"),
        (torch.zeros(3, 8, 8).byte(), torch.zeros(3, 8, 8).byte(), r"\(N, 3, H, W\)"),
        (torch.zeros(1, 3, 8, 8).long(), torch.zeros(1, 3, 8, 8).long(), "torch.int64"),
    ],
)
def test_pairs_that_cannot_be_compared_are_refused(
    image: Tensor, reference: Tensor, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        psnr(image, reference)


def test_an_image_that_shaving_uses_up_is_refused_with_its_size() -> None:
    image, reference = pair(1, 3, 20, 8)
    with pytest.raises(DataError, match="8x20 pixels is too small: with 4 cut off"):
        psnr(image, reference, shave=4)
    assert psnr(image, reference, shave=3).isfinite()


def test_a_negative_shave_is_refused() -> None:
    with pytest.raises(ValueError, match="shave must be at least 0, got -1"):
        psnr(*pair(1, 3, 8, 8), shave=-1)


@pytest.mark.parametrize(
    ("protocol", "shave", "luma", "rounded"),
    [
        ("y", 3, True, False),
        ("y-rounded", 3, True, True),
        ("rgb", 0, False, False),
        ("edsr-div2k", 9, False, False),
        ("ntire", 3, False, False),
    ],
)
def test_a_protocol_chooses_shave_and_channels(
    protocol: str, shave: int, luma: bool, rounded: bool
) -> None:
    image, reference = pair(2, 3, 30, 40)
    metric = build(PsnrConfig(protocol=protocol))
    expected = psnr(image, reference, shave=shave, luma=luma, rounded=rounded)
    assert metric(image, reference, scale=3).tolist() == expected.tolist()
    assert metric.info.protocol == PROTOCOLS[protocol].text
    assert (metric.info.better, metric.info.unit) == ("higher", "dB")


def test_protocols_have_different_texts() -> None:
    assert len({protocol.text for protocol in PROTOCOLS.values()}) == len(PROTOCOLS)


def test_an_unknown_protocol_is_refused_with_the_nearest() -> None:
    with pytest.raises(ConfigError, match="'rbg'; did you mean 'rgb'"):
        PsnrConfig(protocol="rbg")


def test_the_component_needs_a_ground_truth() -> None:
    with pytest.raises(ValueError, match="ground truth"):
        build(PsnrConfig())(torch.zeros(1, 3, 8, 8).byte(), None, scale=2)
