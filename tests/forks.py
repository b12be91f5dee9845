"""Runs modules in processes that fork from one which has imported the large libraries already.

A process of its own imports torch, diffusers and their like for about ten seconds of CPU time, and then gates
a LoRA of the miniature in three. A fork has them at once; all else about it is as in a new process: its
memory, folder, environment, streams and exit status. Nothing of the gate is imported before the fork.

A fork cannot show what is imported at all, or what libraries read from the environment while they are
imported: such tests start a process of their own (`shares`).
"""

from __future__ import annotations

import atexit
import gc
import json
import os
import runpy
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from importlib import import_module
from importlib.metadata import entry_points
from pathlib import Path
from select import select
from typing import Any

LIBRARIES = (  # without onnxruntime, which starts a thread that a fork would not have
    *("pytest", "numpy.random", "PIL.Image", "PIL.PngImagePlugin", "yaml", "jinja2", "safetensors.torch"),
    *("scipy.linalg", "scipy.spatial", "scipy.stats", "cv2", "onnx", "requests"),
    *("torch", "torchvision", "huggingface_hub", "transformers", "peft", "lpips", "open_clip", "pytorch_fid"),
    *("pandas", "pyarrow.parquet", "ftfy", "accelerate"),
    *("diffusers.pipelines.auto_pipeline", "diffusers.schedulers", "skimage.transform"),
)

TIMEOUT = 600  # seconds that a run may take


def shares(changes: Mapping[str, str]) -> bool:
    """Tell whether a run with these changes of the environment may fork: no library reads them."""
    own = ("PYTEST_", "GITHUB_", "PYTHONPATH", "COLUMNS")
    return all(name.startswith(own) for name in changes)


class Forks:
    """Starts the process to fork from with the first run, and ends it with this process."""

    def __init__(self) -> None:
        self._parent: subprocess.Popen[str] | None = None

    def run(
        self, module: str, arguments: Sequence[str], folder: Path, environment: Mapping[str, str]
    ) -> subprocess.CompletedProcess[str]:
        """Run ``python -m module arguments`` in a folder, with nothing on its standard input.

        Raises:
            subprocess.TimeoutExpired: After `TIMEOUT` seconds.
        """
        parent = self._parent = self._parent or _started(environment)
        assert parent.stdin is not None
        assert parent.stdout is not None
        with tempfile.TemporaryDirectory() as streams:
            out, err = (Path(streams, name) for name in ("out", "err"))
            task = {"module": module, "arguments": arguments, "folder": str(folder.absolute())}
            task |= {"environment": dict(environment), "out": str(out), "err": str(err)}
            parent.stdin.write(json.dumps(task) + "\n")
            parent.stdin.flush()
            child = int(parent.stdout.readline())
            if not select([parent.stdout], [], [], TIMEOUT)[0]:
                os.kill(child, 9)
                parent.stdout.readline()
                raise subprocess.TimeoutExpired([module, *arguments], TIMEOUT)
            status = int(parent.stdout.readline())
            return subprocess.CompletedProcess([module, *arguments], status, out.read_text(), err.read_text())


FORKS = Forks()


def _started(environment: Mapping[str, str]) -> subprocess.Popen[str]:
    command = [sys.executable, __file__]
    parent = subprocess.Popen(
        command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
    )
    assert parent.stdin is not None

    def end() -> None:
        parent.stdin.close()
        parent.wait()

    atexit.register(end)
    return parent


def main() -> None:
    """Import the libraries, then fork for each line of the standard input."""
    standard = _paths_without(Path(__file__).parent)
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # nothing that a library prints is an answer
    for name in LIBRARIES:
        import_module(name)
    import_module("PIL.Image").init()
    _forget_plugins()
    gc.collect()
    gc.freeze()  # a collection in a fork copies no page of these modules
    for line in sys.stdin:
        child = os.fork()
        if not child:
            _become(json.loads(line), standard)
            return
        print(child, file=answers, flush=True)
        _, status = os.waitpid(child, 0)
        print(os.waitstatus_to_exitcode(status), file=answers, flush=True)


def _paths_without(folder: Path) -> list[str]:
    """Return sys.path without this script's folder and PYTHONPATH, of which each run has its own."""
    given = {str(folder), *os.environ.get("PYTHONPATH", "").split(os.pathsep)}
    return [path for path in sys.path if path not in given]


def _forget_plugins() -> None:
    """Let pytest import its plugins itself: it rewrites them, and warns of each that is imported already."""
    packages = {point.value.partition(".")[0] for point in entry_points(group="pytest11")}
    for name in [name for name in sys.modules if name.partition(".")[0] in packages]:
        del sys.modules[name]


def _become(task: Mapping[str, Any], standard: Sequence[str]) -> None:
    for number, path in ((1, task["out"]), (2, task["err"])):
        stream = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(stream, number)
        os.close(stream)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    os.environ.clear()
    os.environ.update(task["environment"])
    os.chdir(task["folder"])
    paths = os.environ.get("PYTHONPATH", "")
    sys.path[:] = [task["folder"], *(paths.split(os.pathsep) if paths else []), *standard]
    sys.argv[1:] = task["arguments"]
    runpy.run_module(task["module"], run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
