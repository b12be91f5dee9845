"""docs/families.md, made from the bases that `init` knows: `python tests/families_page.py` writes it."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Mapping
from pathlib import Path

from lora_checks.policy.starter.bases import BASES, KnownBase

PAGE = Path(__file__).parents[1] / "docs" / "families.md"
CARDS = (12, 16, 24, 80)  # GB
WORK = 3.0  # GB set aside for an image of 1024 x 1024 and for what the driver keeps
WIDTH = 110
INTRODUCTION = """\
# Policies for today's bases

The `base:` and `sampler:` of a `prompts.yaml` for each base, after the pipelines' and model cards' own
examples, as `lora-checks init --base KEY` writes them; trigger, seeds and prompts are yours
([policy.md](policy.md)). Each is read in `tests/docs/test_families_page.py`, checked against a tiny base of
the same classes, and each setting is tried on that base ([bases.md](bases.md)). On ten of those tiny bases
eleven trainers' files paint what their formula merged into the weights paints, to 1e-4 in pixels from 0 to
1 (`tests/diffusion/test_kinds_of_today.py`), and on three of them whole runs end in a verdict
(`tests/gate/test_todays_bases.py`). On the bases from AuraFlow on, diffusers' files paint so
(`tests/diffusion/test_bases_of_today.py`), and whole runs end in a verdict on three of them
(`tests/gate/test_gated_bases.py`). No published weights were run. [spellings.md](spellings.md) has the
names of layers."""
MEMORY = """\
## Memory

Computed, not measured: two bytes a parameter, and 3 GB for an image of 1024 x 1024. A card's column is the
least `--lora-offload` with which the weights fit; the VAE, about 0.2 GB, is left out. With `group` two blocks
of a network are on the card at a time, at most 1.5 GB of those that were counted (SD, SDXL, SD 3.5, FLUX.1,
Qwen-Image, T5, Qwen 3), and the weights need main memory. Before it loads anything the gate adds up
the weights that are really there."""


def page() -> str:
    sections = [_section(key, base) for key, base in BASES.items()]
    return "\n\n".join([INTRODUCTION, *sections, MEMORY, _memory()]) + "\n"


def policy(base: KnownBase) -> str:
    """`base:` and `sampler:` in YAML."""
    size = {"width": base.size, "height": base.size}
    sampler = {"steps": base.steps, "guidance": base.guidance, **base.more, **size}
    pairs = ", ".join(f"{key}: {_scalar(value)}" for key, value in sampler.items())
    return f"base: {{model: {base.model}}}\nsampler: {{{pairs}}}\n"


def _scalar(value: float | str) -> str:
    if isinstance(value, str):
        return json.dumps(value)
    return "0" if value == 0 else repr(value)


def _section(key: str, base: KnownBase) -> str:
    about = [f"`--base {key}`."]
    if base.licence:
        about.append(f"Licence: {base.licence}{', to be accepted on the hub first' if base.gated else ''}.")
    elif base.gated:
        about.append("Its licence has to be accepted on the hub first.")
    text = textwrap.fill(" ".join([base.notes, *about]).strip(), WIDTH, break_on_hyphens=False)
    return f"## {base.title}\n\n```yaml\n{policy(base)}```\n\n{text}"


def way(parts: Mapping[str, float], card: int) -> str:
    """The least offload with which the weights leave room: two bytes a parameter."""
    if 2 * sum(parts.values()) + WORK <= card:
        return "none"
    return "model" if 2 * max(parts.values()) + WORK <= card else "group"


def _memory() -> str:
    lines = [("base", "billions of parameters", "GB", "largest", *(f"{card} GB" for card in CARDS))]
    lines += [("---",) * len(lines[0])]
    for base in BASES.values():
        parts = base.parameters
        if not parts:
            lines.append((base.title, "not counted", *("?",) * (2 + len(CARDS))))
            continue
        counts = ", ".join(f"{part} {count:.2f}" for part, count in parts.items())
        whole, largest = 2 * sum(parts.values()), 2 * max(parts.values())
        lines.append(
            (base.title, counts, f"{whole:.0f}", f"{largest:.0f}", *(way(parts, card) for card in CARDS))
        )
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
