"""--help: the gate's options together, one clear line each."""

from __future__ import annotations

import re

import pytest
from world import Gate

OPTIONS = [
    "--lora",
    "--lora-scale",
    "--lora-with",
    "--lora-images",
    "--lora-images-from",
    "--lora-images-made-with",
    "--lora-source",
    "--lora-baseline-images",
    "--lora-policy",
    "--lora-thresholds",
    "--lora-prompts",
    "--lora-references",
    "--lora-base",
    "--lora-offline",
    "--lora-store",
    "--lora-store-cache",
    "--lora-store-cache-size",
    "--lora-report",
    "--lora-log",
    "--lora-seeds",
    "--lora-until-decided",
    "--lora-baseline",
    "--lora-axis",
    "--lora-device",
    "--lora-cluster",
    "--lora-cluster-workers",
    "--lora-cluster-timeout",
    "--lora-dtype",
    "--lora-batch-size",
    "--lora-offload",
    "--lora-compile",
    "--lora-save-memory",
]


@pytest.fixture
def group(gate: Gate) -> str:
    """The gate's part of the help, on a wide terminal."""
    run = gate.pytest("--help", COLUMNS="160")
    assert run.code == 0
    found = re.search(r"^LoRA release gate.*?:\n(.*?)\n\n", run.out, re.MULTILINE | re.DOTALL)
    assert found, run.out
    return re.sub(r"(=[A-Z]+)\n {20,}", r"\1  ", found.group(1))  # argparse breaks after a long option


def test_every_option_is_in_the_group(group: str) -> None:
    assert re.findall(r"^ +(--[a-z-]+)", group, re.MULTILINE) == OPTIONS


def test_each_has_one_line(group: str) -> None:
    assert len(group.splitlines()) == len(OPTIONS)
    for line in group.splitlines():
        option, _, words = line.strip().partition("  ")
        assert len(words.split()) >= 4, option


def test_a_value_has_a_name(group: str) -> None:
    for line in group.splitlines():
        value = r"(=([A-Z]+|\{[a-z0-9,]+\})|  )"  # two blanks: a switch, which has none
        assert re.match(r" +--[a-z-]+" + value, line), line
