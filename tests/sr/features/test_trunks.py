from __future__ import annotations

import hashlib
import os
import threading
from collections.abc import Callable, Iterator
from functools import partial
from http.server import HTTPServer, SimpleHTTPRequestHandler
from pathlib import Path
from typing import Any
from urllib.error import HTTPError

import pytest
import torch
import torchvision
from safetensors.torch import save_file
from torch import Tensor

from corenas import CorenasError, DataError, UnknownName
from corenas_sr.features.trunks import TRUNKS, load_trunk, random_trunk


def state(name: str = "squeezenet1_1") -> dict[str, Tensor]:
    return random_trunk(name, seed=1).state_dict()


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Torchvision's cache, empty."""
    folder = tmp_path / "hub"
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(folder))
    return folder / "checkpoints"


def assert_has(trunk: torch.nn.Module, expected: dict[str, Tensor]) -> None:
    loaded = trunk.state_dict()
    assert loaded.keys() == expected.keys()
    for name, tensor in expected.items():
        torch.testing.assert_close(loaded[name], tensor.float(), rtol=0, atol=0)
        assert loaded[name].dtype == torch.float32


def whole_classifier(features: dict[str, Tensor]) -> dict[str, Tensor]:
    named = {f"features.{name}": tensor for name, tensor in features.items()}
    return named | {"classifier.1.weight": torch.zeros(2, 2)}


@pytest.mark.parametrize("form", [dict, whole_classifier])
@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_weights_come_from_a_file(
    form: Callable[[dict[str, Tensor]], dict[str, Tensor]], suffix: str, tmp_path: Path
) -> None:
    features, path = state(), tmp_path / f"weights{suffix}"
    (save_file if suffix == ".safetensors" else torch.save)(form(features), path)
    trunk = load_trunk("squeezenet1_1", weights=path)
    assert_has(trunk, features)
    assert not trunk.training
    assert not any(parameter.requires_grad for parameter in trunk.parameters())


@pytest.mark.parametrize("name", TRUNKS)
def test_a_trunk_computes_what_torchvision_computes(name: str, tmp_path: Path) -> None:
    features = state(name)
    torch.save(features, tmp_path / "weights.pth")
    theirs = random_trunk(name, seed=2)
    theirs.load_state_dict(features)
    x = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    expected = theirs(x)
    with torch.device("meta"):
        layers = torchvision.models.get_model(name, weights=None).features
    trunk = load_trunk(name, weights=tmp_path / "weights.pth")
    torch.testing.assert_close(trunk(x), expected, rtol=0, atol=0)
    assert [type(layer) for layer in trunk] == [type(layer) for layer in layers]


def test_weights_in_half_precision_are_widened(tmp_path: Path) -> None:
    half = {name: tensor.half() for name, tensor in state().items()}
    torch.save(half, tmp_path / "half.pth")
    assert_has(load_trunk("squeezenet1_1", weights=tmp_path / "half.pth"), half)


def test_the_published_squeezenet_features_load() -> None:
    folder = os.environ.get("CORENAS_DATA")
    if not folder:
        pytest.skip("CORENAS_DATA, the folder that holds weights, is not set")
    path = Path(folder) / "weights" / "squeezenet1_1_features.pth"
    expected = torch.load(path, weights_only=True)
    assert_has(load_trunk("squeezenet1_1", weights=path), expected)


def test_torchvisions_cache_is_used_when_the_file_is_there(hub: Path) -> None:
    hub.mkdir(parents=True)
    features = state()
    torch.save(whole_classifier(features), hub / "squeezenet1_1-b8a52dc0.pth")
    assert_has(load_trunk("squeezenet1_1"), features)


@pytest.mark.parametrize(
    ("name", "file", "size"),
    [
        ("vgg16", "vgg16-397923af.pth", "528 MB"),
        ("vgg19", "vgg19-dcbb9e9d.pth", "548 MB"),
        ("alexnet", "alexnet-owt-7be5be79.pth", "233 MB"),
        ("squeezenet1_1", "squeezenet1_1-b8a52dc0.pth", "5 MB"),
    ],
)
def test_missing_weights_are_not_downloaded_unasked(
    name: str, file: str, size: str, hub: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any) -> None:
        pytest.fail("it went to the network")

    monkeypatch.setattr(torch.hub, "download_url_to_file", refuse)
    with pytest.raises(DataError) as caught:
        load_trunk(name)
    for part in (f"https://download.pytorch.org/models/{file}", str(hub / file), size):
        assert part in str(caught.value)
    assert "'weights'" in str(caught.value)
    assert not hub.exists()


@pytest.fixture
def server(tmp_path: Path) -> Iterator[tuple[str, Path]]:
    """A web server on loopback, and the folder that it serves."""

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *_: Any) -> None:
            pass

    folder = tmp_path / "served"
    folder.mkdir()
    with HTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder))) as http:
        thread = threading.Thread(target=http.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{http.server_port}", folder
        http.shutdown()
        thread.join()


class Published:
    """What torchvision knows of a model's weights."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.meta = {"_file_size": 4.7}


def publish(address: str, file: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torchvision.models, "get_weight", lambda _: Published(f"{address}/{file}"))


def test_a_download_that_is_asked_for_fills_the_cache(
    server: tuple[str, Path], hub: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    address, folder = server
    features = state()
    torch.save(features, folder / "weights.pth")
    digest = hashlib.sha256((folder / "weights.pth").read_bytes()).hexdigest()[:8]
    file = f"squeeze-{digest}.pth"
    (folder / "weights.pth").rename(folder / file)
    publish(address, file, monkeypatch)
    assert_has(load_trunk("squeezenet1_1", download=True), features)
    (folder / file).unlink()
    assert_has(load_trunk("squeezenet1_1", download=True), features)


def test_a_download_with_other_content_is_refused_and_not_kept(
    server: tuple[str, Path], hub: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    address, folder = server
    torch.save(state(), folder / "squeeze-00000000.pth")
    publish(address, "squeeze-00000000.pth", monkeypatch)
    with pytest.raises(CorenasError, match=r"could not be downloaded.*hash"):
        load_trunk("squeezenet1_1", download=True)
    assert list(hub.iterdir()) == []


def test_a_download_that_fails_says_what_to_do(
    server: tuple[str, Path], hub: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    address, _ = server
    publish(address, "squeeze-00000000.pth", monkeypatch)
    with pytest.raises(CorenasError) as caught:
        load_trunk("squeezenet1_1", download=True)
    for part in (f"{address}/squeeze-00000000.pth", str(hub), "404", "'weights'"):
        assert part in str(caught.value)
    assert isinstance(caught.value.__cause__, HTTPError)
    caught.value.__cause__.close()  # it holds the connection


def test_an_unknown_trunk_is_refused_with_the_nearest() -> None:
    with pytest.raises(UnknownName, match="'vgg18'; did you mean 'vgg1"):
        load_trunk("vgg18")


def test_weights_of_another_network_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "weights.pth"
    torch.save(state("alexnet"), path)
    with pytest.raises(DataError, match=r"weights\.pth: not the weights of squeezenet1_1"):
        load_trunk("squeezenet1_1", weights=path)


class Malicious:
    def __reduce__(self) -> tuple[Callable[..., None], tuple[str]]:
        return os.mkdir, ("hacked",)


@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
@pytest.mark.parametrize("content", [b"", b"not weights at all"])
def test_a_damaged_file_is_refused_by_name(suffix: str, content: bytes, tmp_path: Path) -> None:
    path = tmp_path / f"damaged{suffix}"
    path.write_bytes(content)
    with pytest.raises(DataError, match="damaged"):
        load_trunk("squeezenet1_1", weights=path)


def test_a_pickle_with_code_is_refused_unexecuted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    torch.save({"0.weight": Malicious()}, "evil.pth")
    with pytest.raises(DataError, match=r"evil\.pth: not a file of plain tensors"):
        load_trunk("squeezenet1_1", weights=Path("evil.pth"))
    assert not (tmp_path / "hacked").exists()


@pytest.mark.parametrize("content", [[1, 2], {1: torch.zeros(1)}, {"state": {}}])
def test_a_file_that_is_no_state_dict_is_refused(content: Any, tmp_path: Path) -> None:
    path = tmp_path / "other.pth"
    torch.save(content, path)
    with pytest.raises(DataError, match=r"other\.pth: expected a plain state dict"):
        load_trunk("squeezenet1_1", weights=path)


def test_a_missing_file_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"none\.pth: No such file"):
        load_trunk("squeezenet1_1", weights=tmp_path / "none.pth")


def test_a_random_trunk_depends_on_its_seed_alone() -> None:
    before = torch.get_rng_state()
    first = random_trunk("squeezenet1_1", seed=3).state_dict()
    assert torch.equal(torch.get_rng_state(), before)
    second = random_trunk("squeezenet1_1", seed=3).state_dict()
    other = random_trunk("squeezenet1_1", seed=4).state_dict()
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert not torch.equal(first["0.weight"], other["0.weight"])
