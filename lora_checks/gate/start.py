"""Start the `Session` of a gating run from pytest's options."""

from __future__ import annotations

import os
import shlex
from pathlib import Path

import pytest

from lora_checks.core import packages, project
from lora_checks.core.errors import ConfigError, LoraChecksError
from lora_checks.gate import cards, earlier, opening
from lora_checks.gate.console import Console
from lora_checks.gate.session import SESSION, Session
from lora_checks.publish import trackers
from lora_checks.publish.trackers.after_run import AfterRun


def start(config: pytest.Config) -> Session:
    """Read policy and files; anything wrong ends the run here, before a model is loaded.

    Raises `pytest.UsageError`.
    """
    _share_cores()
    try:
        project.find(config.invocation_params.dir).complete(config.option, "lora_")
        folder = _cleared(config)
        targets = trackers.chosen(config.option.lora_log)
        session = _opened(config, folder)
    except LoraChecksError as error:
        raise pytest.UsageError(str(error)) from None
    except ModuleNotFoundError as error:  # an installation that can verify and report, but not gate
        raise pytest.UsageError(packages.missing(error)) from None
    config.stash[SESSION] = session
    # Before the trackers: of two outermost wrappers, the one registered later ends last.
    config.pluginmanager.register(session, "lora_checks.gate.session")
    if targets and not session.worker:
        logging = AfterRun(config, targets, folder)
        config.pluginmanager.register(logging, "lora_checks.after_run")
    return session


def _opened(config: pytest.Config, folder: Path) -> Session:
    option, here, console = config.option, config.invocation_params.dir, Console(config)
    if option.lora_cluster is not None and cards.count(config):
        raise ConfigError("--lora-cluster has workers of its own: leave out -n, which is for one machine")
    option.lora_device = cards.own(config)
    opened = opening.open_run(option, here, _policy_folder(config), console)
    console.number(opened.loras)
    if _writes(config):
        opening.prepare(folder)
        _lock(config, folder)
    if not hasattr(config, "workerinput"):
        opening.enter_store(opened.run, config.add_cleanup)
    opening.check(opened, console, judges=not option.collectonly)
    command = shlex.join(["pytest", *map(str, config.invocation_params.args)])
    session = Session(config, opened.run, opened.record(folder, command, files=bool(option.lora)))
    opening.warn_of_another_setting(session.record, console)
    return session


def _cleared(config: pytest.Config) -> Path:
    """Remove what an earlier run left in the report's folder, and return the folder."""
    option, here = config.option, config.invocation_params.dir
    folder = opening.report_folder(option, here)
    if _writes(config):
        _lock(config, folder)
        xml = getattr(option, "xmlpath", None)
        opening.clear(folder, option, here, [earlier.junit_path(xml, here)] if xml else [])
    return folder


def _lock(config: pytest.Config, folder: Path) -> None:
    earlier.lock_of(config, folder).require(opening.WAY_OUT)


def _writes(config: pytest.Config) -> bool:
    """Tell whether this process writes a report: a worker does not, nor does a run that only lists."""
    return not (config.option.collectonly or config.option.help or hasattr(config, "workerinput"))


def _policy_folder(config: pytest.Config) -> Path:
    here = config.invocation_params.dir
    if config.option.lora_policy is not None:
        return here / str(config.option.lora_policy)
    return next((d for d in (here, config.rootpath) if (d / "thresholds.yaml").is_file()), here)


def _share_cores() -> None:
    """Give each xdist worker its share of the cores; torch would use all of them in every worker."""
    workers = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    if workers > 1:
        os.environ.setdefault("OMP_NUM_THREADS", str(max(1, (os.cpu_count() or 1) // workers)))
