"""Networks in files of other formats: what says which files are read, and imports no torch."""

from __future__ import annotations

from attrs import frozen


@frozen
class NetworkFileInfo:
    """Metadata of a component of the kind ``network_files``.

    Such a component is built with the path of a file, and returns a
    `corenas_sr.models.files.Network`. It raises `corenas.errors.DataError` for a file that is
    damaged or holds no super-resolution network; nothing in a file is ever executed.

    Args:
        suffixes: How the names of its files end, in lower case, such as ``.onnx``.
    """

    suffixes: tuple[str, ...]
