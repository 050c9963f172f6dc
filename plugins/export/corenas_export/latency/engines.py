"""Engines: ONNX Runtime, OpenVINO, and any command line."""

from __future__ import annotations

import copy
import math
import os
import re
import shlex
import signal
import subprocess
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from torch import nn

from corenas.cost import Shape
from corenas.errors import ConfigError, CorenasError
from corenas.plugins.hookspecs import NoOptions
from corenas_export.config import CommandConfig, OnnxConfig
from corenas_export.format import Sizes, Source
from corenas_sr.latency.torch_engine import Here, some_input, timed

_UNITS = {
    "": 1e-3,
    "ms": 1e-3,
    "msec": 1e-3,
    "s": 1.0,
    "us": 1e-6,
    "µs": 1e-6,
    "μs": 1e-6,
    "ns": 1e-9,
}
"""Seconds of a number with a unit behind it. There are two signs for micro."""

_NUMBER = re.compile(
    r"(?<![\w.])([-+]?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?)"
    rf"(?: ?({'|'.join(filter(None, _UNITS))}))?(?!\w|\.\d)"
)

_FILE, _THREADS = "{file}", "{threads}"


def _write_onnx(network: nn.Module, shape: Shape, folder: Path) -> Path:
    from corenas_export.onnx_files.format import convert, save

    _, channels, height, width = shape
    source = Source(
        path=Path("network"),
        module=copy.deepcopy(network).cpu(),
        scale=1,
        sizes=Sizes(),
        radius=None,
        size=(width, height),
        facts={},
        model=None,
        say=_say_nothing,
        channels=channels,
    )
    file = folder / "network.onnx"
    save(convert(source, OnnxConfig(images="float")), file)
    return file


def _say_nothing(text: str) -> None:
    pass


class OnnxRuntimeEngine(Here):
    """ONNX Runtime on the CPU."""

    def __init__(self, config: NoOptions) -> None:
        del config

    def name(self) -> str:
        """Return ONNX Runtime's version."""
        import onnxruntime

        return f"ONNX Runtime {onnxruntime.__version__}"

    def prepare(
        self, network: nn.Module, shape: Shape, folder: Path, *, threads: int
    ) -> Callable[[], float]:
        """Convert the network and return a run of it."""
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
        session = onnxruntime.InferenceSession(
            _write_onnx(network, shape, folder), options, providers=["CPUExecutionProvider"]
        )
        given = {"images": some_input(shape).numpy()}
        return timed(lambda: session.run(None, given))


class OpenVinoEngine(Here):
    """OpenVINO on the CPU, with the numbers that it takes by itself."""

    def __init__(self, config: NoOptions) -> None:
        del config

    def name(self) -> str:
        """Return OpenVINO's version."""
        import openvino

        return f"OpenVINO {openvino.__version__.split('-')[0]}"

    def prepare(
        self, network: nn.Module, shape: Shape, folder: Path, *, threads: int
    ) -> Callable[[], float]:
        """Convert the network and return a run of it."""
        import openvino

        model = openvino.convert_model(_write_onnx(network, shape, folder))
        options = {"INFERENCE_NUM_THREADS": threads, "PERFORMANCE_HINT": "LATENCY"}
        compiled = openvino.Core().compile_model(model, "CPU", options)
        image = some_input(shape).numpy()
        return timed(lambda: compiled(image))


class CommandEngine:
    """A command line, such as one that runs a benchmark on a phone."""

    def __init__(self, config: CommandConfig) -> None:
        self.config = config
        self.runs = config.runs
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

    def prepare(
        self, network: nn.Module, shape: Shape, folder: Path, *, threads: int
    ) -> Callable[[], float]:
        """Write an ONNX file and return a call of the command."""
        file = str(_write_onnx(network, shape, folder))
        given = self._words if _FILE in self.config.command else [*self._words, _FILE]
        words = [word.replace(_FILE, file).replace(_THREADS, str(threads)) for word in given]
        return lambda: self._call(words)

    def _call(self, words: list[str]) -> float:
        """Return the last number that the command prints, in seconds."""
        what = f"{self.config.command!r}"
        try:
            status, out, error_text = _run(words, self.config.timeout)
        except OSError as error:
            raise ConfigError(f"command: {what}: {error.strerror or error}") from error
        except subprocess.TimeoutExpired as error:
            raise CorenasError(f"{what} took longer than {self.config.timeout:g} s") from error
        if status:
            last = (error_text.strip() or out.strip()).splitlines()[-1:]
            raise CorenasError(f"{what} ended with status {status}: {''.join(last)}")
        numbers = _NUMBER.findall(out)
        number, unit = numbers[-1] if numbers else (math.nan, "")
        seconds = float(number) * _UNITS[unit]
        if not 0 < seconds < math.inf:
            raise CorenasError(f"{what} printed no milliseconds, but {out.strip()[-200:]!r}")
        return seconds


def _run(words: list[str], timeout: float) -> tuple[int, str, str]:
    """Return a command's exit status, and what it printed; nothing of it is left after an error.

    Raises:
        OSError: It cannot be started.
        subprocess.TimeoutExpired: It took too long.
    """
    with subprocess.Popen(
        words,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
        start_new_session=True,
    ) as process:
        try:
            out, error_text = process.communicate(timeout=timeout)
        except BaseException:
            # With what it has started: that would go on beside the next measurement.
            if os.name == "posix":
                with suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
            process.kill()
            raise
    return process.returncode, out, error_text
