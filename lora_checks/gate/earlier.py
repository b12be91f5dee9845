"""Remove an earlier run's verdict as soon as it is known where this run writes its own.

A run can end before it has read its policy: an option is misspelt, a conftest.py fails to import, the process
is killed. Nobody who reads the files afterwards must find the PASS of another run. So the paths are read from
the raw command line when pytest loads this plugin. If pytest ends before it loads any plugin (for example
``-p`` with a name that does not exist), the earlier files stay.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import shlex
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import pytest

if TYPE_CHECKING:
    from lora_checks.record.lock import ReportLock

LOCK: pytest.StashKey[ReportLock] = pytest.StashKey()
REPORT = "report"  # in the store: the default of --lora-report


@dataclass(frozen=True, slots=True)
class Targets:
    """The files of a gating run's verdict, as its command line names them."""

    report: Path
    junit: Path | None
    approved: str  # the value of --lora-baseline
    certain: bool  # False if only a bare `--images` asks for the gate: it may be another plugin's option
    ours: bool = True  # False if a bare `--report` or `--store` names the folder: it may be another plugin's


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise ValueError(message)


def withdraw(config: pytest.Config) -> None:
    """Remove the earlier verdict before the command line is parsed; print what cannot be removed."""
    targets = _targets(config)
    if targets is None or is_worker():
        return
    known = _is_report(targets.report)
    if not (targets.certain or known):
        return
    writable = (targets.ours or known) and lock_of(config, targets.report).take()
    stuck = clear(targets.report, targets.approved, config.invocation_params.dir) if writable else []
    for sentence in [*stuck, *remove([targets.junit] if targets.junit else [])]:
        sys.stderr.write(f"{sentence}\n")


def lock_of(config: pytest.Config, folder: Path) -> ReportLock:
    """Return this run's lock on its report folder; it is released when the run ends."""
    from lora_checks.record.lock import ReportLock

    lock = config.stash.get(LOCK, None)
    if lock is None or lock.folder != folder:
        if lock is not None:
            lock.release()
        lock = config.stash[LOCK] = ReportLock(folder, shlex.join(map(str, config.invocation_params.args)))
        config.add_cleanup(lock.release)
    return lock


def clear(folder: Path, approved: str, here: Path) -> list[str]:
    """Remove the files of an earlier verdict; return a sentence for each file that could not be removed."""
    from lora_checks.report.outputs import verdicts

    if approved and _is_inside(folder, approved, here):
        return [
            f"--lora-baseline {approved} is in {folder}, where the report of this run goes: nothing of it "
            "was removed, and it is not the verdict of this run; keep the approved report elsewhere, or name "
            "another folder with --lora-report"
        ]
    unfinished = folder.glob(".*.part")  # left by a run that was killed while writing
    return remove([*verdicts(folder), *unfinished])


def _is_inside(folder: Path, approved: str, here: Path) -> bool:
    """Tell whether the approved report (a file or folder, perhaps with ``#name``) lies in ``folder``."""
    for text in (approved, approved.rpartition("#")[0]):
        path = (here / text).resolve()
        if text and folder.resolve() in (path, path.parent) and path.exists():
            return True
    return False


def junit_path(text: str, here: Path) -> Path:
    """Return the file that ``--junitxml`` names, as pytest reads it."""
    return here / os.path.expanduser(os.path.expandvars(text))  # noqa: PTH111  # in pytest's own order


def read(arguments: Sequence[str], here: Path) -> Targets | None:
    """Read the targets from a raw command line; return None if it does not ask for the gate."""
    parser = _Parser(add_help=False, allow_abbrev=False, fromfile_prefix_chars="@")
    for name in ("lora", "lora-images", "images"):
        parser.add_argument(f"--{name}", dest=name, nargs="?", const="", action="append", default=[])
    for dest, names in (
        ("report", ("--lora-report", "--report")),
        ("store", ("--lora-store", "--store")),
        ("approved", ("--lora-baseline", "--baseline")),
        ("junit", ("--junitxml", "--junit-xml")),
    ):
        parser.add_argument(*names, dest=dest, nargs="?")
    try:
        options = vars(parser.parse_known_args(list(arguments))[0])
    except (ValueError, OSError):  # pytest reports what is wrong with it
        return None
    certain = bool(options["lora"] or options["lora-images"])
    if not (certain or options["images"]):
        return None
    if _refused(options["store"] or ""):  # before the command line, which may hold a password, is written
        return None
    report = here / options["report"] if options["report"] else _folder(options["store"], here) / REPORT
    junit = junit_path(options["junit"], here) if options["junit"] else None
    bare = {argument.partition("=")[0] for argument in arguments} & {"--report", "--store"}
    return Targets(report, junit, options["approved"] or "", certain, ours=not bare)


def _refused(store: str) -> bool:
    from lora_checks.core.errors import ConfigError
    from lora_checks.core.project import is_url

    if is_url(store):
        from lora_checks.core.remote.place import refuse

        try:
            refuse(store)
        except ConfigError:
            return True
    return False


def _folder(store: str | None, here: Path) -> Path:
    """Return the folder in which a report goes by default."""
    from lora_checks.core.project import STORE, is_url

    store = store or _of_project(here) or STORE
    return here / (STORE if is_url(store) else store)


def _of_project(here: Path) -> str | None:
    """Return the store that pyproject.toml names; what is wrong with the file is said when the run starts."""
    from lora_checks.core import project
    from lora_checks.core.errors import ConfigError

    with contextlib.suppress(ConfigError):
        return project.find(here).store
    return None


def _targets(config: pytest.Config) -> Targets | None:
    """Read the targets; return None also for a run that only lists and writes no report."""
    options = getattr(config, "known_args_namespace", None)
    if options is not None and (options.collectonly or options.help or options.version):
        return None
    arguments = [*_from_environment(), *_from_file(config), *map(str, config.invocation_params.args)]
    return read(arguments, config.invocation_params.dir)


def _from_environment() -> list[str]:
    with contextlib.suppress(ValueError):  # an open quote
        return shlex.split(os.environ.get("PYTEST_ADDOPTS", ""))
    return []


def _from_file(config: pytest.Config) -> list[str]:
    try:
        return list(map(str, config.getini("addopts")))
    except (KeyError, ValueError, AttributeError):  # no configuration has been read yet
        return []


def is_worker() -> bool:
    """Tell whether this is a pytest-xdist worker itself, and not a run that such a worker has started."""
    return "PYTEST_XDIST_WORKER" in os.environ and sys.argv[:1] == ["-c"]


def _is_report(folder: Path) -> bool:
    """Tell whether the folder holds a report of the gate, finished or not."""
    try:
        if (folder / "verdicts.jsonl").is_file():
            return True
        text = (folder / "report.json").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return False
    return '"schema"' in text and '"loras"' in text


def remove(paths: Sequence[Path]) -> list[str]:
    """Remove files; return a sentence for each that could not be removed."""
    return list(_remove(paths))


def _remove(paths: Sequence[Path]) -> Iterator[str]:
    for path in paths:
        if not (path.is_symlink() or path.is_file()):  # nothing, or a device such as /dev/null
            continue
        try:
            path.unlink()
        except OSError as trouble:
            if not _emptied(path):
                reason = trouble.strerror or trouble
                yield (
                    f"cannot remove {path} from an earlier run ({reason}): it is not the verdict of this "
                    "run; delete it, or write to another place"
                )


def _emptied(path: Path) -> bool:
    """Empty a file; where deleting is forbidden, writing often is not."""
    try:
        with path.open("w"):
            return True
    except OSError:
        return False
