"""The commands of the super-resolution plugin; each imports what computes when it is called."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, BinaryIO

import typer

from corenas.commands.describe import Assignments, ConfigFile, Preset
from corenas.commands.output import Json, print_columns, print_json, say
from corenas.commands.runs import DryRun, MaxTime, Out, Seed, run
from corenas.errors import InputError
from corenas.names import printable
from corenas_sr.commands import data as data_commands
from corenas_sr.commands import interpolate as interpolate_commands
from corenas_sr.commands.limits import Largest, pixels_of

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
Overwrite = Annotated[
    bool, typer.Option("--overwrite", help="Replace files that this command did not write.")
]
_TABLE = b"name,"
Device = Annotated[str, typer.Option(help="torch device; auto takes a GPU when there is one.")]


def add_commands(app: typer.Typer) -> None:
    """Add the commands to the command line."""
    app.command()(train)
    app.command()(evaluate)
    app.command()(upscale)
    app.command()(cost)
    interpolate_commands.add_commands(app)
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
    overwrite: Overwrite = False,
    largest: Largest = None,
    device: Device = "auto",
) -> None:
    """Measure a model on images, with the protocol beside every number."""
    from attrs import evolve

    from corenas.devices import pick_devices
    from corenas.show.progress_bar import bar
    from corenas_sr.commands.metric_options import choose_metrics
    from corenas_sr.data.datasets import describe_lr, load_pairs
    from corenas_sr.data.folders import describe_left_out, image_files
    from corenas_sr.data.marks import refuse_overwriting
    from corenas_sr.models.upscalers import SAVED, find_restore, saving
    from corenas_sr.results.evaluation import build_metrics, measure_folder
    from corenas_sr.results.evaluation import evaluate as measure_pairs

    limit = pixels_of(largest)
    names = [name.strip() for name in metrics.split(",")]
    built = build_metrics(choose_metrics(names, assignments or []))
    given = Path(model)
    folders = [given] if given.is_dir() else []
    read = set(image_files(given)) if given.is_dir() else {given}
    tables = [] if csv is None else [csv]
    with nullcontext() if csv is None else _csv_file(csv, overwrite=overwrite) as table:
        if folder:
            scale, restore = find_restore(
                model, scale=scale, device=pick_devices(device)[0], largest=limit
            )
            pairs = load_pairs(folder, scale=scale, split="validation", largest=limit)
            truth = {file for pair in pairs for file in pair.files}
            read |= truth
            if save_images is not None:
                targets = [save_images / f"{pair.name}.png" for pair in pairs]
                refuse_overwriting(targets, command=SAVED, overwrite=overwrite, read=read)
                restore = saving(restore, save_images, largest=limit)
            # What skimage brings besides its photographs was never meant.
            folders += [] if folder == "embedded" else sorted({file.parent for file in truth})
            refuse_overwriting(tables, command=SAVED, overwrite=True, read=read)
            shown = bar(pairs, total=len(pairs), what="measuring")
            result = measure_pairs(restore, shown, built, scale=scale)
            result = evolve(
                result,
                low_resolution=f"not used; the upscaled images are those in {model}"
                if given.is_dir()
                else describe_lr(pairs, scale=scale),
            )
        else:
            if save_images is not None:
                raise InputError("--save-images: nothing is upscaled without FOLDER")
            refuse_overwriting(tables, command=SAVED, overwrite=True, read=read)
            result = measure_folder(given, built, largest=limit)
        if table is not None:
            _write_csv(table, result)
    left_out = describe_left_out(folders)
    for line in left_out:
        say(line, err=True)
    if as_json:
        said = {"left_out": left_out} if left_out else {}
        print_json({"model": model, "scale": scale, **result.to_json(), **said})
    else:
        _print_table(result)


def _rows(result: Evaluation) -> list[dict[str, Any]]:
    return [{"name": name, **values} for name, values in result.images.items()] + [
        {"name": "mean", **result.mean}
    ]


def _print_table(result: Evaluation) -> None:
    rows = (
        [row["name"], *(f"{row[name]:.4f}" for name in result.protocol)] for row in _rows(result)
    )
    print_columns([["image", *result.protocol], *rows])
    if result.low_resolution:
        say(f"low resolution: {result.low_resolution}")
    for name, protocol in result.protocol.items():
        say(f"{name}: {protocol}")


@contextmanager
def _csv_file(path: Path, *, overwrite: bool) -> Iterator[BinaryIO]:
    """Open a table before anything is measured; it appears when all of it is written.

    What is raised while it is open, as by images that cannot be read, passes through as it is.

    Raises:
        InputError: It cannot be written, or would replace something that is no such table.
    """
    from corenas.files import atomic_write

    if not path.parent.is_dir():
        raise InputError(f"{path}: cannot be written: No such file or directory")
    direct = path.exists() and not path.is_file()  # such as /dev/stdout
    content = io.BytesIO()
    with ExitStack() as opened:
        with _writing(path):
            if path.is_file() and not overwrite and not _is_table(path):
                raise InputError(
                    f"nothing was written: {path} is no table of this command; "
                    "--overwrite replaces it"
                )
            file = opened.enter_context(path.open("wb") if direct else atomic_write(path.resolve()))
        yield content
        # Closing writes, too: what is in the buffer, and the name.
        with _writing(path), opened.pop_all():
            file.write(content.getvalue())


@contextmanager
def _writing(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise InputError(f"{path}: cannot be written: {error.strerror}") from error


def _is_table(path: Path) -> bool:
    """Whether a file begins as our tables do, or is empty."""
    with path.open("rb") as file:
        return file.read(len(_TABLE)) in (_TABLE, b"")


def _write_csv(file: BinaryIO, result: Evaluation) -> None:
    import csv

    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, ["name", *result.protocol])
    writer.writeheader()
    writer.writerows({**row, "name": _cell(row["name"])} for row in _rows(result))
    file.write(text.getvalue().encode("utf-8", "surrogateescape"))


def _cell(name: str) -> str:
    """Return a name for a table: control characters are left out, bytes that are no UTF-8 stay."""
    return "".join(c if "\udc80" <= c <= "\udcff" else printable(c) for c in name)


def upscale(
    model: Annotated[str, typer.Argument(help="Model file, or 'bicubic'.")],
    images: Annotated[list[Path], typer.Argument(help="Image files and folders of them.")],
    out: Annotated[Path, typer.Option(help="Folder for the upscaled images.")] = Path("upscaled"),
    scale: Annotated[int | None, typer.Option(min=1, help="For 'bicubic'.")] = None,
    tile: Annotated[
        int | None, typer.Option(min=1, help="Side of a tile in input pixels; default: what fits.")
    ] = None,
    overwrite: Overwrite = False,
    largest: Largest = None,
    device: Device = "auto",
) -> None:
    """Upscale images, large ones in tiles with overlap; what is done already is kept."""
    from corenas.devices import pick_devices
    from corenas.show.progress_bar import bar
    from corenas_sr.data.datasets import refuse
    from corenas_sr.data.folders import describe_left_out
    from corenas_sr.models.batches import upscale_files, way_of
    from corenas_sr.models.upscalers import find_upscaler, input_files, output_files

    upscaler = find_upscaler(model, scale=scale, device=pick_devices(device)[0], tile=tile)
    files = output_files(input_files(images), out, scale=upscaler.scale)
    for line in describe_left_out(path for path in images if path.is_dir()):
        say(line, err=True)
    done = upscale_files(
        upscaler,
        files,
        way=way_of(model, scale=upscaler.scale, tile=tile),
        overwrite=overwrite,
        largest=pixels_of(largest),
        shown=bar(list(files), total=len(files), what="upscaling"),
    )
    if done.kept:
        say(f"{done.kept} were there already")
    say(f"{done.made + done.kept} images in {out}")
    refuse("upscale", done.problems)


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
        say(f"{name:{width}} {_shown(value)}")


def _shown(value: Any) -> str:
    if isinstance(value, list):
        return "x".join(map(str, value))
    return f"{value:,}" if isinstance(value, int) else str(value)
