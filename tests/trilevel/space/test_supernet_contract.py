"""Both backbones keep what every supernet promises."""

import pytest
import torch

from corenas.cost import count
from corenas.testing.contracts import SupernetContract
from corenas_trilevel.space.config import TrilevelAConfig, TrilevelBConfig
from corenas_trilevel.space.space import TrilevelSpace

SMALL = {"cells": 2, "searched_cells": 1, "widths": (3, 5, 6), "features": 6}


class TestSupernet(SupernetContract):
    @pytest.fixture(params=[TrilevelAConfig(**SMALL, scale=2), TrilevelBConfig(**SMALL, ups=1)])
    def space(self, request):
        return TrilevelSpace(request.param)

    def inputs(self):
        return 255 * torch.rand(2, 3, 6, 6, generator=torch.Generator().manual_seed(0))

    def cost(self, space, architecture):
        scale = space.config.scale
        return count(space.build(architecture), (1, 3, 720 // scale, 1280 // scale)).mult_adds
