"""Gate checkpoints as a trainer finishes them, all in one report."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from lora_checks.core.errors import ConfigError, LoraChecksError, LoraFileError
from lora_checks.core.words import some
from lora_checks.lora.find import natural
from lora_checks.lora.header import read_header
from lora_checks.lora.layers import layers_of
from lora_checks.record import document
from lora_checks.record.lock import ReportLock
from lora_checks.record.shapes import Document

GIB = 1 << 30
WAIT = 0.5  # seconds between two looks at a report that another run is writing
PATIENCE = 6  # times as long as a whole file, a file that is not whole may stay unchanged

Say = Callable[[str], None]
Gate = Callable[[Sequence[Path]], int]  # runs the gate on these files; returns its exit status


@dataclass
class Watch:
    """What is watched, and what has been gated."""

    folder: Path
    pattern: str
    quiet: float  # seconds without a change after which a file is finished
    report: Path  # folder of the report
    gate: Gate
    say: Say
    _skipped: dict[Path, int] = field(default_factory=dict)  # no LoRAs -> time of their last change
    _told: set[str] = field(default_factory=set)  # sentences about the run of checkpoints

    def step(self) -> bool:
        """Gate every finished checkpoint if one of them is new; return whether one was."""
        files = [path for path in self._candidates() if is_quiet(path, self.quiet) and self._is_lora(path)]
        if not self._new(files):
            return False
        self._wait_for_report()
        if new := self._new(files):  # none if the run that wrote the report had them
            self.say(f"gating {some([path.name for path in new])}; {len(files)} in the report")
            self.gate(files)
        self._tell()
        return True

    def _wait_for_report(self) -> None:
        """Wait for another run that writes this report, such as that of a watch that was killed."""
        lock, told = ReportLock(self.report, "lora-checks watch"), False
        while not lock.take():
            if not told:
                self.say(f"waiting for another run to end, which is writing its report to {self.report}")
                told = True
            time.sleep(WAIT)
        lock.release()

    def passed(self) -> bool:
        """Return whether the last report has a LoRA that passed."""
        read = self._read()
        return read is not None and any(lora["outcome"] == "PASS" for lora in read["loras"])

    def _candidates(self) -> list[Path]:
        paths = [path for path in self.folder.rglob(self.pattern) if not path.name.startswith(".")]
        return sorted((path for path in paths if path.is_file()), key=natural)

    def _is_lora(self, path: Path) -> bool:
        """Return whether a file is a whole LoRA; say once of any other file that it is left out.

        A file that is not whole may still be written, however slowly: it gets more time before it is named.
        """
        changed = path.stat().st_mtime_ns
        if self._skipped.get(path) == changed:
            return False
        try:
            with path.open("rb") as file:
                layers_of(read_header(file, path.stat().st_size, path.suffix).tensors)
        except LoraFileError as error:
            if is_quiet(path, PATIENCE * self.quiet):
                self.say(f"left out: {path} {error}")
                self._skipped[path] = changed
            return False
        return True

    def _new(self, files: Sequence[Path]) -> list[Path]:
        """Return the files that the report does not have, which may be of an earlier watch."""
        read = self._read()
        known = {lora["sha256"] for lora in read["loras"]} if read is not None else set()
        return [path for path in files if _sha256(path) not in known]

    def _read(self) -> Document | None:
        try:
            return document.read(self.report)
        except LoraChecksError:
            return None

    def _tell(self) -> None:
        """Say who is best, and what is new about the run: that it overfits, or ended too early."""
        read = self._read()
        if read is None:
            self.say("the run ended before its verdict; it is repeated with the next checkpoint")
            return
        ranking = read.get("ranking")
        for sentence in [ranking["sentence"], *ranking["notes"]] if ranking else []:
            if sentence not in self._told:
                self._told.add(sentence)
                self.say(sentence)


def follow(watch: Watch, *, every: float, idle: float | None, once: bool) -> None:
    """Gate what comes until nothing has come for ``idle`` seconds; forever if that is None.

    Args:
        watch: What to watch.
        every: Seconds between two looks.
        idle: Seconds without a new checkpoint after which to end.
        once: Gate what is finished now, and end.
    """
    last = time.monotonic()
    while True:
        if watch.step():
            last = time.monotonic()
        elif once or (idle is not None and time.monotonic() - last >= idle):
            return
        else:
            time.sleep(every)


def is_quiet(path: Path, seconds: float) -> bool:
    """Return whether a file has stopped changing."""
    try:
        return time.time() - path.stat().st_mtime >= seconds
    except OSError:  # renamed or removed meanwhile
        return False


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def wait_for_memory(wanted: float, every: float, say: Say) -> None:
    """Wait until a GPU has this many GiB free, as nvidia-smi counts them: while a trainer uses it.

    Raises:
        ConfigError: There is no nvidia-smi.
    """
    told = False
    while (free := max(free_memory(), default=0)) < wanted * GIB:
        if not told:
            say(f"waiting for {wanted:g} GiB of GPU memory; {free / GIB:.1f} GiB are free")
            told = True
        time.sleep(every)


def free_memory() -> Iterator[int]:
    """Yield the free bytes of each GPU of this process. Raises `ConfigError`."""
    program = shutil.which("nvidia-smi")
    if program is None:
        raise ConfigError("--free: nvidia-smi is not on this machine, and nothing else says what is free")
    query = [program, "--query-gpu=memory.free", "--format=csv,noheader,nounits"]
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    query += ["-i", visible] if visible else []
    done = subprocess.run(query, capture_output=True, text=True, check=False)
    if done.returncode:
        raise ConfigError(f"--free: nvidia-smi: {done.stdout.strip() or done.stderr.strip()}")
    for line in done.stdout.split():
        yield int(line) << 20
