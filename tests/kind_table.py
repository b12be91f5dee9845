"""The table "kind of file x family of base", as it is expected and as it is written in Markdown."""

from __future__ import annotations

from families import FAMILIES
from kinds import KINDS

OFT = "refused: an OFT layer"

# One cell for all the families that have such files; `tests/kinds.py` says which these are.
EXPECTED: dict[str, str] = {
    "diffusers (PEFT)": "applied",
    "diffusers, strength in the metadata": "applied",
    "diffusers, ranks and alphas by layer": "applied",
    "diffusers, rsLoRA": "applied",
    "diffusers, DoRA": "applied",
    "diffusers, `.lora.down`": "applied",
    "diffusers, attention processors": "applied",
    "PEFT adapter": "refused: a PEFT adapter",
    "kohya LoRA": "applied",
    "kohya LoRA, all layers": "applied",
    "kohya LoRA with T5": "applied",
    "kohya LoRA, resized": "applied",
    "kohya OFT": OFT,
    "LyCORIS LoCon": "applied",
    "LyCORIS LoCon, Tucker": "applied",
    "LyCORIS LoCon with norms": "refused: a difference of a normalisation layer",
    "LyCORIS LoHa": "applied",
    "LyCORIS LoHa, Tucker": "applied",
    "LyCORIS LoKr": "applied",
    "LyCORIS LoKr, both factored": "applied",
    "LyCORIS LoKr, full matrix": "applied",
    "LyCORIS LoKr, Tucker": "applied",
    "LyCORIS DoRA, rows": "applied",
    "LyCORIS DoRA, columns": "applied",
    "LyCORIS LoHa with DoRA": "applied",
    "LyCORIS LoKr with DoRA": "applied",
    "LyCORIS full": "applied",
    "LyCORIS (IA)3": "refused: an (IA)^3 layer",
    "LyCORIS Diag-OFT": OFT,
    "LyCORIS BOFT": "refused: a BOFT layer",
    "LyCORIS GLoRA": "refused: a GLoRA layer",
    "LyCORIS' own wrapper (SimpleTuner), LoKr": "applied",
    "OneTrainer LoRA": "applied",
    "OneTrainer DoRA": "applied",
    "ai-toolkit LoRA": "applied",
    "ai-toolkit LoKr": "applied",
    "ComfyUI (`diffusion_model.`)": "applied",
    "BFL names": "applied",
    "BFL names with biases": "applied",
    "XLabs": "applied",
}
CELLS = [(kind, family) for kind in EXPECTED for family in FAMILIES if family in KINDS[kind].families]


def expected(kind: str, family: str) -> str:
    """ "" where there are no such files."""
    return EXPECTED[kind] if family in KINDS[kind].families else ""


def markdown() -> str:
    """The table for people; kinds are rows."""
    lines = [("LoRA file", *FAMILIES), ("---",) * (len(FAMILIES) + 1)]
    lines += [(kind, *(expected(kind, family) or "-" for family in FAMILIES)) for kind in EXPECTED]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


# The table "spelling of a file x base", of test_spellings.py: each spelling ends alike on all 20 bases.
SPELLINGS: dict[str, str] = {
    "diffusers": "applied",
    "ComfyUI (ai-toolkit, diffusion-pipe)": "applied",
    "ComfyUI with alphas (OneTrainer)": "applied",
    "kohya (sd-scripts, musubi-tuner)": "applied",
    "`transformer.` with alphas (OneTrainer)": "applied",
    "bare (DiffSynth-Studio)": "applied",
    "PEFT without its configuration": "refused: is a PEFT adapter",
    "`lycoris_` LoKr (SimpleTuner)": "applied",
    "`diffusion_model.` LoKr (ai-toolkit)": "applied",
}


def spelling_markdown() -> str:
    """The table of spellings for people; bases are rows."""
    from spellings.bases import BASES

    lines = [("Base", *SPELLINGS), ("---",) * (len(SPELLINGS) + 1)]
    lines += [(base, *(word.replace(": is", ":") for word in SPELLINGS.values())) for base in BASES]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)
