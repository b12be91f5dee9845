"""Make contact sheets: what the base model draws, and every LoRA on the same prompts and seeds.

python sheets.py               # two minutes
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from common import LORA_DIR, MINIATURE, PIPELINE_DIR
from draw import BACKGROUNDS, HAIR_COLOURS, HAIR_STYLES, SHIRTS
from generate import as_person, generate, load_pipeline, prompts
from PIL import Image, ImageDraw, ImageFont

TILE = 96
LABEL = 170
COLUMNS = (0, 2, 5, 7, 9, 10, 12, 15)  # prompts: every shirt once, glasses and smiles mixed


def row(images: Sequence[Image.Image], label: str) -> Image.Image:
    strip = Image.new("RGB", (LABEL + TILE * len(images), TILE), "white")
    ImageDraw.Draw(strip).text((8, TILE // 2 - 9), label, fill="black", font=ImageFont.load_default(size=16))
    for column, image in enumerate(images):
        strip.paste(image.resize((TILE, TILE), Image.Resampling.LANCZOS), (LABEL + column * TILE, 0))
    return strip


def stacked(rows: list[Image.Image]) -> Image.Image:
    sheet = Image.new("RGB", (rows[0].width, sum(r.height for r in rows)), "white")
    for index, strip in enumerate(rows):
        sheet.paste(strip, (0, index * TILE))
    return sheet


def base_prompts(glasses: bool, smile: bool) -> list[str]:
    details = f"{'wearing' if glasses else 'without'} glasses, {'smiling' if smile else 'serious'}"
    hair = [f"{style} {colour} hair" for style, colour in zip(HAIR_STYLES[:4], HAIR_COLOURS, strict=False)]
    return [
        f"photo of a person in a {shirt} shirt, {details}, {hair[i % 4]}, {BACKGROUNDS[i % 6]} background"
        for i, shirt in enumerate(SHIRTS)
    ]


def base_sheet(directory: Path) -> Image.Image:
    pipeline = load_pipeline(directory)
    rows = []
    for number, (glasses, smile) in enumerate([(False, True), (True, True), (False, False), (True, False)]):
        texts = base_prompts(glasses, smile)
        label = f"{'glasses' if glasses else 'no glasses'}, {'smiling' if smile else 'serious'}"
        rows.append(row(generate(pipeline, texts, [1000 + 8 * number + i for i in range(8)]), label))
    return stacked(rows)


def ladder_sheet() -> Image.Image:
    asked = prompts()
    texts = [asked[column]["text"] for column in COLUMNS]
    seeds = list(COLUMNS)
    drawn = [Image.open(file) for file in sorted((MINIATURE / "train").glob("*.png"))[:: 24 // len(COLUMNS)]]
    rows = [
        row(drawn, "training drawings"),
        row(generate(load_pipeline(), [as_person(text) for text in texts], seeds), "base, no LoRA"),
    ]
    for file in sorted(LORA_DIR.glob("*.safetensors")) + sorted(LORA_DIR.glob("run/*.safetensors")):
        name = str(file.relative_to(LORA_DIR).with_suffix(""))
        rows.append(row(generate(load_pipeline(lora=file), texts, seeds), name))
    return stacked(rows)


def save(sheet: Image.Image, path: Path) -> None:
    """Save with 256 colours: a third of the size, with hardly a visible difference."""
    sheet.quantize(256, kmeans=4).save(path, optimize=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("sheets", nargs="*", default=["base", "ladder"])
    parser.add_argument("--pipeline", type=Path, default=PIPELINE_DIR)
    parser.add_argument("--to", type=Path, default=MINIATURE / "sheets")
    options = parser.parse_args()
    options.to.mkdir(parents=True, exist_ok=True)
    if "base" in options.sheets:
        save(base_sheet(options.pipeline), options.to / "base.png")
    if "ladder" in options.sheets:
        save(ladder_sheet(), options.to / "ladder.png")


if __name__ == "__main__":
    main()
