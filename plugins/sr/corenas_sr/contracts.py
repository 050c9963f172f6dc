"""What every image metric promises, as a pytest class to subclass."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from corenas_sr.metric import ImageMetric


class ImageMetricContract:
    """What every `corenas_sr.metric.ImageMetric` promises.

    ``side`` is that of the images that it is tested with.
    """

    side = 64

    def make(self) -> ImageMetric:
        """Return the metric."""
        raise NotImplementedError

    def images(self, count: int, *, seed: int = 0) -> Tensor:
        """Return smooth random images of shape (count, 3, side, side)."""
        generator = torch.Generator().manual_seed(seed)
        coarse = 255 * torch.rand(count, 3, 8, 8, generator=generator)
        size = (self.side, self.side)
        image = torch.nn.functional.interpolate(coarse, size=size, mode="bicubic")
        return image.clamp(0, 255).to(torch.uint8)

    def noisy(self, image: Tensor, deviation: float) -> Tensor:
        """Return the image with noise of a standard deviation in [0, 255]."""
        generator = torch.Generator().manual_seed(1)
        noise = deviation * torch.randn(image.shape, generator=generator)
        return (image.float() + noise).round().clamp(0, 255).to(torch.uint8)

    def test_each_image_has_a_number_of_its_own(self) -> None:
        metric, truth = self.make(), self.images(3)
        image = self.noisy(truth, 10)
        values = metric(image, truth, scale=2)
        assert values.shape == (3,)
        assert values.dtype == torch.float64
        assert all(map(math.isfinite, values.tolist()))
        for number in range(3):
            one = slice(number, number + 1)
            alone = metric(image[one], truth[one], scale=2)
            torch.testing.assert_close(alone[0], values[number], rtol=1e-5, atol=1e-6)

    def test_more_noise_is_worse_where_a_truth_is_compared_with(self) -> None:
        metric, truth = self.make(), self.images(2)
        if metric.info.reference == "full":
            less, more = (metric(self.noisy(truth, d), truth, scale=2) for d in (5, 40))
            assert (metric.info.sign * (less - more) > 0).all()

    def test_images_are_left_as_they_are(self) -> None:
        truth = self.images(1)
        image = self.noisy(truth, 10)
        before = image.clone(), truth.clone()
        first = self.make()(image, truth, scale=2)
        assert torch.equal(image, before[0])
        assert torch.equal(truth, before[1])
        assert torch.equal(self.make()(image, truth, scale=2), first)

    def test_it_says_how_it_measures(self) -> None:
        info = self.make().info
        assert info.better in ("higher", "lower")
        assert info.protocol
