"""All errors that this package raises on purpose, as one tree.

LoraChecksError
├── ConfigError          the policy or an option is wrong: fix the named file and line
├── PrerequisiteError    something the policy needs is not on this machine: install or download it
│   └── SelfTestError    a measuring network gives wrong values: restore its weights or libraries
├── LoraFileError        the LoRA file itself is unusable: train or export it again
├── GenerationError      the pipeline could not make the images: base, LoRA and device do not fit
│   └── NoRoomError      memory does not hold the base, or one image: use an option that saves memory
├── StoreError           the store cannot be read or written: free the disk or choose another folder
│   └── DamagedError     a file in the store differs from what was written: it is regenerated; else delete it
├── MeasureError         an image or a network gave no usable number
├── ReportError          the named report does not exist, or another version wrote it
├── ReleaseError         an attestation or a report does not release this LoRA: gate it again
├── TrackerError         a tracker rejected the report, which is complete on disk: log it again later
└── CardError            a model card cannot be written: choose another LoRA or file, or fix the existing card

Every message is one sentence a person can act on: what is wrong, where, and what to do next.
"""

from __future__ import annotations

from pathlib import Path

from lora_checks.core.outside import printable, without_commands

ALSO = "; also: "  # between the sentences of an error about several things
LONGEST = 160  # characters of a library's message; peft's may name every layer of a model


class LoraChecksError(Exception):
    """Base of every error this package raises on purpose; its text is shown without a traceback.

    Messages quote file names, keys and values from untrusted input, so the text is always reduced to one
    printable line before it reaches a terminal or a CI log.
    """

    def __str__(self) -> str:
        return without_commands(printable(super().__str__()))


class ConfigError(LoraChecksError):
    """A policy file or option is wrong. The text starts with ``file:line: key`` if the error has a place."""


class PrerequisiteError(LoraChecksError):
    """A package, weights file or folder that the policy names is missing on this machine."""


class SelfTestError(PrerequisiteError):
    """A network contradicts itself or gives wrong values for known pictures."""


class LoraFileError(LoraChecksError):
    """A LoRA file cannot be gated: not safetensors, damaged, never trained, or of an unsupported kind."""


class GenerationError(LoraChecksError):
    """The pipeline could not produce a usable image with this base, LoRA and device."""


class NoRoomError(GenerationError):
    """Memory does not hold the base or one image of it; no other LoRA of the run would change that."""


class StoreError(LoraChecksError):
    """The store folder could not be read or written."""


class DamagedError(StoreError):
    """A file in the store differs from what was written; callers that can regenerate it do so."""

    def __init__(self, path: Path, why: object) -> None:
        super().__init__(f"damaged file in the store: {path} ({why}); delete it and run again")
        self.path, self.why = path, str(why)


class MeasureError(LoraChecksError):
    """A value could not be computed; the row becomes ERROR, never PASS."""


class ReportError(LoraChecksError):
    """A report cannot be read, or was written by another version."""


class ReleaseError(LoraChecksError):
    """An attestation or report is not valid, or does not release the given LoRA."""


class TrackerError(LoraChecksError):
    """An experiment tracker rejected a report; the report and its verdict are not affected."""


class CardError(LoraChecksError):
    """A model card cannot be written from this report or merged into the existing file."""


def first_line(error: BaseException) -> str:
    """Return the first line of a library's error message, shortened to fit into one of our sentences."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    first = lines[0] if lines else type(error).__name__
    return first if len(first) <= LONGEST else f"{first[:LONGEST].rstrip()} ..."
