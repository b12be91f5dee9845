"""Turn a run's options into what it works with; anything wrong with them ends the run here, in seconds."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from lora_checks.core import kit
from lora_checks.core.errors import (
    ALSO,
    ConfigError,
    LoraChecksError,
    LoraFileError,
    PrerequisiteError,
    StoreError,
)
from lora_checks.core.records import Policy
from lora_checks.core.remote.place import Place, place_of
from lora_checks.core.store import Progress
from lora_checks.diffusion.cluster import Asked
from lora_checks.gate import axis, earlier, ledger
from lora_checks.gate.facts import RunFacts
from lora_checks.gate.ledger import FILE_CHECK, OWN_CHECKS
from lora_checks.gate.provided import open_custom, open_provided, provided, refuse_generating
from lora_checks.gate.run import GateRun, open_generating
from lora_checks.gate.run_record import RunRecord
from lora_checks.lora.candidates import Candidate, candidates, companions
from lora_checks.policy import reading
from lora_checks.record.regression.against import Against, open_against
from lora_checks.report import custom

WAY_OUT = "name another folder with --lora-report"


class Voice(Protocol):
    """Tell people how far a run has come."""

    def bar(self, what: str) -> Progress:
        """Open a progress bar."""
        ...

    def say(self, text: str) -> None:
        """Print a message from this process."""
        ...

    def say_once(self, text: str) -> None:
        """Print a message that every process of the run would print."""
        ...


@dataclass(frozen=True, slots=True)
class Opened:
    """A run whose policy has been read and whose files have been found."""

    run: GateRun
    loras: Mapping[str, Candidate]
    against: Against | None  # the last approved release, if --lora-baseline names it
    axis: str = ""  # of --lora-axis

    def record(self, folder: Path, command: str, files: bool) -> RunRecord:
        """Begin the record of the run.

        Args:
            folder: where the report goes.
            command: the command line, for the report.
            files: whether the candidates are LoRA files, rather than folders of pictures alone.
        """
        own = (*((FILE_CHECK,) if files else ()), self.run.source.check)
        allowances = () if self.against is None else self.against.checks
        required = ledger.required(self.loras, own, self.run.policy.thresholds, allowances)
        return RunRecord(RunFacts(self.run, self.loras, self.against, required, folder, command, self.axis))


def open_run(option: Any, here: Path, policy_folder: Path, voice: Voice) -> Opened:
    """Read the policy and find the LoRAs. Raises `ConfigError` and other `LoraChecksError`.

    Args:
        option: the gate's options, as `lora_checks.gate.options` names them.
        here: the folder to which paths are relative.
        policy_folder: where thresholds.yaml and prompts.yaml are.
        voice: shows progress and messages to people.
    """
    custom.refuse_clashes()
    if option.lora_offline is not None:
        kit.use(here / option.lora_offline, offline=True)
    elsewhere = option.lora_images is not None
    if elsewhere:
        refuse_generating(option)
    loras = {} if elsewhere else candidates(option.lora, option.lora_scale, here)
    policy = reading.load_policy(
        policy_folder,
        thresholds=_path(here, option.lora_thresholds),
        prompts=_path(here, option.lora_prompts),
        references=_path(here, option.lora_references),
        base=option.lora_base,
        seeds=option.lora_seeds,
        generates=not elsewhere,
    )
    _refuse_own_names(policy)
    if elsewhere:
        policy, loras = provided(option, here, policy)
    run = _run(option, here, policy, voice, loras)
    against = open_against(option.lora_baseline, here, policy, option.lora_until_decided)
    return Opened(run, loras, against, axis.asked(option.lora_axis, loras, policy))


def check(opened: Opened, voice: Voice, judges: bool = True) -> None:
    """Find what is wrong before any image is made.

    Args:
        opened: the run.
        voice: prints the warnings.
        judges: False for a run that only lists its checks and needs no network.
    """
    run = opened.run
    try:
        run.preflight()
        run.refuse_out_of_reach()
    except (ConfigError, PrerequisiteError) as error:
        raise _with_the_rest(error, run) from error
    if run.cluster is not None and judges:
        run.cluster.open()
    if judges and any(map(_is_readable, opened.loras.values())):
        run.measurer.test_networks()
    for warning in run.warnings:
        voice.say_once(warning)


def _with_the_rest(error: LoraChecksError, run: GateRun) -> LoraChecksError:
    """Return the error with whatever else is wrong with the policy, so that all of it is mended at once."""
    from lora_checks.gate.readiness import wrong_with_policy

    others = [sentence for sentence in wrong_with_policy(run) if not _says(str(error), sentence)]
    return type(error)(ALSO.join([str(error), *others]))


def _says(text: str, sentence: str) -> bool:
    """Return whether a message ends as the sentence does; only what comes before may be spelt otherwise."""
    return text.endswith(sentence.rpartition(": ")[2])


def warn_of_another_setting(record: RunRecord, voice: Voice) -> None:
    """Warn, before an hour of generation, that the comparison will be an ERROR; other rows are judged."""
    against = record.facts.against
    obstacles = [] if against is None else against.obstacles(record.facts.plain)
    if obstacles:
        voice.say_once(f"--lora-baseline: cannot be compared with this run: {'; '.join(obstacles)}")


def enter_store(run: GateRun, at_end: Callable[[Callable[[], None]], object]) -> None:
    """Remove what killed runs left in the store, and block garbage collection during this one."""
    run.store.sweep()
    at_end(run.store.leave)
    run.store.enter()
    if run.cluster is not None:
        at_end(run.cluster.close)


def report_folder(option: Any, here: Path) -> Path:
    return _path(here, option.lora_report) or store_place(option, here).shown / earlier.REPORT


def clear(folder: Path, option: Any, here: Path, more: Iterable[Path] = ()) -> None:
    """Remove what an earlier run left in the report's folder: this run may be refused or killed.

    Raises `StoreError` if it cannot be removed.
    """
    stuck = [*earlier.clear(folder, option.lora_baseline or "", here), *earlier.remove(list(more))]
    if stuck:
        raise StoreError("; ".join(stuck))


def prepare(folder: Path) -> None:
    """Raise `StoreError` if the report cannot be written, before an hour of generation."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise StoreError(f"cannot write the report to {folder}: {error.strerror}; {WAY_OUT}") from error


def _is_readable(candidate: Candidate) -> bool:
    """Tell whether the file can be read; one that is refused gets its own row and needs no network."""
    try:
        candidate.read()
    except LoraFileError:
        return False
    return True


def _refuse_own_names(policy: Policy) -> None:
    """Refuse a row named like one of the gate's own, for which it would be mistaken and never judged."""
    for row in policy.thresholds:
        if row.name in OWN_CHECKS:
            raise ConfigError(f"{row.source}: '{row.name}' is a row of the gate itself; choose another name")


def _run(option: Any, here: Path, policy: Policy, voice: Voice, loras: Mapping[str, Candidate]) -> GateRun:
    store = store_place(option, here)
    if option.lora_batch_size is not None and option.lora_batch_size < 1:
        raise ConfigError("--lora-batch-size must be 1 or more")
    if option.lora_images is not None and option.lora_source is None:
        return open_provided(option, here, policy, store, voice.bar, loras)
    if option.lora_source is not None:
        return open_custom(option, here, policy, store, voice.bar)
    return open_generating(
        policy,
        store,
        option.lora_device,
        option.lora_dtype,
        option.lora_batch_size,
        voice.bar,
        companions=companions(option.lora_with, here),
        most=option.lora_until_decided,
        offload=option.lora_offload,
        save_memory=option.lora_save_memory,
        compiled=option.lora_compile,
        loras=list(loras.values()),
        say=voice.say,
        cluster=_cluster(option),
        offline=_path(here, option.lora_offline),
    )


def _cluster(option: Any) -> Asked | None:
    if option.lora_cluster is None:
        return None
    if option.lora_compile:
        raise ConfigError("--lora-cluster: its workers do not compile; leave out --lora-compile")
    workers, timeout = option.lora_cluster_workers, option.lora_cluster_timeout
    return Asked(option.lora_cluster, workers, timeout, option.lora_device)


def store_place(option: Any, here: Path) -> Place:
    """Return where the options say that the store is. Raises `ConfigError`."""
    return place_of(option.lora_store, here, option.lora_store_cache, option.lora_store_cache_size)


def _path(here: Path, text: str | None) -> Path | None:
    return None if text is None else here / text
