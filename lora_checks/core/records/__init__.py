"""The package's nouns as frozen records: Lora, Prompt, ImageSpec, ImageSet, Metric, Measurement, Verdict, ...

Records only hold values and compute digests of them. They import only the standard library.
"""

from lora_checks.core.records.digests import digest
from lora_checks.core.records.images import ImageFile, ImageSet, ImageSpec, Member
from lora_checks.core.records.loras import Lora, LoraLayer, Proof
from lora_checks.core.records.policies import (
    Against,
    Allowance,
    Base,
    Better,
    Calibration,
    NetworkFile,
    Pairing,
    Per,
    Policy,
    Prompt,
    PromptSet,
    Quantization,
    Rule,
    Sampler,
    Stat,
    Takes,
    Threshold,
    Weight,
)
from lora_checks.core.records.verdicts import Measurement, Metric, Outcome, Verdict

__all__ = [
    "Against",
    "Allowance",
    "Base",
    "Better",
    "Calibration",
    "ImageFile",
    "ImageSet",
    "ImageSpec",
    "Lora",
    "LoraLayer",
    "Measurement",
    "Member",
    "Metric",
    "NetworkFile",
    "Outcome",
    "Pairing",
    "Per",
    "Policy",
    "Prompt",
    "PromptSet",
    "Proof",
    "Quantization",
    "Rule",
    "Sampler",
    "Stat",
    "Takes",
    "Threshold",
    "Verdict",
    "Weight",
    "digest",
]
