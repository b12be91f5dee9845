"""Run the gate as a function: for notebooks, a trainer's hooks and schedulers.

It judges what ``pytest --lora`` judges and writes the same report, but reads no command line, configuration
file or conftest.py, never exits, and leaves the process as it was.
"""

from __future__ import annotations

import argparse
import logging
import os
import shlex
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from lora_checks.core import project
from lora_checks.core.errors import ConfigError, StoreError
from lora_checks.core.progress import Progress as Bar
from lora_checks.core.records import Outcome, Verdict
from lora_checks.core.store import Advance, Progress
from lora_checks.gate import code, opening, options
from lora_checks.gate.ending import Ending
from lora_checks.gate.judging import Judging
from lora_checks.gate.junit_file import JunitFile
from lora_checks.gate.run_record import RunRecord
from lora_checks.images import made
from lora_checks.judge.verdict import RunOutcome
from lora_checks.record import document as documents
from lora_checks.record.lock import ReportLock
from lora_checks.record.shapes import Document

PathLike = str | os.PathLike[str]
Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Result:
    """The result of a gating run."""

    outcome: RunOutcome  #: "PASS" only if every required row of every LoRA passed
    verdicts: tuple[Verdict, ...]  #: of each row and LoRA, in the order in which they were reached
    report: Path  #: report.json; report.html, report.md and others are next to it
    document: Document  #: the content of report.json, without its digest

    @property
    def passed(self) -> bool:
        """Whether the LoRAs may be released, since every required row of each was judged and passed."""
        return self.outcome == "PASS"

    @property
    def not_passed(self) -> tuple[Verdict, ...]:
        """The rows that did not pass, required or not."""
        return tuple(verdict for verdict in self.verdicts if verdict.outcome is not Outcome.PASS)


def run_gate(
    lora: PathLike | Iterable[PathLike] = (),
    *,
    policy: PathLike | None = None,
    store: PathLike | None = None,
    store_cache: PathLike | None = None,
    store_cache_size: str | None = None,
    report: PathLike | None = None,
    images: PathLike | Iterable[PathLike] = (),
    images_from: PathLike | None = None,
    images_made_with: str | None = None,
    baseline_images: PathLike | None = None,
    source: str | None = None,
    thresholds: PathLike | None = None,
    prompts: PathLike | None = None,
    references: PathLike | None = None,
    base: PathLike | None = None,
    scale: float | Iterable[float] | None = None,
    with_loras: PathLike | Iterable[PathLike] = (),
    seeds: int | None = None,
    until_decided: int | None = None,
    baseline: PathLike | None = None,
    axis: str | None = None,
    offline: PathLike | None = None,
    device: str = "auto",
    dtype: str = "auto",
    batch_size: int | None = None,
    offload: str = "auto",
    compile: bool = False,
    save_memory: str | Iterable[str] = (),
    cluster: str | None = None,
    cluster_workers: int | None = None,
    cluster_timeout: float | None = None,
    say: Say | None = None,
) -> Result:
    """Gate LoRAs: generate their images, measure them, judge them, and write the report.

    Each argument is the option of ``pytest --lora`` of the same name (docs/reference/commands.md).
    Relative paths start at the current folder.

    Args:
        lora: LoRA files, folders of them, or patterns.
        policy: folder with thresholds.yaml and prompts.yaml; the current folder if left out.
        store: where images and measurements are kept, a folder or a URL; ".lora_checks" if left out.
        store_cache: local folder in front of a store at a URL; in the user's cache folder if left out.
        store_cache_size: what that folder may keep after the run, such as "50GB"; no limit if left out.
        report: folder of the report; "report" in the store if left out, or in ".lora_checks" for a URL.
        images: folders of pictures made elsewhere; nothing is generated then.
        images_from: their prompts and seeds: a pattern such as "{prompt}_{seed}.png", or a CSV file.
        images_made_with: what the pictures call the LoRA.
        baseline_images: pictures of the same prompts and seeds without the LoRA.
        source: an image source that a package adds: "NAME" or "NAME:ARGUMENT"; nothing is generated then.
        thresholds: thresholds instead of the policy's.
        prompts: prompts instead of the policy's.
        references: pictures of the subject instead of the policy's.
        base: base model instead of the policy's.
        scale: strengths to gate each LoRA at; 1.0 if left out.
        with_loras: LoRAs that every image is made with, the base's too: PATH or "PATH:0.7".
        seeds: images per prompt instead of the policy's.
        until_decided: most images of a LoRA; generate until every row is decided.
        baseline: report.json of the last approved release, or "none".
        axis: x of the curves of several LoRAs, such as "rank"; the first key that differs if left out.
        offline: folder that `lora-checks fetch --to` made; nothing else is asked for weights.
        device: "auto", "cpu", "cuda", "cuda:1" or "mps".
        dtype: number format of the pipeline: "auto", "float32", "float16" or "bfloat16".
        batch_size: images generated at a time.
        offload: "auto", "none", "model", "group" or "sequential".
        compile: compile the denoiser's repeated blocks and swap the LoRAs into them.
        save_memory: one or more of "vae-slicing", "vae-tiling", "attention-slicing".
        cluster: a Ray cluster that makes the images: "auto", "HOST:PORT", "ray://HOST:PORT" or "local".
        cluster_workers: its workers; one for each GPU, or for each node without GPUs, if left out.
        cluster_timeout: seconds after which a busy worker is replaced; derived from earlier jobs if left out.
        say: called with each line of progress and each warning; silent if left out.

    Returns:
        The result. Bad quality, a damaged LoRA and trouble in measuring are verdicts, not exceptions.

    Raises:
        ConfigError: the arguments or the policy are wrong. Nothing was judged.
        PrerequisiteError: this machine lacks a device or a package.
        StoreError: the store or the report cannot be written, or another run is writing this report.
        LoraChecksError: anything else that ends a run before or after its verdicts; the base of all of these.

    Example:
        >>> from lora_checks import run_gate
        >>> result = run_gate("person.safetensors", policy="policy")  # doctest: +SKIP
        >>> result.outcome  # doctest: +SKIP
        'PASS'
    """
    arguments = _arguments(
        lora=lora,
        lora_policy=policy,
        lora_store=store,
        lora_store_cache=store_cache,
        lora_store_cache_size=store_cache_size,
        lora_report=report,
        lora_images=images,
        lora_images_from=images_from,
        lora_images_made_with=images_made_with,
        lora_baseline_images=baseline_images,
        lora_source=source,
        lora_thresholds=thresholds,
        lora_prompts=prompts,
        lora_references=references,
        lora_base=base,
        lora_scale=_joined(scale),
        lora_with=with_loras,
        lora_seeds=seeds,
        lora_until_decided=until_decided,
        lora_baseline=baseline,
        lora_axis=axis,
        lora_offline=offline,
        lora_device=device,
        lora_dtype=dtype,
        lora_batch_size=batch_size,
        lora_offload=offload,
        lora_compile=compile,
        lora_save_memory=_joined(save_memory),
        lora_cluster=cluster,
        lora_cluster_workers=cluster_workers,
        lora_cluster_timeout=cluster_timeout,
    )
    option = _parsed(arguments)
    with ExitStack() as at_end:
        at_end.enter_context(made.another_run())
        at_end.enter_context(_libraries_as_they_were())
        return _gated(option, Path.cwd(), shlex.join(["pytest", *arguments]), _Voice(say), at_end)


def _gated(option: Any, here: Path, command: str, voice: _Voice, at_end: ExitStack) -> Result:
    folder = opening.report_folder(option, here)
    lock = ReportLock(folder, command)
    at_end.callback(lock.release)
    lock.require(opening.WAY_OUT)
    opening.clear(folder, option, here)
    opened = opening.open_run(option, here, here / (option.lora_policy or ""), voice)
    opening.prepare(folder)
    lock.require(opening.WAY_OUT)  # the folder exists now
    opening.enter_store(opened.run, at_end.callback)
    opening.check(opened, voice)
    record = opened.record(folder, command, files=bool(option.lora))
    opening.warn_of_another_setting(record, voice)
    for candidate in opened.loras.values():
        for verdict in Judging(record, candidate).verdicts():
            record.enter(verdict)
    return _ended(record, here)


def _ended(record: RunRecord, here: Path) -> Result:
    for verdict in list(record.changed_files()):
        record.enter(verdict)
    run, folder = record.facts.run, record.facts.folder
    policy = run.policy
    files = code.of_run(policy, run.source, roots=(here,) if code.uses_other_code(policy) else ())
    ending = Ending(folder, JunitFile(tuple))
    ending.write(record.document(files))
    if ending.trouble:
        raise StoreError(ending.trouble)
    if ending.document["outcome"] == "PASS":
        ending.publish()
    ending.extend()
    verdicts = tuple(record.ledger.verdicts.values())
    return Result(ending.document["outcome"], verdicts, folder / documents.NAME, ending.document)


def _parsed(arguments: Sequence[str]) -> argparse.Namespace:
    """Read the gate's options without pytest. Raises `ConfigError`."""
    parser = _Parser(add_help=False, allow_abbrev=False)
    for name, attributes in options.OPTIONS.items():
        parser.add_argument(name, dest=options.destination(name), **attributes)
    option = parser.parse_args(list(arguments))
    if not options.gates(option):
        raise ConfigError("run_gate: nothing to gate; name LoRA files, or folders of pictures with images=")
    if wrong := options.out_of_place(option):
        raise ConfigError(wrong)
    project.find(Path.cwd()).complete(option, "lora_")
    return option


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise ConfigError(message)


@contextmanager
def _libraries_as_they_were() -> Iterator[None]:
    """Restore the log levels of diffusers and transformers, which the gate's pipeline silences."""
    names = ("diffusers.utils.logging", "transformers.utils.logging")
    before = {name: _loudness(sys.modules[name]) for name in names if name in sys.modules}
    try:
        yield
    finally:
        for name in names:
            if name in sys.modules:
                _set_loudness(sys.modules[name], *before.get(name, (logging.WARNING, True)))  # or as imported


def _loudness(library: Any) -> tuple[int, bool]:
    return library.get_verbosity(), library.is_progress_bar_enabled()


def _set_loudness(library: Any, verbosity: int, progress: bool) -> None:
    library.set_verbosity(verbosity)
    (library.enable_progress_bar if progress else library.disable_progress_bar)()


class _Voice:
    """Hand progress and warnings to the caller, one line at a time."""

    def __init__(self, say: Say | None) -> None:
        self._say = say

    def bar(self, what: str) -> Progress:
        @contextmanager
        def opened(total: int) -> Iterator[Advance]:
            with Bar(total, what, self.say, interactive=False) as bar:
                yield bar.advance

        return opened

    def say(self, text: str) -> None:
        for line in text.splitlines() if self._say else ():
            if line and self._say:
                self._say(line)

    say_once = say


def _arguments(**options_: object) -> list[str]:
    """Return the options as a command line, without those that are None, False or empty; True is a switch."""
    arguments: list[str] = []
    for destination, value in options_.items():
        name = f"--{destination.replace('_', '-')}"
        if value is None or value is False:
            continue
        if value is True:
            arguments.append(name)
            continue
        values = [value] if isinstance(value, str | os.PathLike | int | float) else value
        assert isinstance(values, Iterable)
        arguments += [f"{name}={os.fspath(v) if isinstance(v, os.PathLike) else v}" for v in values]
    return arguments


def _joined(value: object) -> str | None:
    """Join several values as the command line wants them: "0.6,0.8"; None if there are none."""
    if value is None or isinstance(value, str):
        return value or None
    values = value if isinstance(value, Iterable) else [value]
    return ",".join(map(str, values)) or None
