"""Judge every row of one LoRA without pytest."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import TypeVar

from lora_checks.core.records import Allowance, ImageSet, Lora, Measurement, Threshold, Verdict
from lora_checks.gate import rows
from lora_checks.gate.ledger import FILE_CHECK
from lora_checks.gate.run_record import RunRecord
from lora_checks.lora.candidates import Candidate

T = TypeVar("T")


class Judging:
    """Judge the rows of one LoRA in the order of ``pytest --lora``; a row that raises is an ERROR."""

    def __init__(self, record: RunRecord, candidate: Candidate) -> None:
        self._facts, self._run, self._candidate = record.facts, record.facts.run, candidate
        self._lora: Lora | Exception | None = None
        self._images: ImageSet | Exception | None = None

    def verdicts(self) -> Iterator[Verdict]:
        """Judge row by row: the file, whether the images are its own, each threshold, each change."""
        if (self._candidate.name, FILE_CHECK) in self._facts.required:
            yield self._judge(self._file, FILE_CHECK)
        yield self._judge(self._evidence, self._run.source.check)
        for row in self._run.policy.thresholds:
            yield self._judge(partial(self._threshold, row), row.name, row)
        for allowance in () if self._facts.against is None else self._facts.against.checks:
            yield self._judge(partial(self._change, allowance), allowance.check, allowance=allowance)

    def _judge(
        self,
        judge: Callable[[], Verdict],
        check: str,
        row: Threshold | None = None,
        allowance: Allowance | None = None,
    ) -> Verdict:
        try:
            verdict = judge()
            error: Exception | None = rows.other_code()
        except Exception as trouble:
            error = trouble
        if error is None:
            return verdict
        lora = self._lora if isinstance(self._lora, Lora) else None
        return rows.broken(self._candidate, lora, check, row, allowance, error)

    def _file(self) -> Verdict:
        return rows.of_file(self._read())

    def _evidence(self) -> Verdict:
        lora = self._read()
        return rows.of_images(lora, self._run.source.check, self._run.source.evidence(lora))

    def _threshold(self, row: Threshold) -> Verdict:
        return rows.of_threshold(row, self._measured(row), self._read(), self._run)

    def _change(self, allowance: Allowance) -> Verdict:
        assert self._facts.against is not None
        row = next(row for row in self._run.policy.thresholds if row.name == allowance.row)
        measurement, lora = self._measured(row), self._read()
        return rows.of_change(
            allowance, row, measurement, lora, self._run, self._facts.against, self._facts.plain
        )

    def _measured(self, row: Threshold) -> Measurement:
        return self._run.measurement(row, self._read(), self._made())

    def _read(self) -> Lora:
        """Read the file once; if it is refused, every row says so."""
        if self._lora is None:
            self._lora = _tried(self._candidate.read)
        if isinstance(self._lora, Exception):
            raise self._lora
        return self._lora

    def _made(self) -> ImageSet:
        """Make the images once; if that fails, every row says why."""
        if self._images is None:
            self._images = _tried(lambda: self._run.images_of(self._read()))
        if isinstance(self._images, Exception):
            raise self._images
        return self._images


def _tried(make: Callable[[], T]) -> T | Exception:
    try:
        return make()
    except Exception as error:
        return error
