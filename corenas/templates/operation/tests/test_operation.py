import pytest
from corenas import choose, structure
from corenas.testing.contracts import OperationContract
from torch import nn

from plugin_name.config import Options
from plugin_name.operation import Operation


@pytest.mark.parametrize("kernel", [3, 5, 7])
class TestOperation(OperationContract):
    @pytest.fixture(autouse=True)
    def _kernel(self, kernel: int) -> None:
        self.config = structure(Options, {"kernel": kernel})

    def make(self, channels: int) -> nn.Module:
        return Operation(self.config, channels)


def test_corenas_finds_it() -> None:
    assert isinstance(choose("operations", "plugin-name").build(8), Operation)
