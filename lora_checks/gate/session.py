"""One gating run: what must pass, who has passed, and the exit status. Registered only in such a run."""

from __future__ import annotations

import os
import shlex
import time
from collections.abc import Generator, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from functools import cache, cached_property
from pathlib import Path
from typing import Any

import pytest

from lora_checks.core.errors import LoraChecksError, MeasureError
from lora_checks.core.files import file_sha256
from lora_checks.core.outside import harmless
from lora_checks.core.records import Allowance, Lora, Outcome, Policy, Threshold, Verdict
from lora_checks.core.words import printable
from lora_checks.gate import code, run_record
from lora_checks.gate.ending import Ending
from lora_checks.gate.junit_file import UNFINISHED, JunitFile
from lora_checks.gate.run import GateRun
from lora_checks.images.gallery import shown
from lora_checks.judge import verdict
from lora_checks.lora.candidates import Candidate
from lora_checks.lora.opening import refused_sha256
from lora_checks.record import document as report
from lora_checks.record import journal
from lora_checks.record.regression.against import Against
from lora_checks.report import github, html, junit, terminal

FILE_CHECK = "file"  # the row of the LoRA file itself, before any threshold
APPLIED_CHECK = "applied"  # the row of the proof that it is on the base, as its file says
IMAGES_CHECK = "images"  # the row of pictures made elsewhere: they are those that the policy asks for
OWN_CHECKS = {
    "test_lora_file.py": FILE_CHECK,
    "test_lora_applied.py": APPLIED_CHECK,
    "test_lora_images.py": IMAGES_CHECK,
}
CODE = "lora_checks.code"  # how a worker's files of code travel
ONCE = "; a rerun passed, and is no verdict: the row was not judged again, so run the command again"
PROPERTY = "lora_checks.verdict"  # how a verdict travels: one JSON line in item.user_properties


class Session:
    """The plugin of a gating run. In an xdist worker it makes verdicts, in the controller it counts them."""

    def __init__(
        self,
        config: pytest.Config,
        policy: Policy,
        loras: dict[str, Candidate],
        run: GateRun,
        report_folder: Path,
        against: Against | None = None,
    ) -> None:
        self.config, self.policy, self.loras, self.run = config, policy, loras, run
        self.against = against  # the last approved release, where --lora-baseline names it
        self.report_folder = report_folder
        self.worker = hasattr(config, "workerinput")
        self.started, self.clock = _now(), time.monotonic()
        self.verdicts: dict[tuple[str, str], Verdict] = {}
        self.junit = JunitFile(config)
        self.ending = Ending(report_folder, self.junit)
        self.shown: set[str] = set()  # LoRAs whose pictures the journal names
        self.of_file = cache(run_record.of_file)  # journal and report ask; each reading hashes the whole file
        self.unexplained = False  # a failure that no verdict tells of: it has to be shown
        self.other_failures: dict[str, None] = {}  # tests that failed and are no rows, such as one's own
        self.code_of_workers: list[dict[str, Any]] = []
        self.rerun: set[str] = set()  # tests that pytest-rerunfailures runs again
        self.failed = False  # some test's report says so, and with it the JUnit file

    @property
    def required(self) -> list[tuple[str, str]]:
        """(LoRA, check) pairs without which the run is no PASS, whatever was collected or deselected."""
        rows = [row.name for row in self.policy.thresholds if row.required]
        own = [FILE_CHECK, APPLIED_CHECK]
        if self.config.option.lora_images is not None:
            own = [*([FILE_CHECK] if self.config.option.lora else []), IMAGES_CHECK]
        no_worse = [one.check for one in self.allowances]
        return [(name, check) for name in self.loras for check in (*own, *rows, *no_worse)]

    @property
    def allowances(self) -> tuple[Allowance, ...]:
        """How much worse than the last approved release each row may be, a check each."""
        return () if self.against is None else self.against.checks

    @property
    def passed(self) -> bool:
        """Known when the session has finished."""
        return self.ending.passed

    # -- making verdicts

    def pytest_generate_tests(self, metafunc: pytest.Metafunc) -> None:
        if "lora" in metafunc.fixturenames:
            metafunc.parametrize(
                "lora", list(self.loras), ids=list(self.loras), indirect=True, scope="session"
            )
        if "threshold" in metafunc.fixturenames:
            rows = self.policy.thresholds
            metafunc.parametrize("threshold", rows, ids=[row.name for row in rows])
        if "allowance" in metafunc.fixturenames:
            metafunc.parametrize("allowance", self.allowances, ids=[one.check for one in self.allowances])

    @pytest.hookimpl(optionalhook=True)
    def pytest_xdist_make_scheduler(self, config: pytest.Config, log: Any) -> Any:
        """Several LoRAs are shared among workers as wholes; None leaves it to pytest-xdist."""
        from lora_checks.gate import by_lora

        whole = by_lora.wanted(config, len(self.loras))
        return by_lora.ByLora(config, log, list(self.loras)) if whole else None

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo[None]
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        """An error of ours is a sentence, not a traceback; a gate row that ends in one has a verdict too."""
        made = yield
        if call.when == "call" and isinstance(item, pytest.Function) and _is_gate(item):
            made = self._refuse_other_code(item, made)
        if call.excinfo is None or not made.failed:
            return made
        error = call.excinfo.value
        if isinstance(error, LoraChecksError | pytest.fail.Exception):
            made.longrepr = harmless(str(error))
        judged = any(name == PROPERTY for name, _ in item.user_properties)
        if isinstance(item, pytest.Function) and _is_gate(item) and not judged:
            self.record(item, self._error_verdict(item, error))
            made.user_properties = list(item.user_properties)
        return made

    def _refuse_other_code(self, item: pytest.Function, made: pytest.TestReport) -> pytest.TestReport:
        """What the gate's own functions say is not known where somebody has put others in their place."""
        if names := code.replaced():
            error = MeasureError(
                f"not judged by the gate's own code: {', '.join(names)} was replaced while the run went on, "
                "such as by a conftest.py; declare a metric of your own under a name of its own"
            )
            self.record(item, self._error_verdict(item, error))
            made.user_properties = list(item.user_properties)
            made.outcome, made.longrepr = "failed", str(error)
        return made

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any) -> None:
        """What a worker of pytest-xdist has loaded, and its controller may not have."""
        self.code_of_workers += getattr(node, "workeroutput", {}).get(CODE, [])

    def record(self, item: pytest.Item, found: Verdict) -> None:
        """Attach a verdict to its test; it reaches the controller with the test's report."""
        item.user_properties.append((PROPERTY, report.verdict_to_json(found)))

    def _error_verdict(self, item: pytest.Function, error: BaseException) -> Verdict:
        params: dict[str, Any] = dict(item.callspec.params)
        name, row, lora = params["lora"], params.get("threshold"), item.funcargs.get("lora")
        sha256 = lora.sha256 if isinstance(lora, Lora) else refused_sha256(self.loras[name].path)
        reason = str(error) if isinstance(error, LoraChecksError) else f"{type(error).__name__}: {error}"
        check = row.name if isinstance(row, Threshold) else _check_of(item)
        found, allowance = verdict.error(name, sha256, check, row, reason), params.get("allowance")
        return replace(found, change_of=allowance.row) if isinstance(allowance, Allowance) else found

    # -- counting them

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Before the JUnit plugin reads the report: the xunit2 schema has no properties in a test case, so
        a verdict becomes properties of the suite."""
        if self.worker:
            return
        if report.nodeid.startswith("::"):  # pytest has no name for a file outside the run's root folder
            report.nodeid = f"lora_checks/gate{report.nodeid}"
        found = [str(value) for name, value in report.user_properties if name == PROPERTY]
        report.user_properties = [pair for pair in report.user_properties if pair[0] != PROPERTY]
        if str(report.outcome) == "rerun":  # of pytest-rerunfailures
            self.rerun.add(report.nodeid)
        kept = [self._keep(text, again=report.nodeid in self.rerun) for text in found]
        self.failed = self.failed or report.failed
        if report.failed and not (found and isinstance(report.longrepr, str)):
            self.unexplained = True
        if report.failed and all(kept):  # no row, or one that was judged well and broke off afterwards
            self.other_failures[report.nodeid] = None

    def _keep(self, text: str, again: bool = False) -> bool:
        """Whether it is a PASS. If a row is judged twice (``--dist each``), the first that is no PASS counts.

        So a rerun changes no verdict; of one that passed the verdict says what to do.
        """
        found = report.verdict_from_json(text)
        key, passed = (found.lora, found.check), found.outcome is Outcome.PASS
        known = self.verdicts.get(key)  # each phase of a test reports the same properties again
        if known is not None and (passed or known.outcome is not Outcome.PASS):
            if passed and again and not known.reason.endswith(ONCE):
                self.verdicts[key] = replace(known, reason=f"{known.reason}{ONCE}")
            return passed
        self.verdicts[key] = found
        if len(self.verdicts) == 1:
            self._journal(run=report.plain(self._beginning | self._compared))
        self._journal(verdict=text)
        if found.measurement is not None and found.lora not in self.shown:
            self.shown.add(found.lora)
            self._journal(lora=report.plain(self._lora(found.lora, [found])))
        for name, value in junit.properties(report.row(found)):
            self.junit.add_property(f"lora_checks.{printable(found.lora)}.{found.check}.{name}", value)
        return passed

    def _journal(self, **entry: Any) -> None:
        try:
            line = {"at": _now(), "process": os.getpid(), **entry}
            self.run.store.append(self.report_folder / journal.NAME, line)
        except LoraChecksError as error:
            pytest.exit(str(error), returncode=pytest.ExitCode.INTERNAL_ERROR)

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> Generator[None, None, None]:
        """0 only if every required row has passed: not for `-k` typos, all-skipped, `--co` or exit(0).

        The outermost wrapper: the JUnit file and whatever other plugins do come in between.
        """
        if self.worker:
            self.config.workeroutput[CODE] = code.of_run(self.config, self.policy)  # type: ignore[attr-defined]
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

    def _conclude(self, session: pytest.Session) -> None:
        """What the run says, before its files are closed."""
        self._refuse_changed()
        found, ended_well = (
            list(self.verdicts.values()),
            (pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED),
        )
        document = report.build(self._facts(), found)
        if session.exitstatus not in ended_well and document["outcome"] == "PASS":
            document = report.spoiled(document, f"pytest ended with status {int(session.exitstatus)}")
        if self.against is not None:
            document["baseline"] = self.against.section(document)
        self.ending.document = document
        if not self.config.option.collectonly:
            self.ending.write(document)
        outcome = self.ending.document["outcome"]
        self.junit.add_property(junit.OUTCOME, "INCOMPLETE" if outcome == "PASS" else outcome)
        if not self.failed:
            self.junit.fail(UNFINISHED if outcome == "PASS" else self._stopped_by(outcome))
        if self.run.source.caveat:
            self.junit.add_property("lora_checks.caveat", self.run.source.caveat)
        if outcome != "PASS" and session.exitstatus in ended_well:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED
        self._own_the_summary()

    def _stopped_by(self, outcome: str) -> str:
        """Not only of rows that failed: some were deselected, or failed as somebody's ``xfail`` expected."""
        passed = {key for key, found in self.verdicts.items() if found.outcome is Outcome.PASS}
        rows = [f"{name} {check}" for name, check in self.required if (name, check) not in passed]
        return f"{outcome}: not passed: {', '.join(rows or self.ending.document['run']['other_failures'])}"

    def _publish(self, session: pytest.Session) -> None:
        """Everything else has ended."""
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
            self.ending.summarise_for_ci()

    def withdraw(self, reason: str) -> None:
        """The run went wrong after every row had passed."""
        self.ending.withdraw(reason)

    def _refuse_changed(self) -> None:
        """A file that was written to meanwhile: what lies there now has not passed."""
        for name, candidate in self.loras.items():
            judged = {v.lora_sha256 for v in self.verdicts.values() if v.lora == name and v.lora_sha256}
            if not judged:
                continue
            try:
                now = file_sha256(candidate.path)
            except OSError:  # gone; the record says what was judged
                now = min(judged)
            if judged != {now}:
                said = f"was {', '.join(one[:12] for one in sorted(judged - {now}))} and is {now[:12]} now"
                reason = f"{candidate.path} changed during the run: it {said}; run again when it is finished"
                error = verdict.error(name, now, FILE_CHECK, None, reason)
                self._keep(report.verdict_to_json(error))

    def _own_the_summary(self) -> None:
        """The verdict table says more than pytest's FAILURES section, which would repeat its sentences."""
        if self.unexplained:
            return
        reporter = self.config.pluginmanager.get_plugin("terminalreporter")
        if reporter is None:  # -p no:terminal; there is no summary, and there are no options of it
            return
        if self.config.option.tbstyle == "auto":
            self.config.option.tbstyle = "no"
        if self.config.option.reportchars == "fE":  # pytest's default
            reporter.reportchars = ""

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        document = self.ending.document
        if self.config.option.collectonly or not document:
            return
        writer = self.config.get_terminal_writer()
        terminalreporter.section("LoRA release gate")
        markup = writer.markup if writer.hasmarkup else None
        lines = terminal.lines(document, writer.fullwidth, markup)
        if os.environ.get("GITHUB_ACTIONS") == "true":
            workspace = os.environ.get("GITHUB_WORKSPACE")
            found = github.annotations(document, Path(workspace) if workspace else None)
            lines = [*github.guarded(lines), *found]
        for line in lines:
            terminalreporter.write_line(line)
        terminalreporter.write_line(f"report: {shown(self.report_folder / html.NAME)}")

    @cached_property
    def facts(self) -> dict[str, Any]:
        """The run as a report has it, before any verdict."""
        run: dict[str, Any] = report.plain(self._beginning)
        return run

    def _facts(self) -> dict[str, Any]:
        """What the record says of the run as a whole, once it has ended."""
        found = {name: [v for v in self.verdicts.values() if v.lora == name] for name in self.loras}
        return self._beginning | {
            "made": self.run.made(),
            "finished": _now(),
            "seconds": round(time.monotonic() - self.clock, 2),
            "code": run_record.code([*code.of_run(self.config, self.policy), *self.code_of_workers]),
            "other_failures": list(self.other_failures),
            "loras": [self._lora(name, found[name]) for name in self.loras],
        }

    @property
    def _compared(self) -> dict[str, Any]:
        return {} if self.against is None else {"baseline": self.against.begun()}

    @cached_property
    def _beginning(self) -> dict[str, Any]:
        """What the journal says before the first verdict."""
        return run_record.of_run(self.policy, self.run) | {
            "started": self.started,
            "report": str(self.report_folder.resolve()),
            "command": shlex.join(["pytest", *map(str, self.config.invocation_params.args)]),
            "loras": [run_record.of_candidate(lora, self.run) for lora in self.loras.values()],
            "required": self.required,
        }

    def _lora(self, name: str, found: Sequence[Verdict]) -> dict[str, Any]:
        candidate = self.loras[name]
        about = run_record.of_candidate(candidate, self.run) | self.of_file(candidate)
        sha256 = next((v.lora_sha256 for v in found), "")
        try:
            shown = run_record.pictures(candidate, found, self.run)
        except LoraChecksError:  # they are gone or cannot be read; the verdicts stand
            shown = []
        return about | {"sha256": sha256, "pictures": shown}


SESSION = pytest.StashKey[Session]()


def _check_of(item: pytest.Function) -> str:
    """The name of a check that is no row of thresholds.yaml."""
    allowance = item.callspec.params.get("allowance")
    return allowance.check if isinstance(allowance, Allowance) else OWN_CHECKS[item.path.name]


def _is_gate(item: pytest.Item) -> bool:
    return item.path.parent == Path(__file__).parent


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
