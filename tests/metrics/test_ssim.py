from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from skimage.metrics import structural_similarity
from torch import Tensor

from corenas import DataError
from corenas_metrics.config import SsimConfig
from corenas_metrics.psnr import psnr
from corenas_metrics.ssim import build, ssim
from corenas_sr.data.images import luma, read_image, resize

Photograph = Callable[[str], Tensor]

# SSIM of Y with shave 4: measured by an independent program.
REFERENCE = {
    "astronaut_bic4": 0.8429360564,
    "astronaut_block4": 0.7824578951,
    "astronaut_hash20": 0.7848367210,
    "china_bic4": 0.6371015643,
    "china_block4": 0.6342865577,
    "china_hash20": 0.7962290633,
}

# Bicubic of RGB as uint8 both ways, Y unrounded, shave = scale: dB and SSIM.
SET5_BICUBIC_X4 = {
    "baby": (31.7842, 0.85754),
    "bird": (30.1815, 0.87357),
    "butterfly": (22.0996, 0.73746),
    "head": (31.6133, 0.75461),
    "woman": (26.4665, 0.83250),
}
SET5_BICUBIC_X2 = (33.6734, 0.93029)


def pair(*shape: int) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(7)
    image = torch.randint(0, 256, shape, generator=generator)
    noise = torch.randint(-40, 41, shape, generator=generator)
    return (image + noise).clamp(0, 255).to(torch.uint8), image.to(torch.uint8)


def direct_ssim(x: Tensor, y: Tensor) -> Tensor:
    """SSIM with the two-dimensional window and all five moments, each channel on its own."""
    axis = torch.arange(11, dtype=torch.float64) - 5
    weights = torch.exp(-(axis[:, None] ** 2 + axis**2) / (2 * 1.5**2))
    kernel = (weights / weights.sum())[None, None]

    def mean(values: Tensor) -> Tensor:
        return F.conv2d(values.flatten(0, 1)[:, None], kernel).view(*values.shape[:2], -1)

    c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    mean_x, mean_y = mean(x), mean(y)
    variance_x, variance_y = mean(x * x) - mean_x**2, mean(y * y) - mean_y**2
    covariance = mean(x * y) - mean_x * mean_y
    numerator = (2 * mean_x * mean_y + c1) * (2 * covariance + c2)
    denominator = (mean_x**2 + mean_y**2 + c1) * (variance_x + variance_y + c2)
    return (numerator / denominator).mean((1, 2))


@pytest.mark.parametrize("name", REFERENCE)
def test_ssim_equals_the_reference_values(name: str, photograph: Photograph) -> None:
    image, original = photograph(name), photograph(name.partition("_")[0])
    assert ssim(image, original, shave=4).item() == pytest.approx(REFERENCE[name], abs=1e-9)


@pytest.mark.parametrize("size", [(11, 11), (12, 40), (280, 30), (30, 600)])
def test_ssim_equals_direct_convolution(size: tuple[int, int]) -> None:
    image, reference = pair(2, 3, *size)
    for rounded in (False, True):
        expected = direct_ssim(luma(image, rounded=rounded), luma(reference, rounded=rounded))
        measured = ssim(image, reference, rounded=rounded)
        torch.testing.assert_close(measured, expected, rtol=0, atol=1e-12)
    expected = direct_ssim(image.double(), reference.double())
    measured = ssim(image, reference, luma=False)
    torch.testing.assert_close(measured, expected, rtol=0, atol=1e-12)


def test_ssim_equals_scikit_image_with_the_authors_parameters() -> None:
    image, reference = pair(1, 3, 90, 71)
    expected = structural_similarity(
        *(luma(each)[0, 0].numpy() for each in (image, reference)),
        data_range=255,
        gaussian_weights=True,
        sigma=1.5,
        use_sample_covariance=False,
    )
    assert ssim(image, reference).item() == pytest.approx(expected, abs=1e-10)


def test_equal_images_have_an_ssim_of_one() -> None:
    image, _ = pair(2, 3, 40, 40)
    assert ssim(image, image).tolist() == pytest.approx([1, 1], abs=1e-12)
    flat = torch.full_like(image, 128)
    assert ssim(flat, flat).tolist() == pytest.approx([1, 1], abs=1e-12)


def test_each_image_of_a_batch_has_its_own_ssim() -> None:
    image, reference = pair(3, 3, 40, 40)
    alone = [ssim(image[k : k + 1], reference[k : k + 1]).item() for k in range(3)]
    assert ssim(image, reference).tolist() == alone
    assert len(set(alone)) == 3


def test_an_image_smaller_than_the_window_is_refused_with_its_size() -> None:
    image, reference = pair(1, 3, 30, 18)
    with pytest.raises(DataError, match=r"18x30 pixels is too small.*4 cut off.*11x11"):
        ssim(image, reference, shave=4)
    assert ssim(image, reference, shave=3).isfinite()


def test_nan_is_refused() -> None:
    image, reference = (each.double() for each in pair(1, 3, 20, 20))
    image[0, 1, 3, 3] = float("nan")
    with pytest.raises(ValueError, match="quantise"):
        ssim(image, reference)


def test_the_component_follows_its_protocol() -> None:
    image, reference = pair(1, 3, 50, 50)
    metric = build(SsimConfig(protocol="edsr-div2k"))
    expected = ssim(image, reference, shave=10, luma=False)
    assert metric(image, reference, scale=4).tolist() == expected.tolist()
    assert metric.info.protocol == "RGB, shave = scale + 6"
    default = build(SsimConfig())
    assert default(image, reference, scale=4).tolist() == ssim(image, reference, shave=4).tolist()


def set5(scale: int) -> dict[str, tuple[Tensor, Tensor]]:
    """Return the benchmark's images, the published low resolution enlarged again."""
    folder = os.environ.get("CORENAS_DATA")
    if not folder:
        pytest.skip("CORENAS_DATA, the folder that holds Set5, is not set")
    pairs = {}
    for name in SET5_BICUBIC_X4:
        root = Path(folder) / "Set5"
        low = read_image(root / "LR_bicubic" / f"X{scale}" / f"{name}x{scale}.png")
        enlarged = resize(low[None], scale)
        height, width = enlarged.shape[-2:]
        high = read_image(root / "HR" / f"{name}.png")[None, :, :height, :width]
        pairs[name] = enlarged, high
    return pairs


def test_bicubic_x4_of_set5_has_the_known_psnr_and_ssim() -> None:
    for name, (image, reference) in set5(4).items():
        decibel, similarity = SET5_BICUBIC_X4[name]
        assert psnr(image, reference, shave=4).item() == pytest.approx(decibel, abs=1e-4)
        assert ssim(image, reference, shave=4).item() == pytest.approx(similarity, abs=1e-5)


def test_bicubic_x2_of_set5_has_the_known_means() -> None:
    pairs = set5(2).values()
    decibel = sum(psnr(*pair, shave=2).item() for pair in pairs) / 5
    similarity = sum(ssim(*pair, shave=2).item() for pair in pairs) / 5
    assert (decibel, similarity) == pytest.approx(SET5_BICUBIC_X2, abs=1e-4)
