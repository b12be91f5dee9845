"""A release gate for diffusion LoRAs: ``pytest --lora FILE``, or `run_gate` from Python.

The names below are the public ones. Each is imported when it is first used: pytest imports this package in
every run of an environment that has it, gating or not.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lora_checks.core.errors import ConfigError as ConfigError
    from lora_checks.core.errors import GenerationError as GenerationError
    from lora_checks.core.errors import LoraChecksError as LoraChecksError
    from lora_checks.core.errors import LoraFileError as LoraFileError
    from lora_checks.core.errors import MeasureError as MeasureError
    from lora_checks.core.errors import PrerequisiteError as PrerequisiteError
    from lora_checks.core.errors import StoreError as StoreError
    from lora_checks.core.records import ImageFile as ImageFile
    from lora_checks.core.records import ImageSet as ImageSet
    from lora_checks.core.records import ImageSpec as ImageSpec
    from lora_checks.core.records import Lora as Lora
    from lora_checks.core.records import Measurement as Measurement
    from lora_checks.core.records import Metric as Metric
    from lora_checks.core.records import Outcome as Outcome
    from lora_checks.core.records import Policy as Policy
    from lora_checks.core.records import Prompt as Prompt
    from lora_checks.core.records import Threshold as Threshold
    from lora_checks.core.records import Verdict as Verdict
    from lora_checks.gate.from_python import Result as Result
    from lora_checks.gate.from_python import run_gate as run_gate
    from lora_checks.images.elsewhere import MadeElsewhere as MadeElsewhere
    from lora_checks.images.elsewhere import image_source as image_source
    from lora_checks.metrics import metric as metric
    from lora_checks.networks import Extractor as Extractor
    from lora_checks.networks import FaceExtractor as FaceExtractor
    from lora_checks.networks import FromFiles as FromFiles
    from lora_checks.networks import ImageExtractor as ImageExtractor
    from lora_checks.networks import ManyParts as ManyParts
    from lora_checks.networks import PairExtractor as PairExtractor
    from lora_checks.networks import TextExtractor as TextExtractor
    from lora_checks.networks import network as network
    from lora_checks.policy.arms import with_tag as with_tag
    from lora_checks.publish.trackers import tracker as tracker
    from lora_checks.report.custom import output as output

_HOMES = {
    "core.errors": (
        "ConfigError", "GenerationError", "LoraChecksError", "LoraFileError", "MeasureError",
        "PrerequisiteError", "StoreError",
    ),
    "policy.arms": ("with_tag",),
    "gate.from_python": ("Result", "run_gate"),
    "images.elsewhere": ("MadeElsewhere", "image_source"),
    "metrics": ("metric",),
    "networks": (
        "Extractor", "FaceExtractor", "FromFiles", "ImageExtractor", "ManyParts", "PairExtractor",
        "TextExtractor", "network",
    ),
    "publish.trackers": ("tracker",),
    "report.custom": ("output",),
    "core.records": (
        "ImageFile", "ImageSet", "ImageSpec", "Lora", "Measurement", "Metric", "Outcome", "Policy", "Prompt",
        "Threshold", "Verdict",
    ),
}  # fmt: skip
__all__ = sorted(name for names in _HOMES.values() for name in names)


def __getattr__(name: str) -> Any:
    for home, names in _HOMES.items():
        if name in names:
            return getattr(import_module(f"lora_checks.{home}"), name)
    raise AttributeError(f"module 'lora_checks' has no attribute '{name}'")


def __dir__() -> list[str]:
    return __all__
