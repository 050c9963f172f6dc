"""What an export keeps of a network and what it gains: quality on Set5, and time against torch.

    CORENAS_DATA=... python benchmarks/export.py [MODEL] [--rounds 15] [--steps 1500]

PSNR of Y on Set5 of the model file, of its ONNX file, and of the one with eight-bit integers, which
is calibrated on 16 crops of training images; then the CPU time of a forward pass of 320x180 by ONNX
Runtime against torch, one thread each, taking turns. Without MODEL, TPSR's published cell is
trained at x4 on the bundled photographs for so many steps, which takes some minutes; its weights
decide the PSNR and not the time.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from pathlib import Path

import torch
from rich.console import Console
from rich.table import Table
from timing import Row, interleaved_medians, print_rows

from corenas import cli
from corenas_export.exporting import Result, choose_format, export_network
from corenas_export.measuring import measure
from corenas_sr.models.networks import load_network

WIDTH, HEIGHT = 320, 180
ONNX, INT8 = "ONNX", "ONNX, int8"
MOST_LOSS = 0.3


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", type=Path, nargs="?", help="model file; default: TPSR's cell")
    parser.add_argument("--rounds", type=int, default=15, help="timed forward passes of each")
    parser.add_argument("--steps", type=int, default=1500, help="of the cell's training")
    arguments = parser.parse_args()
    if "CORENAS_DATA" not in os.environ:
        sys.exit("CORENAS_DATA: name the folder of the benchmark images")
    data = Path(os.environ["CORENAS_DATA"])
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        model = arguments.model or train(place / "run", arguments.steps)
        files = {
            "torch": model,
            ONNX: export(model, place / "float.onnx", "onnx"),
            INT8: export(
                model,
                place / "int8.onnx",
                "onnx-int8",
                calibration=str(data / "train291/HR"),
                validation=str(data / "Set5"),
                most_loss=100.0,  # it is judged below
            ),
        }
        rows = [*quality(files, str(data / "Set5")), *times(files, arguments.rounds)]
    return print_rows(f"exports of {model.name}, one thread", rows)


def train(folder: Path, steps: int) -> Path:
    """Train the published cell for a while."""
    options = {"steps": steps, "patch": 24, "learning_rate": 2e-3, "validate_every": steps}
    assignments = [f"--set=training.{name}={value}" for name, value in options.items()]
    if status := cli.main(["train", "tpsr/paper", "--scale=4", f"--out={folder}", *assignments]):
        sys.exit(status)
    (file,) = (folder / "models").glob("*.safetensors")
    return file


def export(model: Path, out: Path, form: str, **options: object) -> Path:
    """Export for float images, so that all three start from the same numbers."""
    result: Result = export_network(
        model,
        choose_format(form, {"images": "float", **options}, ()),
        out=out,
        input_size=None,
        licence="",
        force=True,
        say=lambda text: print(text, file=sys.stderr),
    )
    return result.files[0]


def quality(files: dict[str, Path], images: str) -> list[Row]:
    """Print PSNR and SSIM of each file; return what is lost in PSNR."""
    measured = {name: measure(load_network(file), images) for name, file in files.items()}
    table = Table("file", "psnr", "ssim", title=f"{measured['torch'].images}")
    for name, found in measured.items():
        table.add_row(name, *(f"{value:.4f}" for value in found.values.values()))
    Console(width=140).print(table)
    values = {name: found.values["psnr"] for name, found in measured.items()}
    return [
        Row("dB lost by ONNX", abs(values["torch"] - values[ONNX]), 0.001),
        Row("dB lost by int8", values["torch"] - values[INT8], MOST_LOSS),
    ]


def times(files: dict[str, Path], rounds: int) -> list[Row]:
    """Return the time of each ONNX file over torch's."""
    generator = torch.Generator().manual_seed(0)
    images = 255 * torch.rand(1, 3, HEIGHT, WIDTH, generator=generator)
    # The layout in which torch runs networks here.
    images = images.contiguous(memory_format=torch.channels_last)
    modules = {name: load_network(file).module for name, file in files.items()}

    def run(name: str) -> None:
        with torch.no_grad():
            modules[name](images)

    seconds = interleaved_medians(
        {name: (lambda name=name: run(name)) for name in modules}, rounds=rounds
    )
    detail = ", ".join(f"{name} {1e3 * value:.0f} ms" for name, value in seconds.items())
    return [
        Row(f"{name} / torch", seconds[name] / seconds["torch"], bar, detail)
        for name, bar in ((ONNX, 1.15), (INT8, 0.9))
    ]


if __name__ == "__main__":
    sys.exit(main())
