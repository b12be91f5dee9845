"""Proofs in the store: found again for the same LoRA on the same base, and for nothing else."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from lora_checks.core.records import Lora, Proof
from lora_checks.core.store import Store
from lora_checks.core.words import proven
from lora_checks.diffusion.proof import kept as proofs
from lora_checks.images.plan import Machine

LORA = Lora(Path("a.safetensors"), "a", "9c1e" * 16, "diffusers", (4,), (4.0,), {"unet": 3}, 6)
MACHINE = Machine("digest-of-base", "cpu", "float32", ("torch 2.14.1",))
PROOF = Proof(6, 3, (), (), {"unet": 0.0412}, 1e-7, "cpu", "float32")


def stored(store: Store, proof: Proof) -> tuple[Proof, int]:
    """What the store gives, and how often it had to be proven."""
    calls = []

    def prove() -> Proof:
        calls.append(proof)
        return proof

    place = proofs.place(store, MACHINE, LORA, ())
    return proofs.kept(store, place, LORA, MACHINE, prove), len(calls)


def test_a_proof_is_made_once_and_comes_back_as_it_was(tmp_path: Path) -> None:
    full = replace(PROOF, unused=("lora_te_a.alpha",), dead=("unet.mid",))
    assert stored(Store(tmp_path), full) == (full, 1)
    assert stored(Store(tmp_path), PROOF) == (full, 0)


@pytest.mark.parametrize(
    "change",
    [
        {"lora": replace(LORA, sha256="0" * 64)},
        {"lora": replace(LORA, scale=0.5)},
        {"machine": replace(MACHINE, base="another")},
        {"machine": replace(MACHINE, dtype="float16")},
        {"machine": replace(MACHINE, versions=("torch 2.14.2",))},
        {"machine": replace(MACHINE, companions=(replace(LORA, sha256="1" * 64, scale=0.7),))},
        {"allowed": ("lora_te_*",)},
    ],
    ids=str,
)
def test_another_lora_base_machine_or_permission_is_proven_anew(
    tmp_path: Path, change: dict[str, object]
) -> None:
    store = Store(tmp_path)
    known: dict[str, object] = {"machine": MACHINE, "lora": LORA, "allowed": ()}
    assert proofs.place(store, **known) != proofs.place(store, **(known | change))  # type: ignore[arg-type]


def test_the_name_of_a_file_does_not_matter(tmp_path: Path) -> None:
    store, renamed = Store(tmp_path), replace(LORA, name="b", path=Path("b.safetensors"))
    assert proofs.place(store, MACHINE, LORA, ()) == proofs.place(store, MACHINE, renamed, ())


@pytest.mark.parametrize("content", ["", "{}", '{"tensors": 6}', "[1]"])
def test_a_damaged_proof_is_made_again(tmp_path: Path, content: str) -> None:
    store = Store(tmp_path)
    path = proofs.place(store, MACHINE, LORA, ())
    path.parent.mkdir(parents=True)
    path.write_text(content)
    assert stored(store, PROOF) == (PROOF, 1)
    assert stored(store, PROOF) == (PROOF, 0)


@pytest.mark.parametrize(
    ("proof", "sentence"),
    [
        (PROOF, "all 6 tensors, moves unet by 4.1 %"),
        (
            replace(PROOF, effect={"unet": 1.5, "text_encoder": 0.0004}),
            "all 6 tensors, moves unet by 150 %, text_encoder by 0.04 %",
        ),
        (
            replace(PROOF, unused=("a", "b", "c")),
            "3 of 6 tensors, moves unet by 4.1 %; 3 left out, as the policy allows: a, b and 1 more",
        ),
        (replace(PROOF, dead=("mid",)), "all 6 tensors, moves unet by 4.1 %; 1 layer of 3 untrained: mid"),
    ],
    ids=["plain", "two components", "left out", "dead"],
)
def test_the_proof_in_words(proof: Proof, sentence: str) -> None:
    assert proven(proof) == sentence
