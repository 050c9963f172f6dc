"""``data check``, ``data prepare`` and ``data fetch``: images before they are trained on."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from corenas.commands.output import Json, print_columns, print_json, say
from corenas.errors import InputError, UnknownName
from corenas.names import nearest
from corenas_sr.commands.limits import Largest, pixels_of

if TYPE_CHECKING:
    from corenas_sr.preparation.check import SetReport

Folder = Annotated[
    Path, typer.Argument(metavar="FOLDER", help="Images, or data sets in a known layout.")
]
Scales = Annotated[str, typer.Option("--scale", help="Up-scaling factors, with commas between.")]


def add_commands(app: typer.Typer) -> None:
    """Add the group ``data`` to the command line."""
    group = typer.Typer(no_args_is_help=True, rich_markup_mode=None)
    group.command()(check)
    group.command()(prepare)
    group.command()(fetch)
    app.add_typer(group, name="data", help="Check, prepare and fetch images.")


def parse_scales(text: str) -> list[int]:
    """Read up-scaling factors such as ``2,4``.

    Raises:
        InputError: They are no such numbers.
    """
    if not re.fullmatch(r"[2-8](\s*,\s*[2-8])*", text):
        raise InputError(f"--scale {text}: expected factors from 2 to 8 such as 2,4")
    return sorted({int(factor) for factor in text.split(",")})


def check(
    folder: Folder,
    validation: Annotated[
        Path | None,
        typer.Option(metavar="FOLDER", help="Validation images; those in FOLDER are for training."),
    ] = None,
    scale: Scales = "2,4",
    largest: Largest = None,
    as_json: Json = False,
) -> None:
    """Decode every image; find wrong pairs, and validation images that are trained on."""
    from corenas_sr.data.datasets import refuse
    from corenas_sr.data.folders import describe_left_out
    from corenas_sr.preparation.check import check_folder, duplicates

    scales = parse_scales(scale)
    limit = pixels_of(largest)
    reports = check_folder(folder.expanduser(), scales, largest=limit)
    held_out = [report for report in reports if "valid" in report.folder.name.lower()]
    training = [report for report in reports if report not in held_out]
    if validation is not None:
        training = reports
        held_out = check_folder(validation.expanduser(), scales, largest=limit)
    every = [*training, *held_out]
    problems = [problem for report in every for problem in report.problems]
    problems += [
        f"{file}: the same image as {trained}, which is trained on"
        for file, trained in duplicates(training, held_out)
    ]
    if as_json:
        sets = [report.to_json() for report in every]
        said = describe_left_out(report.folder for report in every)
        print_json({"ok": not problems, "sets": sets, "problems": problems, "left_out": said})
        raise typer.Exit(2 if problems else 0)
    print_columns(_rows(every, scales))
    _say_left_out([report.folder for report in every])
    refuse(str(folder), problems)


def _say_left_out(folders: Sequence[Path]) -> None:
    from corenas_sr.data.folders import describe_left_out

    for line in describe_left_out(folders):
        say(line, err=True)


def _rows(reports: Sequence[SetReport], scales: Sequence[int]) -> Iterator[Sequence[str]]:
    lr = (f"LR x{scale}" for scale in scales)
    yield "folder", "layout", "images", "smallest", "largest", "megapixels", *lr
    for report in reports:
        sizes = [f"{width}x{height}" for width, height in report.sizes] or ["-"]
        pairs = (str(report.pairs[scale] or "from HR") for scale in scales)
        megapixels = f"{report.to_json()['megapixels']:.1f}"
        images = str(len(report.images))
        yield str(report.folder), report.layout, images, sizes[0], sizes[-1], megapixels, *pairs


def prepare(
    folder: Folder,
    scale: Scales = "2,4",
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace files that this command did not write.")
    ] = False,
    largest: Largest = None,
) -> None:
    """Write the low-resolution images beside the others, as MATLAB's bicubic makes them.

    The names are EDSR's. Files that are right are kept, so an interrupted call can be repeated.
    """
    from corenas_sr.data.datasets import refuse
    from corenas_sr.data.folders import find_hr_folders
    from corenas_sr.preparation.prepare import prepare as prepare_folder

    source = folder.expanduser()
    prepared = prepare_folder(
        source, parse_scales(scale), overwrite=overwrite, largest=pixels_of(largest)
    )
    _say_left_out(find_hr_folders(source))
    typer.echo(f"{prepared.made} images made, {prepared.kept} were there already")
    refuse(str(folder), prepared.problems)


def fetch(
    name: Annotated[str, typer.Argument(help="div2k, flickr2k or benchmark.")],
    to: Annotated[Path, typer.Option("--to", metavar="DIR", help="Where the images go.")],
    address: Annotated[
        str, typer.Option("--from", metavar="URL", help="Another server with the same archives.")
    ] = "",
) -> None:
    """Download a published image set; the same command continues where it was interrupted."""
    from corenas_sr.preparation.downloads import DATA_SETS
    from corenas_sr.preparation.downloads import fetch as fetch_archive

    if name not in DATA_SETS:
        raise UnknownName(f"unknown data set {name!r}{nearest(name, DATA_SETS)}")
    data_set = DATA_SETS[name]
    for archive in data_set.archives:
        fetched = fetch_archive(archive, address or data_set.address, to)
        say(f"{archive.name}: {'fetched' if fetched else 'is there already'}")
    say(f"{to}: look at it with 'corenas data check {to}'")
