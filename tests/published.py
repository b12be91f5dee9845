"""What the weights of published bases take, computed from their configurations."""

from __future__ import annotations

from collections.abc import Mapping

CARDS = (12, 16, 24, 80)  # GB
WORK = 3.0  # GB set aside for an image of 1024 x 1024 and for what the driver keeps

# Billions of parameters of each network: diffusers' and transformers' classes, built without memory from the
# published configurations and counted.
PARAMETERS: Mapping[str, Mapping[str, float]] = {
    "SD 3.5 large": {"transformer": 8.06, "T5": 4.76, "two CLIPs": 0.82},
    "Chroma": {"transformer": 8.90, "T5": 4.76},
    "FLUX.2 dev": {"transformer": 32.22, "Mistral 3": 23.34},
    "FLUX.2 klein 4B": {"transformer": 3.88, "Qwen 3": 4.02},
    "FLUX.2 klein 9B": {"transformer": 9.08, "Qwen 3": 8.19},
    "Z-Image": {"transformer": 6.16, "Qwen 3": 4.02},
    "Qwen-Image": {"transformer": 20.43, "Qwen 2.5-VL": 8.29},
    "Krea 2": {"transformer": 12.82, "Qwen 3-VL": 4.44},
    "HiDream I1": {"transformer": 17.11, "Llama 3.1": 8.03, "T5": 4.76, "two CLIPs": 0.82},
    "Lumina 2": {"transformer": 2.61, "Gemma 2": 2.61},
    "CogView4": {"transformer": 6.37, "GLM 4": 8.78},
    "HunyuanImage 2.1": {"transformer": 17.43, "Qwen 2.5-VL": 8.29},
    "Ideogram 4": {"transformer": 9.28, "unconditional": 9.28, "Qwen 3-VL": 8.14},
    "PixArt Sigma": {"transformer": 0.61, "T5": 4.76},
    "Sana 1.6B": {"transformer": 1.60, "Gemma 2": 2.61},
}


def way(parts: Mapping[str, float], card: int) -> str:
    """The least offload with which the weights leave room: two bytes a parameter."""
    if 2 * sum(parts.values()) + WORK <= card:
        return "none"
    return "model" if 2 * max(parts.values()) + WORK <= card else "sequential"


def markdown() -> str:
    lines = [("base", "billions of parameters", "GB", "largest", *(f"{card} GB" for card in CARDS))]
    lines += [("---",) * len(lines[0])]
    for name, parts in PARAMETERS.items():
        counts = ", ".join(f"{part} {count:.2f}" for part, count in parts.items())
        whole, largest = 2 * sum(parts.values()), 2 * max(parts.values())
        ways = (way(parts, card) for card in CARDS)
        lines.append((name, counts, f"{whole:.0f}", f"{largest:.0f}", *ways))
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)
