"""Networks of files: our own model files, those of other projects, and formats of plugins."""

from __future__ import annotations

from pathlib import Path

from corenas import Chosen, choose, default_registry
from corenas.errors import DataError
from corenas.files import mistaken_for
from corenas_sr.models._foreign import is_foreign, load_foreign
from corenas_sr.models.files import Network, load_model

_READERS = "network_files"


def load_network(path: Path) -> Network:
    """Read a model file of CoreNAS, one that spandrel knows, or one of a plugin's formats.

    Raises:
        DataError: The file is missing, damaged or holds no network of this kind.
        InputError: It needs a newer version, a plugin or a package that is not there.
    """
    reader = _reader_of(path)
    if reader is None and is_foreign(path):
        return load_foreign(path)
    if what := mistaken_for(path):
        raise DataError(f"{path}: {what}")
    if reader is not None:
        network: Network = reader.build(path)
        return network
    model = load_model(path)
    return Network(model.module, model.scale)


def _reader_of(path: Path) -> Chosen | None:
    """Return what reads files of this name's ending, or None where no plugin says so."""
    for name, component in default_registry().components(_READERS).items():
        if path.suffix.lower() in component.metadata.suffixes:
            return choose(_READERS, name)
    return None
