"""A `python` for shell steps: pytest and lora_checks run as forks (`forks`), all else by this very Python.

What a step hands over (arguments, folder, environment, streams, exit status) is as with any `python`. What
libraries read from the environment while they are imported, such as HF_HOME, a fork does not see: a test
of each workflow takes the real one.
"""

from __future__ import annotations

import json
import socketserver
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

import forks
import pytest

SCRIPT = """\
#!{python} -SE
import json, os, socket, sys

if sys.argv[1:3] not in (["-m", "pytest"], ["-m", "lora_checks"]):
    os.execv({python!r}, [{python!r}, *sys.argv[1:]])
task = {{"module": sys.argv[2], "arguments": sys.argv[3:]}}
task |= {{"folder": os.getcwd(), "environment": dict(os.environ)}}
with socket.socket(socket.AF_UNIX) as there:
    there.connect({address!r})
    there.sendall(json.dumps(task).encode())
    there.shutdown(socket.SHUT_WR)
    status, out, err = json.loads(there.makefile().read())
sys.stdout.write(out)
sys.stderr.write(err)
sys.exit(status if status >= 0 else 128 - status)
"""


class _Runs(socketserver.StreamRequestHandler):
    """One run for each connection."""

    def handle(self) -> None:
        task = json.loads(self.rfile.read())
        try:
            done = forks.FORKS.run(
                task["module"], task["arguments"], Path(task["folder"]), task["environment"]
            )
            answer = [done.returncode, done.stdout, done.stderr]
        except subprocess.TimeoutExpired as error:
            answer = [124, "", str(error)]
        self.wfile.write(json.dumps(answer).encode())


@pytest.fixture(scope="session")
def python() -> Iterator[str]:
    """The path of the stand-in."""
    with tempfile.TemporaryDirectory() as folder:
        address = f"{folder}/runs"  # short: a socket's name has at most 107 bytes
        script = Path(folder, "python")
        script.write_text(SCRIPT.format(python=sys.executable, address=address))
        script.chmod(0o755)
        with socketserver.UnixStreamServer(address, _Runs) as server:
            threading.Thread(target=server.serve_forever, daemon=True).start()
            yield str(script)
            server.shutdown()
