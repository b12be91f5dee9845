"""What the row `applied` says of a LoRA: its proof, and a word where it is made for another base."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from safetensors.numpy import load_file, save_file
from world import MINIATURE

from lora_checks.core.store import Store
from lora_checks.diffusion.generated import GeneratedImages
from lora_checks.lora.file import inspect
from lora_checks.policy.reading import load_policy


@contextmanager
def silent(_total: int) -> Iterator[Any]:
    """No progress bar."""
    yield lambda _done: None


def test_another_familys_file_is_applied_with_a_word(tmp_path: Path) -> None:
    path = tmp_path / "klein.safetensors"
    tensors = load_file(MINIATURE / "loras" / "good.safetensors")
    source = GeneratedImages(load_policy(MINIATURE), Store(tmp_path), "cpu", "float32", 1, lambda _: silent)
    sentences = []
    for said in ("Flux.2-klein-4b", "stable-diffusion-v1/lora"):
        save_file(tensors, path, {"modelspec.architecture": said})
        sentences.append(source.evidence(inspect(path, "klein")).sentence)
    assert "its metadata says FLUX.2 klein 4B, and the base is SD 1.x or SD 2.x or SDXL" in sentences[0]
    assert "metadata" not in sentences[1]
    assert all(sentence.startswith("all ") for sentence in sentences)
