"""Any file of the store or the report, flipped, cut or deleted: no traceback, no other number, no PASS.

Each draw damages one file of a copy, kind by kind in turn, and judges the LoRA again from it. The networks
and the pipeline are loaded once for all draws, so that what is left is the store itself.
"""

from __future__ import annotations

import os
import shutil
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from world import MINIATURE, row, write_policy

from lora_checks.__main__ import main
from lora_checks.core.errors import LoraChecksError
from lora_checks.core.records import Verdict
from lora_checks.gate import facts
from lora_checks.gate.run import GateRun, open_generating
from lora_checks.judge.verdict import error, judge
from lora_checks.lora.candidates import Candidate, candidates
from lora_checks.policy import reading as config
from lora_checks.record import document as report
from lora_checks.record import journal
from lora_checks.report import outputs

DRAWS, SHARES = 500, 10
RUN = int(os.environ.get("FAULT_SHARES", "2"))  # of the shares; all of them take three minutes
ROWS = (
    row("identity", "arcface", "min: 0.45")
    + row("likeness", "trunk_distance", "max: 3.0")
    + row("change", "trunk_distance", "against: baseline, max: 3.0")
    + row("contrast", "contrast", "min: 0.0")
)
Judged = dict[str, tuple[str, float | None]]


@contextmanager
def silent(_total: int) -> Iterator[Callable[[int], None]]:
    yield lambda _: None


@dataclass
class Bench:
    """Judges the LoRA from any copy of the store."""

    policy: Any
    lora: Candidate
    said: list[str] = field(default_factory=list)
    first: GateRun | None = None

    def judge(self, store: Path, show: bool = True) -> Judged:
        """As a run does it, without pytest; ``show`` makes the page, too."""
        bench = open_generating(
            self.policy, store, "cpu", "float32", 2, lambda _: silent, say=self.said.append
        )
        first = self.first = self.first or bench
        bench.source.base, bench.source.studio = first.source.base, first.source.studio
        bench.measurer._networks = first.measurer._networks
        bench.store.sweep()
        bench.preflight()
        bench.measurer.test_networks()
        lora = self.lora.read()
        on = bench.candidate(lora)
        verdicts = [self._verdict(bench, threshold, on) for threshold in self.policy.thresholds]
        asked = facts.of_run(self.policy, bench)
        pictures = facts.pictures(self.lora, verdicts, bench)
        about = facts.of_candidate(self.lora, bench) | {"sha256": lora.sha256, "pictures": pictures}
        more = {
            "started": "2026-01-01T00:00:00+00:00",
            "finished": "now",
            "seconds": 1.0,
            "command": "pytest",
        }
        names = [(self.lora.name, threshold.name) for threshold in self.policy.thresholds]
        run = asked | more | {"loras": [about], "required": names, "report": str(store / "report")}
        _journal(bench, store / "report", run, verdicts)
        document = report.build(run | {"made": bench.made(), "other_failures": []}, verdicts)
        if show:
            outputs.write(document, store / "report")
        return of(document)

    def _verdict(self, bench: GateRun, threshold: Any, on: Any) -> Verdict:
        lora = self.lora.read()
        try:
            return judge(bench.measurer.measure_row(threshold, on), threshold, lora)
        except LoraChecksError as trouble:
            return error(self.lora.name, lora.sha256, threshold.name, threshold, str(trouble))


def _journal(bench: GateRun, folder: Path, run: dict[str, Any], verdicts: list[Verdict]) -> None:
    (folder / journal.NAME).unlink(missing_ok=True)
    told = [{"run": report.plain(run)}, *({"verdict": report.verdict_to_json(one)} for one in verdicts)]
    for line in [*told, {"lora": report.plain(run["loras"][0])}]:
        bench.store.append(folder / journal.NAME, {"at": "now", "process": 1, **line})


def of(document: dict[str, Any]) -> Judged:
    return {
        row["check"]: (row["outcome"], row["measurement"]["value"] if row["measurement"] else None)
        for lora in document["loras"]
        for row in lora["rows"]
    }


@dataclass(frozen=True)
class Whole:
    store: Path
    judged: Judged
    bench: Bench


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Whole:
    folder = tmp_path_factory.mktemp("whole")
    policy = config.load_policy(write_policy(folder / "policy", MINIATURE / "pipeline", ROWS, prompts=2))
    lora = next(iter(candidates([str(MINIATURE / "loras" / "good.safetensors")], None, folder).values()))
    bench = Bench(policy, lora)
    judged = bench.judge(folder / "store")
    assert {outcome for outcome, _ in judged.values()} == {"PASS"}
    assert bench.judge(folder / "store") == judged
    return Whole(folder / "store", judged, bench)


def flip(path: Path, rng: np.random.Generator) -> None:
    content = bytearray(path.read_bytes())
    if content:
        content[rng.integers(len(content))] ^= 1 << int(rng.integers(8))
    path.write_bytes(content)


def cut(path: Path, rng: np.random.Generator) -> None:
    content = path.read_bytes()
    path.write_bytes(content[: rng.integers(len(content) + 1)])


def delete(path: Path, _: np.random.Generator) -> None:
    path.unlink()


def files(root: Path) -> dict[str, list[Path]]:
    """By kind: the folder of the store, or the name of the file in it or in the report."""
    found: dict[str, list[Path]] = {}
    for path in sorted(path for path in root.rglob("*") if path.is_file()):
        place = path.relative_to(root).parts
        kind = "/".join(place[:2]) if place[0] == "report" else place[0]
        found.setdefault(kind, []).append(path)
    return found


@pytest.mark.parametrize("share", range(RUN))
def test_no_fault_of_a_file_changes_a_number_or_gives_a_pass(
    whole: Whole, tmp_path: Path, share: int, capsys: pytest.CaptureFixture[str]
) -> None:
    seen = Counter[str]()
    for draw in range(share, DRAWS, SHARES):
        rng = np.random.default_rng(draw)
        root = Path(shutil.copytree(whole.store, tmp_path / "store"))
        kinds = files(root)
        kind = sorted(kinds)[draw // SHARES % len(kinds)]
        path = kinds[kind][rng.integers(len(kinds[kind]))]
        damage = (flip, cut, delete)[rng.integers(3)]
        damage(path, rng)
        what = f"draw {draw}: {damage.__name__} {path.relative_to(root)}"
        if kind.startswith("report/"):
            _shows(root / "report", whole.judged, capsys, what)
        else:
            seen[_judges(whole, root, what, kind == "page")] += 1
        shutil.rmtree(root)
    assert seen["anew"] > seen["sentence"]


def _judges(whole: Whole, root: Path, what: str, show: bool) -> str:
    try:
        found = whole.bench.judge(root, show)
    except LoraChecksError:
        return "sentence"
    assert found == whole.judged, what
    return "anew"


def _shows(folder: Path, judged: Judged, capsys: pytest.CaptureFixture[str], what: str) -> None:
    """`report` makes every other output from the record, or says that the record is damaged."""
    code = main(["report", str(folder)])
    err = capsys.readouterr().err
    assert code in (0, 2), what
    if code:
        assert err.startswith("error: "), what
        assert "Traceback" not in err, what
    else:
        assert of(report.read(folder)) == judged, what
