import torch
from corenas import choose
from corenas_sr.contracts import ImageMetricContract
from corenas_sr.metric import ImageMetric


class TestMetric(ImageMetricContract):
    def make(self) -> ImageMetric:
        found: ImageMetric = choose("metrics", "plugin-name").build()
        return found


def test_a_grey_level_apart_is_one() -> None:
    metric = choose("metrics", "plugin-name").build()
    image = torch.full((1, 3, 8, 8), 100, dtype=torch.uint8)
    assert metric(image, image + 1, scale=2).tolist() == [1.0]
