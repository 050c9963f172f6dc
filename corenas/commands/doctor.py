"""``doctor``: whether this machine has what a run needs."""

from __future__ import annotations

import os
import platform
import shutil
import sys
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

import attrs
import typer

from corenas.commands.output import Json, print_columns, print_json
from corenas.devices import default_workers
from corenas.files import cache_folder
from corenas.plugins.checks import Check
from corenas.plugins.registry import default_registry

GIB = 2**30
NEEDED_DISK = 1 * GIB


def add_commands(app: typer.Typer) -> None:
    """Add the command to the command line."""
    app.command()(doctor)


def doctor(as_json: Json = False) -> None:
    """Check this machine; exit status 1 when something is broken."""
    checks = list(_check_all())
    healthy = all(check.ok for check in checks)
    if as_json:
        print_json({"ok": healthy, "checks": [attrs.asdict(check) for check in checks]})
    else:
        marks = {True: "ok", False: "BROKEN"}
        print_columns((marks[check.ok], check.name, check.found) for check in checks)
    if not healthy:
        raise typer.Exit(1)


def _check_all() -> Iterator[Check]:
    yield Check("python", f"{platform.python_version()} ({sys.executable})")
    yield Check("corenas", version("corenas"))
    for plugin in default_registry().plugins:
        found = f"{plugin.distribution} {plugin.version}".strip()
        problem = f": {plugin.error}" if plugin.error else ""
        yield Check(f"plugin {plugin.name}", f"{found}{problem}", not plugin.error)
    yield from _check_torch()
    yield Check("cores", str(default_workers(("cpu",))))
    yield _check_disk(Path.cwd())
    yield _check_cache(cache_folder())
    yield from _ask_plugins()


def _ask_plugins() -> Iterator[Check]:
    for answer in default_registry().ask("corenas_checks", Check):
        yield from answer.items
        for fault in filter(None, (*answer.strays, answer.error)):
            yield Check(f"checks of {answer.plugin}", fault, ok=False)


def _check_torch() -> Iterator[Check]:
    try:
        import torch
    # A broken installation raises OSError, RuntimeError or anything else; doctor must survive it.
    except Exception as error:
        yield Check("torch", f"cannot be imported: {error}", ok=False)
        return
    yield Check("torch", torch.__version__)
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    for index in range(count):
        memory = torch.cuda.get_device_properties(index).total_memory / GIB
        yield Check(f"cuda:{index}", f"{torch.cuda.get_device_name(index)}, {memory:.0f} GiB")
    if not count:
        yield Check("cuda", f"{_explain_no_gpu()}; the CPU is used")


def _explain_no_gpu() -> str:
    import torch

    try:
        torch.cuda.init()  # type: ignore[no-untyped-call]  # torch has not typed it
    # torch has no class of errors for that.
    except Exception as error:
        lines = str(error).strip().splitlines() or [type(error).__name__]
        # The first sentence; what follows says where drivers are to be had.
        reason, _, _ = lines[0].partition(". ")
        return f"none: {reason}"
    return "none"


def _check_disk(folder: Path) -> Check:
    free = shutil.disk_usage(folder).free
    return Check("free disk", f"{free / GIB:.1f} GiB in {folder}", free >= NEEDED_DISK)


def _check_cache(folder: Path) -> Check:
    # It is made when it is needed, so what counts is the first parent that is there.
    existing = next(each for each in (folder, *folder.parents) if each.exists())
    writable = existing.is_dir() and os.access(existing, os.W_OK)
    return Check("cache", f"{folder}{'' if writable else ': cannot be written'}", writable)
