"""Read one LoRA of a report, named as ``report.json#name``."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from lora_checks.core.errors import ConfigError, ReportError
from lora_checks.core.records import Verdict
from lora_checks.core.words import printable
from lora_checks.record import document as report
from lora_checks.record.shapes import Document, Lora, Row, Run
from lora_checks.record.shapes.comparison import Approved

NONE = "none"  # `--lora-baseline none`: there is no approved release yet
OPTION = "--lora-baseline"
REPORT = "report.json"


@dataclass(frozen=True)
class Judged:
    """A LoRA of a report: what was measured, and in which run."""

    path: Path
    sha256: str  # of the report file
    run: Run
    lora: Lora

    @property
    def name(self) -> str:
        """The name of the LoRA."""
        return str(self.lora["name"])

    @property
    def label(self) -> str:
        """The name and the start of the file's digest, "good 0518e9"; the name alone without a file."""
        return " ".join(part for part in (self.name, str(self.lora["sha256"])[:6]) if part)

    @property
    def about(self) -> Approved:
        """The LoRA, its report and its run, as a document names them."""
        return {
            "path": str(self.path),
            "sha256": self.sha256,
            "lora": self.name,
            "lora_sha256": self.lora["sha256"],
            "scale": self.lora.get("scale"),
            "finished": self.run.get("finished") or "",
        }

    @cached_property
    def verdicts(self) -> dict[str, Verdict]:
        """Every verdict by the name of its check."""
        verdicts = (verdict_of(row) for row in self.lora["rows"])
        return {verdict.check: verdict for verdict in verdicts}

    @property
    def rows(self) -> dict[str, Verdict]:
        """The verdicts on values, without those on a change since an earlier release."""
        return {check: verdict for check, verdict in self.verdicts.items() if not verdict.change_of}


def verdict_of(row: Row) -> Verdict:
    """Return the verdict that a row of a report was made from."""
    items: Mapping[str, object] = row
    fields = {field.name: items[field.name] for field in dataclasses.fields(Verdict) if field.name in items}
    return report.verdict_from_json(json.dumps(fields))


def read_approved(argument: str, here: Path) -> Judged | None:
    """Return the LoRA that was approved last; None for ``--lora-baseline none``.

    Args:
        argument: the value of ``--lora-baseline``.
        here: the folder that relative paths start from.

    Raises:
        ConfigError: there is no such report, or the LoRA did not pass, so that nobody can have approved it.
    """
    if argument == NONE:
        return None
    judged = read(argument, here, OPTION)
    if judged.lora["outcome"] != "PASS":
        raise ConfigError(
            f"{OPTION}: {judged.path}: {printable(judged.name)} ended in {judged.lora['outcome']}, and only "
            "what passed can have been approved; `python -m lora_checks compare` compares any two reports"
        )
    if not judged.run.get("finished") or judged.run.get("other_failures"):
        failed = ", ".join(map(printable, judged.run.get("other_failures") or ()))
        reason = f"failed in {failed}" if failed else "has not finished"
        raise ConfigError(
            f"{OPTION}: {judged.path}: its run {reason}, so it did not pass; gate the approved LoRA again"
        )
    if judged.run.get("until_decided") is not None:
        raise ConfigError(
            f"{OPTION}: {judged.path} was made with --lora-until-decided, so its images stop where they "
            "decided; gate the approved LoRA again without it"
        )
    return judged


def read(argument: str, here: Path, option: str) -> Judged:
    """Return one LoRA of a report.

    Args:
        argument: a report folder or report.json; with ``#name`` if it holds several LoRAs.
        here: the folder that relative paths start from.
        option: the option or command, which begins each message.

    Raises:
        ConfigError: there is no such report or LoRA, or the report is damaged.
    """
    path, name = _split(argument, here, option)
    content = _content(path, option)
    document = document_of(content, f"{option}: {path}")
    lora = _chosen(document["loras"], name, f"{option}: {path}")
    return Judged(path, hashlib.sha256(content).hexdigest(), document["run"], lora)


def _split(argument: str, here: Path, option: str) -> tuple[Path, str]:
    """Return the report's path and the name after "#"; a file's own name may contain "#", too."""
    if not argument.strip():
        raise ConfigError(f"{option}: the argument is empty (an unset variable?); name a {REPORT}")
    path, name = here / argument, ""
    if not path.exists():
        file, _, name = argument.rpartition("#")
        path = here / (file or argument)
    if path.is_dir():
        path = path / REPORT
    if not path.is_file():
        raise ConfigError(f"{option}: {path} is not a file; name the {REPORT} of a run of the gate")
    return path, name


def _content(path: Path, option: str) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise ConfigError(f"{option}: {path} cannot be read ({error.strerror or error})") from None


def document_of(content: bytes, where: str) -> Document:
    """Return the report in ``content``. Raises `ConfigError` if it is not a report of this version."""
    try:
        return report.parse(content, where)
    except ReportError as error:
        raise ConfigError(str(error)) from None


def _chosen(loras: Sequence[Lora], name: str, where: str) -> Lora:
    names = ", ".join(printable(str(lora["name"])) for lora in loras)
    if not loras:
        raise ConfigError(f"{where} holds no LoRA: nothing was judged in that run")
    if name:
        named = [lora for lora in loras if lora["name"] == name]
        if not named:
            raise ConfigError(f"{where} holds no LoRA '{printable(name)}'; it has {names}")
        return named[0]
    if len(loras) > 1:
        raise ConfigError(f"{where} holds {len(loras)} LoRAs; say which as {REPORT}#NAME: {names}")
    return loras[0]
