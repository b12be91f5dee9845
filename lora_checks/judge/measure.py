"""Measure one row: fetch what its metric needs, evaluate the metric, summarise the values.

`Task` says what to measure. Only `fetch` reads the store or asks a network; `evaluate` and `summarise` are
computation alone.
"""

from __future__ import annotations

from lora_checks.core.errors import MeasureError
from lora_checks.core.records import Measurement, PromptSet
from lora_checks.core.store import Progress, Store
from lora_checks.judge.evaluate import evaluate
from lora_checks.judge.fetch import fetch
from lora_checks.judge.summarise import summarise
from lora_checks.judge.task import Task
from lora_checks.networks import Extractor


def measure(
    task: Task, network: Extractor | None, prompts: PromptSet, store: Store, progress: Progress | None = None
) -> Measurement:
    """Measure a task.

    Args:
        task: What to measure.
        network: The network that turns pictures into features; None for a metric of pixels.
        prompts: The policy's prompts; a text network does not know their trigger.
        store: Where features are kept between runs.
        progress: Gets the number of pictures that the network has yet to see.

    Raises:
        MeasureError: There is no finite value. A stand-in is never returned.
        ConfigError: The metric cannot be measured on these pictures.
    """
    if not task.images.images:
        raise MeasureError(f"{task.metric.name}: there are no images to measure")
    fetched = fetch(task, network, prompts, store, progress)
    evaluated = evaluate(task, fetched)
    return summarise(task, evaluated, fetched)
