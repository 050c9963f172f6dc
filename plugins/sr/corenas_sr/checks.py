"""What ``corenas doctor`` says of super-resolution: pretrained weights, and decoded images kept."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from corenas.files import cache_folder
from corenas.plugins.checks import Check

GIB = 2**30


def find_weights() -> Check:
    """Name the files of torchvision's cache; what needs others asks for a file."""
    try:
        import torch
    # A broken installation raises anything; there is a check of its own for that.
    except Exception as error:
        return Check("pretrained weights", f"torch cannot be imported: {error}", ok=False)
    folder = Path(torch.hub.get_dir()) / "checkpoints"
    files = sorted(file.name for file in folder.glob("*.pth"))
    return Check("pretrained weights", f"{folder}: {', '.join(files) or 'none'}")


def measure_store() -> Check:
    """Say how much of the disk decoded images take, which can be removed at any time."""
    folder, size = cache_folder() / "images", 0
    for file in folder.rglob("*"):
        with suppress(OSError):  # a run may have removed it meanwhile
            size += file.stat().st_size
    return Check("decoded images", f"{folder}: {size / GIB:.1f} GiB")
