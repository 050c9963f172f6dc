import pytest

from corenas.options.structuring import choose, structure
from corenas.plugins.registry import default_registry
from corenas.protocols import Strategy
from corenas.testing.contracts import StrategyContract


def build(name, **options):
    config = default_registry().component("strategies", name).config
    chosen = choose("strategies", name)
    return (
        type(chosen)
        .of(chosen.component, "strategies", structure(config, options), default_registry())
        .build()
    )


@pytest.mark.parametrize("name", ["asha", "halving", "hyperband"])
class TestAsha(StrategyContract):
    @pytest.fixture(params=["random", "evolution"])
    def strategy(self, request, name) -> Strategy:
        return build(name, sampler=request.param)
