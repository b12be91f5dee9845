"""Hook into pytest to make a test of each row, and a verdict of each test."""

from __future__ import annotations

from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest

from lora_checks.core.errors import LoraChecksError
from lora_checks.core.outside import harmless
from lora_checks.core.records import Allowance, Lora, Threshold, Verdict
from lora_checks.gate import rows
from lora_checks.gate.ledger import APPLIED_CHECK, FILE_CHECK, IMAGES_CHECK
from lora_checks.gate.run_record import RunRecord
from lora_checks.record import document as documents

CHECK_OF = {  # the gate's own rows, by their files
    "test_lora_file.py": FILE_CHECK,
    "test_lora_applied.py": APPLIED_CHECK,
    "test_lora_images.py": IMAGES_CHECK,
}
PROPERTY = "lora_checks.verdict"  # how a verdict travels: one JSON line in item.user_properties


class RowHooks:
    """Make verdicts in each worker of pytest-xdist, or in the only process."""

    def __init__(self, record: RunRecord) -> None:
        facts = record.facts
        self._run, self._loras = facts.run, facts.loras
        self._allowances = () if facts.against is None else facts.against.checks

    def pytest_generate_tests(self, metafunc: pytest.Metafunc) -> None:
        names, checks = list(self._loras), self._run.policy.thresholds
        if "lora" in metafunc.fixturenames:
            metafunc.parametrize("lora", names, ids=names, indirect=True, scope="session")
        if "threshold" in metafunc.fixturenames:
            metafunc.parametrize("threshold", checks, ids=[row.name for row in checks])
        if "allowance" in metafunc.fixturenames:
            metafunc.parametrize("allowance", self._allowances, ids=[each.check for each in self._allowances])

    @pytest.hookimpl(optionalhook=True)
    def pytest_xdist_make_scheduler(self, config: pytest.Config, log: Any) -> Any:
        """Give each worker whole LoRAs if there are several; None leaves it to pytest-xdist."""
        from lora_checks.gate import by_lora

        whole = by_lora.wanted(config, len(self._loras))
        return by_lora.ByLora(config, log, list(self._loras)) if whole else None

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo[None]
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        """Show an error of ours as one sentence, and turn an error in a gate row into a verdict."""
        test_report = yield
        gate_row = item if isinstance(item, pytest.Function) and _is_gate(item) else None
        if gate_row is not None and call.when == "call" and (replaced := rows.other_code()):
            self._break_off(gate_row, replaced, test_report)
            test_report.outcome, test_report.longrepr = "failed", str(replaced)
        if call.excinfo is None or not test_report.failed:
            return test_report
        error = call.excinfo.value
        if isinstance(error, LoraChecksError | pytest.fail.Exception):
            test_report.longrepr = harmless(str(error))
        if gate_row is not None and not any(name == PROPERTY for name, _ in item.user_properties):
            self._break_off(gate_row, error, test_report)
        return test_report

    def _break_off(self, item: pytest.Function, error: BaseException, test_report: pytest.TestReport) -> None:
        params, lora = item.callspec.params, item.funcargs.get("lora")
        row, allowance = params.get("threshold"), params.get("allowance")
        verdict = rows.broken(
            self._loras[str(params["lora"])],
            lora if isinstance(lora, Lora) else None,
            _check_of(item),
            row if isinstance(row, Threshold) else None,
            allowance if isinstance(allowance, Allowance) else None,
            error,
        )
        attach(item, verdict)
        test_report.user_properties = list(item.user_properties)


def attach(item: pytest.Item, verdict: Verdict) -> None:
    """Attach a verdict to its test; it reaches the controller with the test's report."""
    item.user_properties.append((PROPERTY, documents.verdict_to_json(verdict)))


def _check_of(item: pytest.Function) -> str:
    for name, attribute in (("threshold", "name"), ("allowance", "check")):
        if name in item.callspec.params:
            return str(getattr(item.callspec.params[name], attribute))
    return CHECK_OF[item.path.name]


def _is_gate(item: pytest.Item) -> bool:
    return item.path.parent == Path(__file__).parent
