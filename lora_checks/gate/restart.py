"""Keep the gate's paths from deciding which project pytest takes its configuration from.

Pytest looks for its root folder and configuration before it loads plugins. It does not know ``--lora`` yet,
and mistakes the path in ``--lora /elsewhere/x.safetensors`` for a path to tests. If that could matter, the
same command is run again with ``--lora=/elsewhere/x.safetensors``, which cannot be mistaken.
"""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Collection, Sequence
from pathlib import Path

import pytest

from lora_checks.gate import earlier
from lora_checks.gate.command_line import bare_names, expanded, joined, values_of
from lora_checks.gate.options import OPTIONS

DECIDE = (  # the files by which pytest knows a project
    *("pytest.toml", ".pytest.toml", "pytest.ini", ".pytest.ini"),
    *("pyproject.toml", "tox.ini", "setup.cfg", "setup.py"),
)


class Restart:
    """Replace a run whose configuration was chosen by one of the gate's paths."""

    def __init__(self, config: pytest.Config, names: Collection[str]) -> None:
        self.arguments = joined(expanded(config.invocation_params.args), names)
        self.plugins = config.invocation_params.plugins
        self.environment = dict(os.environ)
        if addopts := os.environ.get("PYTEST_ADDOPTS"):
            self.environment["PYTEST_ADDOPTS"] = shlex.join(joined(expanded(shlex.split(addopts)), names))

    @pytest.hookimpl(tryfirst=True)
    def pytest_cmdline_main(self, config: pytest.Config) -> int:
        """Run the command again in a process free of the other project's configuration."""
        if lock := config.stash.get(earlier.LOCK, None):
            lock.release()  # the second run takes it
        foreign = {str(path) for path in config.getini("pythonpath")}
        sys.path[:] = [path for path in sys.path if path not in foreign]
        addopts = os.environ.get("PYTEST_ADDOPTS")
        os.environ.clear()
        os.environ.update(self.environment)
        try:
            return pytest.main(self.arguments, self.plugins)
        finally:
            if addopts is not None:
                os.environ["PYTEST_ADDOPTS"] = addopts


def asked(config: pytest.Config) -> list[str]:
    """Return the arguments from PYTEST_ADDOPTS and the command line, but not from configuration files."""
    addopts = shlex.split(os.environ.get("PYTEST_ADDOPTS", ""))
    return expanded([*addopts, *config.invocation_params.args])


def needed(config: pytest.Config, parser: pytest.Parser, arguments: Sequence[str]) -> bool:
    """Tell whether the configuration may be another project's; if so, `Restart` repeats the run.

    A worker of xdist is never asked: its run was, and has made folders since that would change the answer.
    """
    names = OPTIONS.keys() | bare_names(parser, arguments)
    if earlier.is_worker() or not misled(arguments, names, config.invocation_params.dir):
        return False
    config.pluginmanager.register(Restart(config, names), "lora_checks.restart")
    config.known_args_namespace.noconftest = True  # nor its conftest.py
    config.known_args_namespace.capture = "no"  # the second run captures
    return True


def misled(arguments: Sequence[str], names: Collection[str], here: Path) -> bool:
    """Tell whether a path after one of ``names`` can change where pytest looks for its configuration.

    It cannot if every path lies in the current folder, without a configuration file in between.
    """
    values = [value for _, value in values_of(arguments, names)]
    if not any(map(_exists, values)):
        return False
    paths = [text for text in arguments if not text.startswith("-") and _exists(text)]
    return not all(_belongs(Path(os.path.normpath(here / _file(path))), here) for path in paths)


def _belongs(path: Path, here: Path) -> bool:
    folder = path if path.is_dir() else path.parent
    folders = (folder, *folder.parents)
    if here not in folders:
        return False
    between = folders[: folders.index(here)]
    return not any((inner / name).is_file() for inner in between for name in DECIDE)


def _exists(text: str) -> bool:
    try:
        return Path(_file(text)).exists()
    except (OSError, ValueError):  # the text cannot be a path
        return False


def _file(text: str) -> str:
    return text.partition("::")[0]
