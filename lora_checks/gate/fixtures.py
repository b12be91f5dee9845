"""Provide the fixtures of a gating run, for the gate's checks and for yours.

A check of your own is an ordinary test; give its folder after the gate's options::

    pytest --lora person.safetensors my_checks/

    def test_glasses_keep_the_identity(images, measure):
        with_glasses = with_tag(images, "glasses=yes")  # from lora_checks
        assert measure("arcface", with_glasses).value > 0.4
"""

from __future__ import annotations

from collections.abc import Callable

import pytest

from lora_checks.core.records import ImageSet, Lora, Measurement, Policy, Proof, Threshold, Verdict
from lora_checks.gate.row_hooks import attach
from lora_checks.gate.run import GateRun
from lora_checks.gate.session import SESSION, Session
from lora_checks.images.source import Evidence


@pytest.fixture(scope="session")
def gate_session(request: pytest.FixtureRequest) -> Session:
    return request.config.stash[SESSION]


@pytest.fixture(scope="session")
def gate_run(gate_session: Session) -> GateRun:
    return gate_session.run


@pytest.fixture(scope="session")
def policy(gate_session: Session) -> Policy:
    """The policy in force: prompts, thresholds, networks."""
    return gate_session.run.policy


@pytest.fixture(scope="session")
def lora(request: pytest.FixtureRequest, gate_session: Session) -> Lora:
    """The LoRA under test, read and checked. A test that uses it runs once for each LoRA.

    With ``--lora-images`` and no ``--lora``, only the name is known: the ``sha256`` is empty.
    """
    return gate_session.loras[request.param].read()


@pytest.fixture(scope="session")
def proof(lora: Lora, gate_run: GateRun) -> Proof:
    """The measured effect of the LoRA on the base; an error if any part of it is not applied."""
    return gate_run.source.prove(lora)


@pytest.fixture(scope="session")
def evidence(lora: Lora, gate_run: GateRun) -> Evidence:
    """The evidence that the images are the LoRA's: the proof, or what the pictures say about themselves."""
    return gate_run.source.evidence(lora)


@pytest.fixture(scope="session")
def images(lora: Lora, gate_run: GateRun) -> ImageSet:
    """The images made with the LoRA: every prompt of the policy with every seed.

    With ``--lora-until-decided``, as many of them as it took.
    """
    return gate_run.images_of(lora)


@pytest.fixture(scope="session")
def baseline_images(gate_run: GateRun) -> ImageSet:
    """The same prompts and noise without the LoRA, in the same order as ``images``."""
    return gate_run.source.baseline()


@pytest.fixture(scope="session")
def references(gate_run: GateRun) -> ImageSet:
    """The policy's held-out pictures of the subject."""
    return gate_run.measurer.pictures("references")


@pytest.fixture(scope="session")
def measure(gate_run: GateRun) -> Callable[..., Measurement]:
    """``measure(metric, images, stat="mean", pairing="", against="references", network="") -> Measurement``.

    ``pairing`` and ``network`` default to the metric's own; ``stat="share_at_least", at=0.5`` counts images,
    ``gain=True`` subtracts the value without the LoRA, ``against="baseline"`` compares with the base.
    Any `ImageSet` can be measured; nothing is measured twice. Raises `ConfigError` for an unknown metric and
    `MeasureError` if there is no finite value.
    """
    return gate_run.measurer.measure


@pytest.fixture
def measurement(threshold: Threshold, lora: Lora, images: ImageSet, gate_run: GateRun) -> Measurement:
    """The row's measurement. Trouble here is a JUnit error; only the judgement can fail the test."""
    return gate_run.measurement(threshold, lora, images)


@pytest.fixture
def record_verdict(request: pytest.FixtureRequest) -> Callable[[Verdict], None]:
    """``record_verdict(verdict)`` attaches the verdict of a row to its test."""

    def record(verdict: Verdict) -> None:
        attach(request.node, verdict)

    return record
