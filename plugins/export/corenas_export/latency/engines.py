"""Engines: torch, ONNX Runtime, OpenVINO, and any command line."""

from __future__ import annotations

import math
import platform
import re
import shlex
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from corenas.errors import ConfigError, CorenasError
from corenas.plugins.hookspecs import NoOptions
from corenas_export.config import OnnxConfig
from corenas_export.format import Source
from corenas_export.latency.engine import CommandConfig

_NUMBER = re.compile(r"(?<![\w.])\d+(?:\.\d+)?(?:[eE][-+]?\d+)?(?![\w.])")

_FILE, _THREADS = "{file}", "{threads}"


def _image(source: Source) -> Tensor:
    assert source.size is not None
    width, height = source.size
    return 255 * torch.rand(1, 3, height, width, generator=torch.Generator().manual_seed(0))


def _timed(run: Callable[[], Any]) -> Callable[[], float]:
    def once() -> float:
        began = time.perf_counter()
        run()
        return time.perf_counter() - began

    return once


def _write_onnx(source: Source, folder: Path) -> Path:
    from corenas_export.onnx_files.format import convert, save

    file = folder / "network.onnx"
    save(convert(source, OnnxConfig(images="float")), file)
    return file


class _Here:
    """What computes on this machine."""

    def processor(self) -> str:
        """Return the name of the processor, as far as the system tells."""
        try:
            text = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
        except OSError:
            text = ""
        named = re.search(r"^model name\s*:\s*(.+)$", text, re.MULTILINE)
        return named[1] if named else platform.processor() or platform.machine()


class TorchEngine(_Here):
    """torch, eager, in the memory layout in which CoreNAS runs networks."""

    def __init__(self, config: NoOptions) -> None:
        del config

    def name(self) -> str:
        """Return torch's version."""
        return f"torch {torch.__version__}"

    def prepare(self, source: Source, folder: Path, *, threads: int) -> Callable[[], float]:
        """Return a forward pass; the threads are those of the process, which the caller sets."""
        image = _image(source).contiguous(memory_format=torch.channels_last)

        @torch.no_grad()
        def run() -> None:
            source.module(image)

        return _timed(run)


class OnnxRuntimeEngine(_Here):
    """ONNX Runtime on the CPU."""

    def __init__(self, config: NoOptions) -> None:
        del config

    def name(self) -> str:
        """Return ONNX Runtime's version."""
        import onnxruntime

        return f"ONNX Runtime {onnxruntime.__version__}"

    def prepare(self, source: Source, folder: Path, *, threads: int) -> Callable[[], float]:
        """Convert the network and return a run of it."""
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
        session = onnxruntime.InferenceSession(
            _write_onnx(source, folder), options, providers=["CPUExecutionProvider"]
        )
        given = {"images": _image(source).numpy()}
        return _timed(lambda: session.run(None, given))


class OpenVinoEngine(_Here):
    """OpenVINO on the CPU, with the numbers that it takes by itself."""

    def __init__(self, config: NoOptions) -> None:
        del config

    def name(self) -> str:
        """Return OpenVINO's version."""
        import openvino

        return f"OpenVINO {openvino.__version__.split('-')[0]}"

    def prepare(self, source: Source, folder: Path, *, threads: int) -> Callable[[], float]:
        """Convert the network and return a run of it."""
        import openvino

        model = openvino.convert_model(_write_onnx(source, folder))
        options = {"INFERENCE_NUM_THREADS": threads, "PERFORMANCE_HINT": "LATENCY"}
        compiled = openvino.Core().compile_model(model, "CPU", options)
        image = _image(source).numpy()
        return _timed(lambda: compiled(image))


class CommandEngine:
    """A command line, such as one that runs a benchmark on a phone."""

    def __init__(self, config: CommandConfig) -> None:
        self.config = config
        try:
            self._words = shlex.split(config.command)
        except ValueError as error:
            raise ConfigError(f"command: {config.command!r}: {error}") from error
        if not self._words:
            raise ConfigError(
                "command: a command line that prints milliseconds is needed, such as "
                "--set 'command=./measure.sh {file}'"
            )

    def name(self) -> str:
        """Return the command line."""
        return f"the command {self.config.command!r}"

    def processor(self) -> str:
        """Say that only the command knows."""
        return "a processor that the command knows"

    def prepare(self, source: Source, folder: Path, *, threads: int) -> Callable[[], float]:
        """Write an ONNX file and return a call of the command."""
        file = str(_write_onnx(source, folder))
        given = self._words if _FILE in self.config.command else [*self._words, _FILE]
        words = [word.replace(_FILE, file).replace(_THREADS, str(threads)) for word in given]
        return lambda: self._call(words)

    def _call(self, words: list[str]) -> float:
        """Return the last number that the command prints, in seconds."""
        what = f"{self.config.command!r}"
        try:
            done = subprocess.run(
                words,
                check=False,
                capture_output=True,
                text=True,
                errors="replace",
                stdin=subprocess.DEVNULL,
                timeout=self.config.timeout,
            )
        except OSError as error:
            raise ConfigError(f"command: {what}: {error.strerror or error}") from error
        except subprocess.TimeoutExpired as error:
            raise CorenasError(f"{what} took longer than {self.config.timeout:g} s") from error
        if done.returncode:
            last = (done.stderr.strip() or done.stdout.strip()).splitlines()[-1:]
            raise CorenasError(f"{what} ended with status {done.returncode}: {''.join(last)}")
        numbers = _NUMBER.findall(done.stdout)
        milliseconds = float(numbers[-1]) if numbers else math.nan
        if not 0 < milliseconds < math.inf:
            raise CorenasError(
                f"{what} printed no milliseconds, but {done.stdout.strip()[-200:]!r}"
            )
        return milliseconds / 1e3
