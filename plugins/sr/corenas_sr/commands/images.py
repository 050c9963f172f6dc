"""The commands of the super-resolution plugin; each imports what computes when it is called."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from corenas.commands.describe import Assignments, ConfigFile, Preset
from corenas.commands.output import Json, print_json
from corenas.commands.runs import DryRun, MaxTime, Out, Seed, run
from corenas.errors import InputError
from corenas_sr.commands import data as data_commands

if TYPE_CHECKING:
    from corenas_sr.results.evaluation import Evaluation

Scale = Annotated[int | None, typer.Option(min=1, help="Default: the model's own.")]
MetricOptions = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="METRIC.OPTION=VALUE",
        help="An option of a metric, such as niqe.protocol=pirm; may be given more than once.",
    ),
]
Device = Annotated[str, typer.Option(help="torch device; auto takes a GPU when there is one.")]


def add_commands(app: typer.Typer) -> None:
    """Add the commands to the command line."""
    app.command()(train)
    app.command()(evaluate)
    app.command()(upscale)
    app.command()(cost)
    data_commands.add_commands(app)


def train(
    architecture: Annotated[
        str, typer.Argument(help="Published architecture such as tpsr/paper, or a model file.")
    ],
    scale: Annotated[int | None, typer.Option(help="Default: the architecture's own.")] = None,
    preset: Preset = "",
    config: ConfigFile = None,
    assignments: Assignments = None,
    out: Out = None,
    seed: Seed = 0,
    device: Device = "auto",
    max_time: MaxTime = "",
    dry_run: DryRun = False,
) -> None:
    """Train a known or found architecture; the same as 'corenas run train'."""
    values = [f"architecture={json.dumps(architecture)}"]
    if scale is not None:
        values.append(f"scale={scale}")
    run(
        "train",
        preset=preset,
        config=config,
        assignments=[*values, *(assignments or [])],
        out=out,
        seed=seed,
        device=device,
        max_time=max_time,
        dry_run=dry_run,
    )


def evaluate(
    model: Annotated[
        str, typer.Argument(help="Model file, folder of upscaled images, or 'bicubic'.")
    ],
    folder: Annotated[
        str,
        typer.Argument(
            metavar="[FOLDER]",
            help="Ground truth: a folder, a benchmark, or 'embedded'. Metrics that compare with "
            "nothing can do without, for a folder of upscaled images.",
        ),
    ] = "",
    scale: Scale = None,
    metrics: Annotated[str, typer.Option(help="Names, with commas between.")] = "psnr,ssim",
    assignments: MetricOptions = None,
    as_json: Json = False,
    csv: Annotated[Path | None, typer.Option(help="Write the table there.")] = None,
    save_images: Annotated[Path | None, typer.Option(help="Write upscaled images there.")] = None,
    device: Device = "auto",
) -> None:
    """Measure a model on images, with the protocol beside every number."""
    from corenas.devices import pick_devices
    from corenas.show.progress_bar import bar
    from corenas_sr.commands.metric_options import choose_metrics
    from corenas_sr.data.datasets import load_pairs
    from corenas_sr.models.upscalers import find_restore, saving
    from corenas_sr.results.evaluation import build_metrics, measure_folder
    from corenas_sr.results.evaluation import evaluate as measure_pairs

    names = [name.strip() for name in metrics.split(",")]
    built = build_metrics(choose_metrics(names, assignments or []))
    if folder:
        scale, restore = find_restore(model, scale=scale, device=pick_devices(device)[0])
        pairs = load_pairs(folder, scale=scale, split="validation")
        if save_images is not None:
            restore = saving(restore, save_images)
        shown = bar(pairs, total=len(pairs), what="measuring")
        result = measure_pairs(restore, shown, built, scale=scale)
    else:
        if save_images is not None:
            raise InputError("--save-images: nothing is upscaled without FOLDER")
        result = measure_folder(Path(model), built)
    if csv is not None:
        _write_csv(csv, result)
    if as_json:
        print_json({"model": model, "scale": scale, **result.to_json()})
    else:
        _print_table(result)


def _rows(result: Evaluation) -> list[dict[str, Any]]:
    return [{"name": name, **values} for name, values in result.images.items()] + [
        {"name": "mean", **result.mean}
    ]


def _print_table(result: Evaluation) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table("image", *result.protocol)
    for row in _rows(result):
        table.add_row(row["name"], *(f"{row[name]:.4f}" for name in result.protocol))
    console = Console()
    console.print(table)
    for name, protocol in result.protocol.items():
        console.print(f"{name}: {protocol}", highlight=False, soft_wrap=True)


def _write_csv(path: Path, result: Evaluation) -> None:
    import csv

    try:
        with path.open("w", newline="") as file:
            writer = csv.DictWriter(file, ["name", *result.protocol])
            writer.writeheader()
            writer.writerows(_rows(result))
    except OSError as error:
        raise InputError(f"{path}: cannot be written: {error.strerror}") from error


def upscale(
    model: Annotated[str, typer.Argument(help="Model file, or 'bicubic'.")],
    images: Annotated[list[Path], typer.Argument(help="Image files and folders of them.")],
    out: Annotated[Path, typer.Option(help="Folder for the upscaled images.")] = Path("upscaled"),
    scale: Annotated[int | None, typer.Option(min=1, help="For 'bicubic'.")] = None,
    tile: Annotated[
        int | None, typer.Option(min=1, help="Side of a tile in input pixels; default: what fits.")
    ] = None,
    device: Device = "auto",
) -> None:
    """Upscale images, large ones in tiles with overlap."""
    from rich.progress import track

    from corenas.devices import pick_devices
    from corenas_sr.data.images import read_image, write_image
    from corenas_sr.models.upscalers import find_upscaler, input_files, output_files

    upscaler = find_upscaler(model, scale=scale, device=pick_devices(device)[0], tile=tile)
    files = output_files(input_files(images), out, scale=upscaler.scale)
    for source, target in track(files.items(), description="upscaling"):
        write_image(target, upscaler.run(read_image(source)))
    typer.echo(f"{len(files)} images in {out}")


def cost(
    what: Annotated[str, typer.Argument(help="Model file, published architecture, or space.")],
    scale: Scale = None,
    architecture: Annotated[
        Path | None, typer.Option(help="JSON file with an architecture of the space.")
    ] = None,
    input_size: Annotated[
        str | None,
        typer.Option("--input", help="Low-resolution size, such as 320x180; a patch's, as 96x96."),
    ] = None,
    output_size: Annotated[
        str | None, typer.Option("--output", help="Output size; default 1280x720.")
    ] = None,
    convention: Annotated[
        str, typer.Option(help="Way of counting; some spaces offer that of a paper.")
    ] = "true",
    assignments: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="KEY=VALUE",
            help="An option of the space, such as share_up=true; may be given more than once.",
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Count parameters and mult-adds for a stated size."""
    from corenas_sr.models.costs import cost_at, find_convention, patch_cost, takes_patches
    from corenas_sr.models.named import find_architecture, scale_of

    named = find_architecture(what, scale=scale, cell=architecture, assignments=assignments or [])
    way = find_convention(named.space, convention)
    if takes_patches(named.space):
        result = patch_cost(named, input_size=input_size, output_size=output_size)
    else:
        result = cost_at(
            named,
            scale=scale_of(named.space),
            input_size=input_size,
            output_size=output_size,
            convention=way,
        )
    if as_json:
        print_json(result)
        return
    width = max(map(len, result))
    for name, value in result.items():
        typer.echo(f"{name:{width}} {_shown(value)}")


def _shown(value: Any) -> str:
    if isinstance(value, list):
        return "x".join(map(str, value))
    return f"{value:,}" if isinstance(value, int) else str(value)
