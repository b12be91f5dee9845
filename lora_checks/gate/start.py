"""The options of a run -> its `Session`; whatever is wrong with them ends the run here, in seconds."""

from __future__ import annotations

import os
import shlex
import tempfile
from pathlib import Path
from typing import Any

import pytest

from lora_checks.core import packages
from lora_checks.core.errors import ConfigError, LoraChecksError, LoraFileError, StoreError
from lora_checks.core.records import Policy
from lora_checks.core.store import Store, explained
from lora_checks.gate import earlier, ledger
from lora_checks.gate.console import Console
from lora_checks.gate.facts import RunFacts
from lora_checks.gate.ledger import FILE_CHECK, OWN_CHECKS
from lora_checks.gate.provided import open_provided, provided_candidates
from lora_checks.gate.run import GateRun, open_generating
from lora_checks.gate.run_record import RunRecord
from lora_checks.gate.session import SESSION, Session
from lora_checks.lora.candidates import Candidate, candidates, companions
from lora_checks.policy import reading as policies
from lora_checks.publish import trackers
from lora_checks.publish.trackers.after_run import AfterRun
from lora_checks.record.regression.against import Against, open_against


def start(config: pytest.Config) -> Session:
    """Read policy and files; anything wrong ends the run here, before a model is loaded."""
    option, here = config.option, config.invocation_params.dir
    console = Console(config)
    _share_cores()
    try:
        folder = _clear(config)
        targets = trackers.chosen(option.lora_log)
        loras = _candidates(option, here)
        policy = policies.load_policy(
            _policy_folder(config),
            thresholds=_path(here, option.lora_thresholds),
            prompts=_path(here, option.lora_prompts),
            references=_path(here, option.lora_references),
            base=option.lora_base,
            seeds=option.lora_seeds,
        )
        _refuse_own_names(policy)
        run = _run(option, here, policy, console)
        against = open_against(option.lora_baseline, here, policy, option.lora_until_decided)
        _prepare(config, folder)
        if not hasattr(config, "workerinput"):
            _enter(config, run.store)
        run.preflight()
        run.refuse_out_of_reach()
        if not option.collectonly and any(map(_is_readable, loras.values())):
            run.measurer.test_networks()
        for warning in run.warnings:
            console.say_once(warning)
        session = Session(config, run, _record(config, run, loras, against, folder))
        _warn_of_another_setting(session, console)
    except LoraChecksError as error:
        raise pytest.UsageError(str(error)) from None
    except ModuleNotFoundError as error:  # an installation that can verify and report, and not gate
        raise pytest.UsageError(packages.missing(error)) from None
    config.stash[SESSION] = session
    # Before the trackers: of two outermost wrappers the later one ends last.
    config.pluginmanager.register(session, "lora_checks.gate.session")
    if targets and not session.worker:
        logging = AfterRun(config, targets, folder)
        config.pluginmanager.register(logging, "lora_checks.after_run")
    return session


def _record(
    config: pytest.Config, run: GateRun, loras: dict[str, Candidate], against: Against | None, folder: Path
) -> RunRecord:
    own = (
        (run.source.check,)
        if config.option.lora_images and not config.option.lora
        else (FILE_CHECK, run.source.check)
    )
    allowances = () if against is None else against.checks
    needed = ledger.required(loras, own, run.policy.thresholds, allowances)
    command = shlex.join(["pytest", *map(str, config.invocation_params.args)])
    return RunRecord(RunFacts(run, loras, against, needed, folder, command))


def _candidates(option: Any, here: Path) -> dict[str, Candidate]:
    if option.lora_images is not None:
        return provided_candidates(option, here)
    return candidates(option.lora, option.lora_scale, here)


def _is_readable(candidate: Candidate) -> bool:
    """A file that is refused, in its own row, needs no network."""
    try:
        candidate.read()
    except LoraFileError:
        return False
    return True


def _enter(config: pytest.Config, store: Store) -> None:
    """What killed runs left in the store goes, and nobody tidies it up during this one."""
    store.sweep()
    with explained(store.root):
        store.locks.enter()
    config.add_cleanup(store.locks.leave)


def _refuse_own_names(policy: Policy) -> None:
    """A row of the same name as one of the gate's own would be taken for it, and never be judged."""
    for row in policy.thresholds:
        if row.name in OWN_CHECKS:
            raise ConfigError(f"{row.source}: '{row.name}' is a row of the gate itself; choose another name")


def _warn_of_another_setting(session: Session, console: Console) -> None:
    """That a comparison must end in ERROR is known before an hour of generation; the other rows are not."""
    obstacles = [] if session.against is None else session.against.obstacles(session.record.facts.plain)
    if obstacles:
        console.say_once(f"--lora-baseline: cannot be compared with this run: {'; '.join(obstacles)}")


def _run(option: Any, here: Path, policy: Policy, console: Console) -> GateRun:
    store = _path(here, option.lora_store) or here / earlier.STORE
    if option.lora_batch_size is not None and option.lora_batch_size < 1:
        raise ConfigError("--lora-batch-size must be 1 or more")
    if option.lora_images is not None:
        return open_provided(option, here, policy, store, console.bar)
    return open_generating(
        policy,
        store,
        option.lora_device,
        option.lora_dtype,
        option.lora_batch_size,
        console.bar,
        companions=companions(option.lora_with, here),
        most=option.lora_until_decided,
        offload=option.lora_offload,
        save_memory=option.lora_save_memory,
        say=console.say,
    )


def _clear(config: pytest.Config) -> Path:
    """The report's folder, in which nothing of an earlier run is left: this run may be refused or killed."""
    option, here = config.option, config.invocation_params.dir
    store = _path(here, option.lora_store) or here / earlier.STORE
    folder = _path(here, option.lora_report) or store / earlier.REPORT
    if _judges(config):
        _lock(config, folder)
        xml = getattr(option, "xmlpath", None)
        stuck = earlier.clear(folder, option.lora_baseline or "", here)
        if stuck := [*stuck, *earlier.remove([earlier.junit_path(xml, here)] if xml else [])]:
            raise StoreError("; ".join(stuck))
    return folder


def _prepare(config: pytest.Config, folder: Path) -> None:
    """That the report can be written is known before an hour of generation."""
    if not _judges(config):
        return
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise StoreError(
            f"cannot write the report to {folder}: {error.strerror}; name another folder with --lora-report"
        ) from error
    _lock(config, folder)


def _lock(config: pytest.Config, folder: Path) -> None:
    earlier.lock_of(config, folder).require("name another folder with --lora-report")


def _judges(config: pytest.Config) -> bool:
    """Not a run that only lists, nor a worker, whose controller has the report."""
    return not (config.option.collectonly or config.option.help or hasattr(config, "workerinput"))


def _policy_folder(config: pytest.Config) -> Path:
    here = config.invocation_params.dir
    if config.option.lora_policy is not None:
        return here / str(config.option.lora_policy)
    return next((d for d in (here, config.rootpath) if (d / "thresholds.yaml").is_file()), here)


def _path(here: Path, given: str | None) -> Path | None:
    return None if given is None else here / given


def _share_cores() -> None:
    """Each xdist worker computes on its share of the cores; torch would take all of them in each."""
    workers = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    if workers > 1:
        os.environ.setdefault("OMP_NUM_THREADS", str(max(1, (os.cpu_count() or 1) // workers)))
