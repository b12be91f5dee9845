"""The simulation of a cluster (benchmarks/cluster_model.py), and the page that shows its figures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

import benchmarks
from lora_checks.policy.reading import load_policy

cluster = benchmarks.load("cluster")
model = benchmarks.load("cluster_model")
PAGE = Path(__file__).parents[2] / "docs" / "explanation" / "at-cluster-scale.md"
PLAIN = replace(cluster.FLUX, hand_out=0.0, claim=0.0, judge=0.0)


def run(gpus: int, loras: int = 12, images: int = 16, units: object = PLAIN, **rule: object) -> object:
    return model.Simulation(model.Task(gpus, loras, images), units, **rule).run()


def test_one_worker_takes_the_sum_of_its_work() -> None:
    """All is known in closed form: one LoRA after the other, each put on once, and nothing to wait for."""
    units = replace(PLAIN, feature=0.0, get=0.0, networks=0.0)
    assert run(1, units=units).makespan == pytest.approx(model.bound(model.Task(1, 12, 16), units))


@pytest.mark.parametrize("rule", cluster.RULES.values(), ids=lambda rule: " ".join(rule) or "plain")
@pytest.mark.parametrize("gpus", [1, 3, 16, 100])
def test_no_run_is_faster_than_the_bound_and_nothing_is_lost(gpus: int, rule: dict[str, object]) -> None:
    out = run(gpus, units=cluster.FLUX, **rule)
    assert out.makespan >= out.bound
    assert len(out.verdicts) == 12
    assert out.requests["images written"] == 13 * 16
    assert out.requests["features written"] == 13 * 16 * 3
    assert out.swaps >= 12


def test_a_driver_that_is_slow_is_what_limits() -> None:
    slow = replace(PLAIN, hand_out=10.0)
    out = run(64, units=slow)
    assert out.makespan >= out.driver_jobs * 10.0
    assert out.driver_busy == pytest.approx(out.driver_jobs * 10.0)


def test_staying_with_a_lora_saves_putting_it_on() -> None:
    plain, staying = (run(64, 200, 64, cluster.FLUX, stay=stay) for stay in (False, True))
    assert staying.swaps < plain.swaps / 4
    assert staying.makespan < plain.makespan
    assert staying.over <= 0.1


def test_it_is_simulated_the_same_twice() -> None:
    assert model.line(run(16)) == model.line(run(16))


@pytest.mark.parametrize(("prompts", "judged_by"), [(2, "estimate"), (32, "bound")])
def test_a_small_policy_is_a_policy(tmp_path: Path, prompts: int, judged_by: str) -> None:
    policy = load_policy(cluster.small(tmp_path / "policy", prompts, steps=1))
    assert len(policy.prompts.prompts) == prompts
    assert policy.prompts.sampler.steps == 1
    assert {row.rule for row in policy.thresholds} == {judged_by}


def tables(text: Sequence[str]) -> list[str]:
    return [row for row in text if row.startswith("| ")]


def test_the_page_shows_what_the_simulation_gives() -> None:
    printed = "\n".join(cluster.simulated(cluster.FLUX, cluster.SIZES, 200, 64))
    page = PAGE.read_text(encoding="utf-8")
    rows = page.partition("<!-- simulated -->")[2].partition("<!-- end of simulated -->")[0].splitlines()
    assert len(tables(rows)) > 10
    assert set(tables(rows)) <= set(tables(printed.splitlines()))


def test_a_tiny_one_of_the_whole_benchmark(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    argv = ["cluster.py", "--tiny", "--units", str(tmp_path)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sys.argv", argv)
        cluster.main()
    out = capsys.readouterr().out
    assert out.count(model.HEAD) == 2 * len(cluster.RULES)
    assert '"image":' in out
