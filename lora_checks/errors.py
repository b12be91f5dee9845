"""What can go wrong, as one tree.

LoraChecksError
├── ConfigError          the policy or an option is wrong: fix the named file and line
├── PrerequisiteError    something the policy needs is not on this machine: install or download it
├── LoraFileError        the LoRA file itself is unusable: train or export it again
├── GenerationError      the pipeline could not make the images: base, LoRA and device do not fit
├── StoreError           the store cannot be read or written: free the disk or choose another folder
├── MeasureError         an image or a network gave no usable number
├── ReleaseError         an attestation or a report does not release this LoRA: gate it again
└── TrackerError         a tracker did not take the report, which is whole on disk: log it again later

Every message is one sentence a person can act on: what is wrong, where, and what to do next.
"""

from __future__ import annotations

LONGEST = 160  # characters of a library's message; peft's may name every layer of a model


class LoraChecksError(Exception):
    """Base of every error this package raises on purpose; its text is shown without a traceback."""


class ConfigError(LoraChecksError):
    """A policy file or option is wrong. The text starts with ``file:line: key`` where there is one."""


class PrerequisiteError(LoraChecksError):
    """A package, weights file or folder that the policy names is missing on this machine."""


class LoraFileError(LoraChecksError):
    """A LoRA file cannot be gated: not safetensors, damaged, never trained, or of an unsupported kind."""


class GenerationError(LoraChecksError):
    """The pipeline could not produce a usable image with this base, LoRA and device."""


class StoreError(LoraChecksError):
    """The store folder could not be read or written."""


class MeasureError(LoraChecksError):
    """A value could not be computed; the row becomes ERROR, never PASS."""


class ReleaseError(LoraChecksError):
    """An attestation or a report is not believed, or does not release what it is held against."""


class TrackerError(LoraChecksError):
    """An experiment tracker did not take a report; neither the report nor its verdict depends on that."""


def first_line(error: BaseException) -> str:
    """What a library's exception says, short enough for a sentence of ours."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    first = lines[0] if lines else type(error).__name__
    return first if len(first) <= LONGEST else f"{first[:LONGEST].rstrip()} ..."
