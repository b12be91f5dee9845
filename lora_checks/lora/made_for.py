"""Say in words where what a LoRA is made for and the base it is put on differ.

A LoRA whose every layer has its place may still be another model's: FLUX.1 and Chroma have the same
attentions, and so has FLUX.2 klein 4B in fewer blocks. Such files are exchanged on purpose, too: it is a
word, not an error.
"""

from __future__ import annotations

from collections.abc import Iterable

from lora_checks.core.records import Lora
from lora_checks.lora.families import UNETS
from lora_checks.lora.family_shapes import SHAPES
from lora_checks.lora.header import shown
from lora_checks.lora.said import said_families

_STATED = {"architecture": "modelspec.architecture", "base version": "ss_base_model_version"}  # fact -> key
# Models of one shape that a word in the metadata, and in the pipeline's class, tells from the plain one.
_KINDS = ("Kontext", "Fill")


def doubts(lora: Lora, denoisers: Iterable[str], pipeline: str) -> tuple[str, ...]:
    """Return a sentence for each fact that speaks against the base; () if none does or nothing is known.

    Args:
        lora: The inspected file.
        denoisers: Names of the classes of the base's denoisers.
        pipeline: Name of the base's class.
    """
    base = families_of_classes(denoisers)
    stated = {key: lora.facts.get(fact, "") for fact, key in _STATED.items()}
    said = said_families(stated)
    found = []
    if base and said and not set(said).intersection(base):
        found.append(f"its metadata says {' or '.join(said)}, and the base is {' or '.join(base)}")
    told = lora.families and not set(said).intersection(base)
    if base and told and not set(lora.families).intersection(base):
        found.append(
            f"its layers have the names, shapes and number of {' or '.join(lora.families)}'s, "
            f"and the base is {' or '.join(base)}"
        )
    text = next((value for value in stated.values() if value), "")
    for kind in _KINDS if text and not found else ():
        if (kind.lower() in text.lower()) != (kind in pipeline):
            found.append(f"its metadata says {shown(text)}, and the base is a {pipeline}")
    return tuple(found)


def families_of_classes(denoisers: Iterable[str]) -> tuple[str, ...]:
    """Return the families whose denoiser is of one of these classes; () if none is known."""
    classes = set(denoisers)
    families = [family for family, (kind, _) in SHAPES.items() if kind in classes]
    families += UNETS if "UNet2DConditionModel" in classes else ()
    return (*families, "Cosmos-Predict2") if "Anima" in families else tuple(families)
