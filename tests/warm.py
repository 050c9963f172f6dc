"""Forks a warm copy of itself for each command line, so that torch is imported only once.

Reads JSON objects, one a line: what to run, where its output goes, and what the process finds. The
copy leads a process group of its own, so that it and its workers can be killed together. Answers
with the exit status, negative for the signal that ended it.
"""

from __future__ import annotations

import gc
import io
import json
import os
import resource
import signal
import sys
from contextlib import redirect_stdout
from importlib import import_module
from typing import Any


def warm_up() -> None:
    """Import everything that a run needs; some of it torch and matplotlib import when used."""
    import torch
    from matplotlib.figure import Figure

    from corenas.cli import main
    from corenas.plugins.registry import default_registry

    for module in ("corenas_metrics.psnr", "corenas_metrics.ssim", "corenas_sr.commands.images"):
        import_module(module)
    import_module("corenas.report.page")
    for module in ("corenas_tpsr.dry_run", "corenas_tpsr.policy.reinforce", "corenas_tiny.recipe"):
        import_module(module)

    with redirect_stdout(io.StringIO()):
        main(["show", "tpsr"])
    default_registry.cache_clear()  # each test has plugins of its own
    torch.set_num_threads(1)
    torch.optim.Adam([torch.zeros(1, requires_grad=True)])
    Figure().savefig(io.BytesIO(), format="png")


def become(request: dict[str, Any]) -> None:
    """Take over what the request says of the process."""
    os.setsid()
    for descriptor, path in ((1, request["out"]), (2, request["err"])):
        os.dup2(os.open(path, os.O_CREAT | os.O_WRONLY | os.O_TRUNC), descriptor)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.environ.update(request["env"])
    sys.path[:] = request["path"]
    os.chdir(request["cwd"])
    if request["file_limit"]:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (request["file_limit"],) * 2)
    if request["save_always"]:
        from corenas.runs import run

        run.CHECKPOINT_SECONDS, run.CHECKPOINT_SHARE = 0.0, float("inf")


def serve() -> None:
    warm_up()
    gc.freeze()  # a collection in a copy would touch, and so copy, all that is shared
    print("ready", flush=True)
    for line in sys.stdin:
        pid = os.fork()
        if pid == 0:
            from corenas.cli import main

            request = json.loads(line)
            become(request)
            sys.argv = ["corenas", *request["arguments"]]
            status = main()
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(status)  # an orderly end would touch, and so copy, all that was shared
        _, status = os.waitpid(pid, 0)
        print(os.waitstatus_to_exitcode(status), flush=True)


if __name__ == "__main__":
    serve()
