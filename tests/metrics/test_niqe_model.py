"""The command ``niqe-model``: the model it writes is the one that the function fits."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor

from corenas import choose, cli
from corenas_metrics._pristine import live_model, load_model
from corenas_metrics.niqe import fit_pristine, niqe
from corenas_sr.data.images import read_image, write_image
from corenas_sr.data.photographs import photographs


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three crops of photographs."""
    target = tmp_path_factory.mktemp("photographs")
    for file in photographs("train")[:3]:
        write_image(target / f"{file.stem}.png", read_image(file)[:, :300, :300])
    return target


def images(folder: Path) -> list[Tensor]:
    return [read_image(file) for file in sorted(folder.iterdir())]


@pytest.mark.parametrize("protocol", ["live", "pirm"])
def test_written_model_is_the_fitted_one_and_evaluate_uses_it(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], protocol: str
) -> None:
    out = tmp_path / "mine.json"
    assert cli.main(["niqe-model", str(folder), str(out), "--protocol", protocol]) == 0
    said = capsys.readouterr().out.splitlines()
    assert said[0] == f"{out}: a model of 3 images, for protocol {protocol}"
    fitted = fit_pristine(images(folder), protocol=protocol)
    read = load_model(out)
    assert torch.equal(read.mean, fitted.mean)
    assert torch.equal(read.covariance, fitted.covariance)
    assert not torch.equal(read.mean, live_model().mean)

    options = said[1].partition("use it with ")[2].split()
    large = tmp_path / "large"
    image = read_image(photographs("validation")[0])
    write_image(large / "chelsea.png", image)
    assert cli.main(["evaluate", str(large), *options]) == 0
    expected = float(niqe(image[None], protocol=protocol, model=fitted))
    out_text = capsys.readouterr().out
    assert f"{expected:.4f}" in out_text
    assert f"pristine model {out}" in out_text.replace("\n", "")


def test_model_measures_otherwise_than_that_of_live(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "mine.json"
    assert cli.main(["niqe-model", str(folder), str(out)]) == 0
    image = read_image(photographs("validation")[0])[None]
    own = float(niqe(image, model=load_model(out)))
    assert own != pytest.approx(float(choose("metrics", "niqe").build()(image, None, scale=1)))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["empty", "m.json"], "empty: no images in this folder"),
        (["absent", "m.json"], "absent: No such file or directory"),
        (["small", "m.json"], "small/tiny.png: 120x95 pixels; 96x96 are needed"),
        (["small", "m.json", "--protocol", "pirm"], "tiny.png: 120x95 pixels; 104x104 are needed"),
        (["bad", "m.json"], "bad/a.png: not an image of a known format"),
        (["good", "m.npz"], "m.npz: the name of a model of pristine photographs ends in .json"),
        (["good", "no/m.json"], "no/m.json: cannot be written: No such file or directory"),
        (["good", "m.json", "--protocol", "prim"], "'prim'; did you mean 'pirm'?"),
    ],
)
def test_wrong_input_is_one_line_with_the_name(
    folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    message: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("empty", "small", "bad"):
        (tmp_path / name).mkdir()
    (tmp_path / "good").symlink_to(folder)
    (tmp_path / "bad/a.png").write_bytes(b"?")
    write_image(tmp_path / "small/tiny.png", torch.zeros(3, 95, 120, dtype=torch.uint8))
    assert cli.main(["niqe-model", *arguments]) == 2
    err = capsys.readouterr().err
    assert err.startswith("error: ")
    assert message in err
    assert err.count("\n") == 1
    assert not list(tmp_path.glob("m.*"))
