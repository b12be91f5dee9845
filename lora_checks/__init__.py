"""A release gate for diffusion LoRAs: ``pytest --lora FILE``.

Importing this package imports nothing heavy.
"""

from lora_checks.errors import (
    ConfigError,
    GenerationError,
    LoraChecksError,
    LoraFileError,
    MeasureError,
    PrerequisiteError,
    StoreError,
)
from lora_checks.metrics import metric
from lora_checks.records import (
    ImageFile,
    ImageSet,
    ImageSpec,
    Lora,
    Measurement,
    Metric,
    Outcome,
    Policy,
    Prompt,
    Threshold,
    Verdict,
)

__all__ = [
    "ConfigError",
    "GenerationError",
    "ImageFile",
    "ImageSet",
    "ImageSpec",
    "Lora",
    "LoraChecksError",
    "LoraFileError",
    "MeasureError",
    "Measurement",
    "Metric",
    "Outcome",
    "Policy",
    "PrerequisiteError",
    "Prompt",
    "StoreError",
    "Threshold",
    "Verdict",
    "metric",
]
