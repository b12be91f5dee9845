"""Images: what decides their pixels, and where they are."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path

from lora_checks.core.records.digests import digest
from lora_checks.core.records.policies import Prompt, Sampler


@dataclass(frozen=True, slots=True)
class ImageSpec:
    """Everything that decides the pixels of one image; equal digests mean the same image."""

    prompt: Prompt
    seed: int
    sampler: Sampler
    base: str  #: digest of the base's weights, or "hub-id@revision"
    lora: str | None  #: sha256; None: the base alone
    lora_scale: float
    dtype: str  #: "float32", "float16", "bfloat16"
    device: str  #: "cpu", "cuda", ...
    versions: tuple[str, ...]  #: ("diffusers 0.42.1", "torch 2.14.1")
    companions: tuple[tuple[str, float], ...] = ()  #: sha256 and scale of each LoRA from --lora-with
    memory: tuple[str, ...] = ()  #: memory savings that change pixels: "vae-tiling", ...

    @property
    def digest(self) -> str:
        pixels = dataclasses.asdict(self) | {"prompt": self.prompt.text}
        return digest(pixels)


@dataclass(frozen=True, slots=True)
class Member:
    """Where a picture is inside a file that holds many: a tar, or a table with a column of pictures."""

    name: str  #: "000123.jpg", "row 17"
    at: tuple[int, int]  #: of a tar: first byte, number of bytes; of a table: its part, row in the part
    column: str = ""  #: of a table


@dataclass(frozen=True, slots=True)
class ImageFile:
    """One picture on disk; ``sha256`` is the digest of the file and the key of all its measurements."""

    path: Path
    sha256: str
    name: str  #: "green-shirt-glasses/1" (prompt id / seed) or the file name of a reference
    prompt: Prompt | None = None
    seed: int | None = None
    member: Member | None = None  #: if ``path`` holds many pictures; ``sha256`` is then that of this one

    @property
    def where(self) -> str:
        """Name the picture for people: "shards/00007.tar: 000123.jpg"."""
        return f"{self.path}: {self.member.name}" if self.member else str(self.path)


@dataclass(frozen=True, slots=True)
class ImageSet:
    """Pictures that are measured together."""

    name: str  #: "candidate", "baseline", "references", "train"
    images: tuple[ImageFile, ...]
    statistics: ImageFile | None = None  #: an .npz of (mu, sigma) in place of pictures
