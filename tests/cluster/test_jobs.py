"""The queue of a cluster: what is urgent first, nothing twice, nothing lost."""

from __future__ import annotations

import pytest

from lora_checks.core.errors import GenerationError
from lora_checks.diffusion.cluster.jobs import AHEAD, ASKED, Job, Queue


def job(key: str, order: int = ASKED, group: str = "", lora: str = "") -> Job:
    return Job(key, "paint", (), key, group=group, lora=lora, order=order)


def taken(queue: Queue) -> list[object]:
    found = []
    while (one := queue.take(1, ())) is not None:
        found.append(one.key)
    return found


def test_what_is_asked_for_comes_before_what_will_be() -> None:
    queue = Queue()
    for key, order in (("a", AHEAD), ("b", ASKED), ("c", AHEAD), ("d", ASKED)):
        queue.submit(job(key, order))
    assert taken(queue) == ["b", "d", "a", "c"]


@pytest.mark.parametrize("order", [ASKED, AHEAD])
def test_a_job_that_is_submitted_again_waits_once(order: int) -> None:
    queue, first = Queue(), job("a", order)
    assert queue.submit(first) is queue.submit(first) is queue.submit(job("a", order))
    assert taken(queue) == ["a"]
    queue.submit(first)  # it is at work, or done
    assert taken(queue) == []


def test_asking_for_a_job_moves_it_forward() -> None:
    queue = Queue()
    queue.submit(job("a", AHEAD))
    queue.submit(job("b", AHEAD))
    queue.submit(job("b", ASKED))
    assert taken(queue) == ["b", "a"]


def test_a_job_avoids_the_worker_that_failed_as_long_as_there_is_another() -> None:
    queue, one = Queue(), job("a")
    one.avoid.add(1)
    queue.submit(one)
    assert queue.take(1, others={2}) is None
    assert queue.take(2, others={1}) is one
    queue.again(one)
    assert queue.take(1, others=set()) is one


def test_the_rest_of_a_lora_that_failed_is_not_begun() -> None:
    queue = Queue()
    good, bad = queue.submit(job("good", group="good")), queue.submit(job("bad", group="bad"))
    queue.drop("bad", GenerationError("it is black"))
    assert taken(queue) == ["good"]
    with pytest.raises(GenerationError, match="it is black"):
        bad.future.result(0)
    assert not good.future.done()


def test_a_closed_queue_fails_what_waits_and_what_comes() -> None:
    queue = Queue()
    before = queue.submit(job("before"))
    queue.close(GenerationError("no worker is left"))
    after = queue.submit(job("after"))
    for one in (before, after):
        with pytest.raises(GenerationError, match="no worker is left"):
            one.future.result(0)


def key(job: Job | None) -> object:
    return job and job.key


def test_a_worker_stays_with_its_lora() -> None:
    queue = Queue()
    for name in ("a1", "a2", "b1", "b2", "a3", "b3"):
        queue.submit(job(name, AHEAD, lora=name[0]))
    got = [(worker, key(queue.take(worker, others={3 - worker}))) for worker in (1, 2, 1, 2, 2, 1)]
    assert got == [(1, "a1"), (2, "b1"), (1, "a2"), (2, "b2"), (2, "b3"), (1, "a3")]


def test_a_free_worker_takes_the_lora_that_the_fewest_have() -> None:
    queue = Queue()
    for name in ("a1", "a2", "b1", "b2", "c1", "a3"):
        queue.submit(job(name, lora=name[0]))
    assert [key(queue.take(worker, {1, 2, 3, 4} - {worker})) for worker in (1, 2, 3)] == ["a1", "b1", "c1"]
    assert key(queue.take(4, {2, 3})) == "a2"  # the worker that had it is gone
    assert key(queue.take(5, {2, 3, 4})) == "b2"  # each has one worker: the first in line


def test_what_is_asked_for_does_not_wait_for_a_worker_that_stays() -> None:
    queue = Queue()
    for name, order in (("a1", AHEAD), ("a2", AHEAD), ("b1", ASKED)):
        queue.submit(job(name, order, lora=name[0]))
    assert key(queue.take(1, ())) == "b1"
    queue.submit(job("b2", AHEAD, lora="b"))
    queue.submit(job("c1", lora="c"))
    assert taken(queue) == ["c1", "a1", "a2", "b2"]


def test_what_needs_no_lora_comes_first_and_takes_none_off() -> None:
    queue = Queue()
    for name, lora in (("a1", "a"), ("b1", "b"), ("base", ""), ("b2", "b")):
        queue.submit(job(name, lora=lora))
    assert [key(queue.take(1, ())) for _ in range(2)] == ["base", "a1"]
    queue.submit(job("measure"))
    queue.submit(job("a2", lora="a"))
    assert taken(queue) == ["measure", "a2", "b1", "b2"]


def test_a_job_that_failed_comes_before_those_of_the_own_lora() -> None:
    queue = Queue()
    failed = queue.submit(job("b1", lora="b"))
    assert queue.take(2, {1}) is failed
    failed.avoid.add(2)
    queue.submit(job("a1", lora="a"))
    queue.submit(job("a2", lora="a"))
    assert key(queue.take(1, {2})) == "a1"
    queue.again(failed)
    assert key(queue.take(2, {1})) == "a2"  # it failed there
    assert key(queue.take(1, {2})) == "b1"
