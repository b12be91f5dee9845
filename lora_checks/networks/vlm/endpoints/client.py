"""Ask an endpoint many questions at once: what the three APIs have in common."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.util import find_spec
from queue import SimpleQueue
from typing import Any, ClassVar, Literal, TypeAlias

from lora_checks.core.errors import LoraChecksError, MeasureError, PrerequisiteError, first_line
from lora_checks.networks.vlm.api import Reply, Request
from lora_checks.networks.vlm.endpoints.endpoint import endpoint_of
from lora_checks.networks.vlm.endpoints.patience import PATIENCE, Gate, Patience
from lora_checks.networks.vlm.endpoints.threads import Ended, started, waiting
from lora_checks.networks.vlm.endpoints.transport import Declined, Fault, Refused, Transport

FAULTS_IN_A_ROW = 3  # then the server is taken to be dead
HOPELESS = 8  # questions without one answer: the rest would cost as much and tell as little
ROUNDING = 0.006  # by which one printed probability may miss; some services print two digits

Cause: TypeAlias = Literal["answer", "refusal", "astray", "declined", "fault", "off"]
_Outcome: TypeAlias = tuple[Reply, Cause]


@dataclass(frozen=True, slots=True)
class Read:
    """What one answer says."""

    probabilities: tuple[float, ...] | None
    missing: str = ""
    cause: Cause = "answer"
    tokens: int = 0


class Client:
    """A vision model behind HTTP. Subclasses say how a question is written and how an answer is read."""

    route: ClassVar[str]
    version: ClassVar[str]  #: changes whenever the same question is written differently
    known: ClassVar[tuple[str, ...]] = ()  #: settings of this API alone
    advice: ClassVar[str]  #: what to do if no answer has probabilities
    deterministic = False  # servers batch requests, which changes the last digits

    def __init__(self, settings: Mapping[str, Any], device: str, patience: Patience | None = None) -> None:
        del device  # the server's own affair
        self.endpoint = endpoint_of(settings, self.route, self.known)
        for package in ("httpx2", "pydantic"):
            if find_spec(package) is None:
                raise PrerequisiteError(
                    f"networks: judge: {package} is not installed; install what a judge behind HTTP needs: "
                    "pip install 'lora-checks[judge]'"
                )
        where = self.endpoint
        chosen = {"model": where.model, "revision": where.revision} | self.choices(settings)
        if where.extra:
            chosen["extra"] = json.dumps(where.extra, sort_keys=True)
        self.id = f"{self.route}/{self.version} " + " ".join(f"{k}={v}" for k, v in chosen.items() if v)
        self.label = f"{where.model} at {where.host}"
        self._patience = patience or PATIENCE
        self.heard = 0  #: answers and refusals so far: whether anyone is there

    def choices(self, settings: Mapping[str, Any]) -> dict[str, str]:
        """Check and return this API's own settings, which become part of ``id``."""
        del settings
        return {}

    def body(self, request: Request) -> dict[str, Any]:
        """Return the question as this API's JSON, without the model."""
        raise NotImplementedError

    def read(self, request: Request, content: bytes) -> Read:
        """Return what an answer says. Raises `ValueError` if it is not of this API's shape."""
        raise NotImplementedError

    def ask(self, requests: Sequence[Request], done: Callable[[int, Reply], None]) -> list[Reply]:
        """Return the reply to each request, in their order; see `Api.ask`.

        A request that fails or is declined gives a missing reply that a later run asks for again. Three
        failures in a row, or eight questions without one answer, are an error: the endpoint is wrong or dead.
        """
        gate, transport = Gate(), Transport(self.endpoint)

        def one(request: Request) -> _Outcome:
            return self._one(request, transport, gate)

        try:
            ends = started(one, requests, self.endpoint.concurrency)
            return _collected(ends, len(requests), done, _Watch(self))
        finally:
            gate.call_off()
            transport.close()

    def _one(self, request: Request, transport: Transport, gate: Gate) -> _Outcome:
        """Ask one question, more than once if need be."""
        body = json.dumps(
            {**self.endpoint.extra, "model": self.endpoint.model, **self.body(request)}
        ).encode()
        calls, pause = 0, 0.0
        while gate.passed(pause):
            calls += 1
            try:
                read = self._read(request, transport.post(body))
            except Fault as fault:
                wait = self._patience.pause(calls, fault.timed_out, fault.wait)
                if wait is None:
                    return Reply(None, _tried(fault, calls), calls, again=True), "fault"
                if fault.wait is not None:
                    gate.hold(wait)
                pause = wait
            except Declined as declined:
                return Reply(None, str(declined), calls, again=True), "declined"
            except Refused as refused:
                return Reply(None, str(refused), calls), "refusal"
            except PrerequisiteError:
                gate.call_off()  # at once, before other threads ask in vain
                raise
            else:
                return Reply(read.probabilities, read.missing, calls, read.tokens), read.cause
        return Reply(None, "called off", calls, again=True), "off"

    def _read(self, request: Request, content: bytes) -> Read:
        try:
            read = self.read(request, content)
        except ValueError as error:  # pydantic's, too
            raise Declined(f"{self.endpoint.url} answers in an unknown shape: {_problem(error)}") from None
        if read.probabilities is None:
            return read
        return replace(read, probabilities=normalised(read.probabilities, len(request.options)))


def _collected(
    ends: SimpleQueue[Ended[_Outcome]], count: int, done: Callable[[int, Reply], None], watch: _Watch
) -> list[Reply]:
    """Return what the threads bring, in order, and hand on each reply as it comes."""
    replies: dict[int, Reply] = {}
    doubtful: list[int] = []  # final only if the endpoint has shown that it can answer
    try:
        for _ in range(count):
            end = ends.get()
            reply, cause = end.result()
            if cause == "off":  # another thread has found out why; its error comes
                continue
            replies[end.index] = reply
            if cause == "astray":
                doubtful.append(end.index)
            else:
                done(end.index, reply)
            watch.note(reply, cause)
        watch.end()
    except (LoraChecksError, KeyboardInterrupt):
        for end in waiting(ends):  # what other threads have got meanwhile is paid for
            if end.error is None and end.result()[1] in ("answer", "refusal"):
                done(end.index, end.result()[0])
        raise
    for index in doubtful:
        done(index, replies[index])
    return [replies[index] for index in range(count)]


class _Watch:
    """End the work when more of it is in vain."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._heard = self._faults_in_a_row = 0
        self._in_vain: list[str] = []
        self._astray = False

    def note(self, reply: Reply, cause: Cause) -> None:
        if cause in ("answer", "refusal"):
            self._faults_in_a_row = 0
            self._heard += 1
            self._client.heard += 1
            return
        self._in_vain.append(reply.missing)
        self._astray = self._astray or cause == "astray"
        self._faults_in_a_row = self._faults_in_a_row + 1 if cause == "fault" else 0
        if self._faults_in_a_row >= FAULTS_IN_A_ROW or (not self._heard and len(self._in_vain) >= HOPELESS):
            raise self._error(reply.missing)

    def end(self) -> None:
        """Raise if something was sent and nothing came back that anyone could use."""
        if self._in_vain and not self._heard and not (self._astray and self._client.heard):
            raise self._error(self._in_vain[0])

    def _error(self, why: str) -> MeasureError | PrerequisiteError:
        client = self._client
        if client.heard:
            return MeasureError(
                f"the judge {client.label} stopped answering after {client.heard} questions: {why}; run "
                "again when it answers, what it has said is kept"
            )
        if self._astray:
            advice = client.advice
            return PrerequisiteError(f"the judge {client.label} gives no probabilities: {why}; {advice}")
        return PrerequisiteError(f"the judge {client.label} answers no question: {why}")


def normalised(values: Sequence[float], options: int) -> tuple[float, ...]:
    """Return probabilities that add up to 1, from numbers that were rounded for printing.

    Raises:
        Declined: There is not one for each option, or they are no probabilities of these options.
    """
    total = math.fsum(values)
    if len(values) != options or abs(total - 1) > ROUNDING * options:
        raise Declined(
            f"{len(values)} probabilities for {options} options, which add up to {total:.3g}, are no answer"
        )
    return tuple(min(max(value / total, 0.0), 1.0) for value in values)


def astray(mass: float, instead: str, tokens: int) -> Read:
    """Return that the model wanted to say something else than one of the options."""
    likely = f"; most likely is {instead!r}" if instead else ""
    missing = f"only {mass:.0%} of the probability is on the options{likely}"
    return Read(None, missing, "astray", tokens)


def _problem(error: ValueError) -> str:
    """Return the first problem of a `pydantic.ValidationError` with its place, or the message."""
    problems: list[Any] = getattr(error, "errors", list)()
    if not problems:
        return first_line(error)
    return f"{'.'.join(map(str, problems[0]['loc']))}: {problems[0]['msg']}"


def _tried(fault: Fault, calls: int) -> str:
    return f"{fault} (tried {calls} times)" if calls > 1 else str(fault)
