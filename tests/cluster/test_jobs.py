"""The queue of a cluster: what is urgent first, nothing twice, nothing lost."""

from __future__ import annotations

import pytest

from lora_checks.core.errors import GenerationError
from lora_checks.diffusion.cluster.jobs import AHEAD, ASKED, Job, Queue


def job(key: str, order: int = ASKED, group: str = "") -> Job:
    return Job(key, "paint", (), key, group=group, order=order)


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
