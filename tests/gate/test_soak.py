"""The soak of benchmarks/soak.py, with a few gates; and that its checks find what they look for."""

from __future__ import annotations

import pytest

import benchmarks

soak = benchmarks.load("soak")


@pytest.fixture(scope="module")
def soaked(tmp_path_factory: pytest.TempPathFactory) -> tuple[object, list[object]]:
    """Six gates of two settings, two at a time, one of them killed."""
    gates = [
        soak.Plan(0, 0),
        soak.Plan(1, 0, kill=0.5),
        soak.Plan(2, 1),
        soak.Plan(3, 1, kill=0.3),
        soak.Plan(4, 0),
        soak.Plan(5, 0, workers=2),
    ]
    ran = soak.Soak(tmp_path_factory.mktemp("soak"), prompts=2, steps=1, say=lambda _: None)
    ran.run(gates)
    return ran, gates


def test_nothing_is_wrong_afterwards(soaked: tuple[object, list[object]]) -> None:
    result = soak.summary(*soaked)
    assert result["wrong"] == {}
    assert len(result["right"]) == 7
    assert result["gates"] == 6
    assert result["images"] >= 4


def test_what_is_left_over_is_found(soaked: tuple[object, list[object]]) -> None:
    store = soaked[0].store
    left = [store / "images" / ".x.part", store / "locks" / "run-x.lock", store.parent / "tmp" / "mine"]
    for path in left:
        path.parent.mkdir(exist_ok=True)
        path.touch()
    found = list(soak._left_over(store.parent))
    for path in left:
        path.unlink()
    assert sorted(found) == sorted(left)


def test_plans_are_drawn_from_the_seed() -> None:
    assert soak.plans(50, 1) == soak.plans(50, 1) != soak.plans(50, 2)
    many = soak.plans(300, 1)
    assert 40 < sum(plan.kill is not None for plan in many) < 110
    assert {plan.workers for plan in many} == {1, 2}
    assert len({plan.setting for plan in many}) > 3


def test_the_slope_of_a_line() -> None:
    rising = soak.slope([(i, 2 + 0.01 * i) for i in range(20)])
    assert rising["slope per 100"] == pytest.approx(1.0)
    assert rising["low"] == pytest.approx(1.0, abs=1e-6)
    assert soak.slope([(0, 1.0), (1, 1.0)]) is None
