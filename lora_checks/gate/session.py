"""Hook into pytest to count verdicts and end a gating run. Registered only in such a run."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

import pytest

from lora_checks.core.errors import LoraChecksError
from lora_checks.core.records import Allowance, Outcome, Verdict
from lora_checks.gate import cards, code, summary, work
from lora_checks.gate.ending import Ending
from lora_checks.gate.junit_file import UNFINISHED, JunitFile
from lora_checks.gate.row_hooks import PROPERTY
from lora_checks.gate.run import GateRun
from lora_checks.gate.run_record import RunRecord
from lora_checks.gate.sweep import Sweep
from lora_checks.record import document as documents
from lora_checks.record.regression.against import Against
from lora_checks.report import junit

CODE = "lora_checks.code"  # key under which a worker sends the list of its code files
ENDED_WELL = (pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED)


class Session:
    """Count the verdicts of a gating run and end it; in an xdist worker, only list the loaded code."""

    def __init__(self, config: pytest.Config, run: GateRun, record: RunRecord) -> None:
        self.config, self.run, self.record = config, run, record
        self.loras = record.facts.loras
        self.sweep = Sweep(record.ledger)
        self.worker = hasattr(config, "workerinput")
        self.junit = JunitFile(config.pluginmanager.get_plugins)
        self.ending = Ending(record.facts.folder, self.junit)
        self.code_of_workers: list[dict[str, Any]] = []
        self.rerun: set[str] = set()  # tests that pytest-rerunfailures runs again
        self.failed = False  # a test's report is a failure, and the JUnit file says so
        self.unexplained = False  # a failure without a verdict, which pytest itself has to show

    @property
    def against(self) -> Against | None:
        """The last approved release, if --lora-baseline names it."""
        return self.record.facts.against

    @property
    def allowances(self) -> tuple[Allowance, ...]:
        """How much worse than the last approved release each row may be; each entry is one check."""
        return () if self.against is None else self.against.checks

    @property
    def passed(self) -> bool:
        """Whether the run is a PASS; known when the session has finished."""
        return self.ending.passed

    def withdraw(self, reason: str) -> None:
        """Take back a PASS: the run went wrong after every row had passed."""
        self.ending.withdraw(reason)

    def pytest_report_header(self, config: pytest.Config) -> list[str]:
        return [cards.line(config, self.run), *work.lines(self.run, list(self.loras.values()))]

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        """Announce the LoRAs to the source of images; workers of pytest-xdist learn theirs one by one."""
        if not self.worker:
            params = [item.callspec.params for item in session.items if hasattr(item, "callspec")]
            names = dict.fromkeys(known["lora"] for known in params if "lora" in known)
            self.run.announce([self.loras[name] for name in names])

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any) -> None:
        """Note the code that a pytest-xdist worker loaded; its controller may not have loaded it."""
        self.code_of_workers += getattr(node, "workeroutput", {}).get(CODE, [])

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Take the verdicts out of a report before the JUnit plugin reads it: the xunit2 schema allows no
        properties in a test case, so a verdict becomes properties of the suite."""
        if self.worker:
            return
        if report.nodeid.startswith("::"):  # pytest cannot name a file outside the run's root folder
            report.nodeid = f"lora_checks/gate{report.nodeid}"
        texts = [str(value) for name, value in report.user_properties if name == PROPERTY]
        report.user_properties = [pair for pair in report.user_properties if pair[0] != PROPERTY]
        if str(report.outcome) == "rerun":  # of pytest-rerunfailures
            self.rerun.add(report.nodeid)
        again = report.nodeid in self.rerun
        passed = [self._enter(documents.verdict_from_json(text), again) for text in texts]
        self.failed = self.failed or report.failed
        if report.failed and not (texts and isinstance(report.longrepr, str)):
            self.unexplained = True
        if report.failed and all(passed):  # not a row, or one that broke off after it had passed
            self.record.ledger.enter_failure(report.nodeid)

    def _enter(self, verdict: Verdict, again: bool = False) -> bool:
        """Enter a verdict; return whether it is a PASS."""
        try:
            # each phase of a test reports the same properties again
            counts = self.record.enter(verdict, again)
        except LoraChecksError as error:
            pytest.exit(str(error), returncode=pytest.ExitCode.INTERNAL_ERROR)
        if counts:
            self.junit.add_verdict(verdict)
            summary.tell(self.config, self.sweep.after(verdict))
        return verdict.outcome is Outcome.PASS

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> Generator[None, None, None]:
        """Return 0 only if every required row passed: not for a typo in `-k`, all-skipped, `--co` or exit(0).

        This is the outermost wrapper: other plugins, and the JUnit file, finish inside it.
        """
        if self.worker:
            self.config.workeroutput[CODE] = self._code()  # type: ignore[attr-defined]
            return (yield)
        self._conclude(session)
        try:
            yield
        except BaseException as error:
            if self.ending.document["outcome"] == "PASS":
                self.withdraw(f"{type(error).__name__} at its end: {error}")
            else:
                self.junit.revoke()
            if isinstance(error, OSError):  # such as the JUnit file on a full disk
                file = error.filename or self.junit.path
                raise pytest.UsageError(f"{file} could not be written ({error.strerror or error})") from None
            raise
        if self.ending.trouble:
            session.exitstatus = pytest.ExitCode.INTERNAL_ERROR
            raise pytest.UsageError(self.ending.trouble)
        self._publish(session)

    def _code(self) -> list[dict[str, Any]]:
        roots = (self.config.rootpath, self.config.invocation_params.dir)
        return code.of_run(self.run.policy, self.run.source, self.config.pluginmanager.get_plugins(), roots)

    def _conclude(self, session: pytest.Session) -> None:
        """Decide the run's outcome before its files are closed."""
        for verdict in self.record.changed_files():
            self._enter(verdict)
        ended_well = session.exitstatus in ENDED_WELL
        trouble = "" if ended_well else f"pytest ended with status {int(session.exitstatus)}"
        self.ending.document = self.record.document([*self._code(), *self.code_of_workers], trouble)
        if not self.config.option.collectonly:
            self.ending.write(self.ending.document)
        outcome = self.ending.document["outcome"]
        self.junit.add_property(junit.OUTCOME, "INCOMPLETE" if outcome == "PASS" else outcome)
        if not self.failed:
            self.junit.fail(UNFINISHED if outcome == "PASS" else self._stopped_by(outcome))
        if self.run.source.caveat:
            self.junit.add_property("lora_checks.caveat", self.run.source.caveat)
        if outcome != "PASS" and ended_well:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED
        if not self.unexplained:
            summary.silence_pytest(self.config)

    def _stopped_by(self, outcome: str) -> str:
        """Name the rows that did not pass: failed, deselected, or failed as somebody's ``xfail`` expected."""
        not_passed = [f"{lora} {check}" for lora, check in self.record.ledger.not_passed]
        causes = not_passed or self.ending.document["run"]["other_failures"]
        return f"{outcome}: not passed: {', '.join(causes)}"

    def _publish(self, session: pytest.Session) -> None:
        """Publish the files of a PASS, after everything else has ended."""
        if self.ending.document["outcome"] == "PASS":
            if session.exitstatus == pytest.ExitCode.OK:
                try:
                    self.ending.publish()
                except LoraChecksError as error:
                    session.exitstatus = pytest.ExitCode.INTERNAL_ERROR
                    raise pytest.UsageError(str(error)) from None
            else:
                self.withdraw(f"pytest ended with status {int(session.exitstatus)}")
        if not self.config.option.collectonly:
            self.ending.extend()
            self.ending.summarise_for_ci()

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter, exitstatus: int) -> None:
        if self.ending.document and not self.config.option.collectonly:
            interrupted = exitstatus == pytest.ExitCode.INTERRUPTED
            summary.write(terminalreporter, self.ending.document, self.record.facts.folder, interrupted)


SESSION = pytest.StashKey[Session]()
