"""Measure how long a page takes to make and to open, and how large it is.

    python benchmarks/report_page.py [--images 200] [--loras 4] [--seeds 4] [--size 512] [--folder DIR]

The pictures are synthetic, with as much fine detail as photographs, each with a base picture. It prints the
time to make the page for the first time (every picture is decoded) and again (thumbnails and spectra are
cached), each as a ratio to what cannot be saved: Pillow reading every picture once and writing its thumbnail;
then the page's size, and the time that Chromium takes to open it. It uses one core; ``--folder`` keeps the
pictures for another run. 40 checkpoints of 25 prompts: ``--loras 40 --images 25 --seeds 1``.
"""

from __future__ import annotations

import argparse
import io
import json
import shutil
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT / "tests"))

from browser_world import ARGUMENTS, NAMES  # noqa: E402
from page_world import page_document  # noqa: E402
from PIL import Image  # noqa: E402

from lora_checks.record.shapes import Document  # noqa: E402
from lora_checks.report import html  # noqa: E402
from lora_checks.report.html.album import collect  # noqa: E402

TIMES = """() => {
  const navigation = performance.getEntriesByType('navigation')[0];
  const paint = performance.getEntriesByName('first-contentful-paint')[0];
  return {load: navigation.loadEventEnd, paint: paint ? paint.startTime : 0};
}"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=200, help="of each LoRA")
    parser.add_argument("--loras", type=int, default=4)
    parser.add_argument("--seeds", type=int, default=4, help="of each prompt")
    parser.add_argument("--size", type=int, default=512, help="px of each side")
    parser.add_argument("--folder", type=Path, help="where the pictures are kept")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = options.folder or Path(temporary)
        document = world(folder, options.images, options.loras, options.size, options.seeds)
        shutil.rmtree(folder / "store" / "page", ignore_errors=True)
        shutil.rmtree(folder / "report", ignore_errors=True)
        measure(document, folder / "report")


def world(folder: Path, images: int, loras: int, size: int, seeds: int) -> dict[str, Any]:
    """Make the pictures and the document, once per folder."""
    kept = folder / f"document-{images}-{loras}-{size}-{seeds}.json"
    if not kept.exists():
        names = [f"step-{100 * (i + 1):04}" for i in range(loras)]
        made = page_document(folder, names, max(1, images // seeds), seeds, size, references=24)
        kept.write_text(json.dumps(made))
    found: dict[str, Any] = json.loads(kept.read_text())
    return found


def measure(document: dict[str, Any], report: Path) -> None:
    pictures = sum(len(lora["pictures"]) for lora in document["loras"])
    print(f"{len(document['loras'])} LoRAs, {pictures} images, each with its base picture; 24 references")
    least = by_pillow(document)
    print(f"{'Pillow alone':12} {least:6.1f} s of one core")
    for what in ("made", "made again"):
        began = time.process_time(), time.perf_counter()
        page = html.write(document, report)
        spent = time.process_time() - began[0], time.perf_counter() - began[1]
        ratio = f"{spent[0] / least:.2f} times Pillow alone"
        print(f"{what:12} {spent[1]:6.1f} s, {spent[0]:.1f} s of one core: {ratio}")
    print(f"{'size':12} {page.stat().st_size / 1e6:6.1f} MB")
    browse(page)


def by_pillow(document: Document) -> float:
    """Return the CPU seconds in which Pillow reads each picture and writes its thumbnail."""
    began = time.process_time()
    for picture in collect(document).pictures:
        with Image.open(picture.file) as image:
            image.convert("RGB").resize((128, 128), Image.Resampling.LANCZOS, reducing_gap=2.0).save(
                io.BytesIO(), "WEBP", quality=78, method=2
            )
    return time.process_time() - began


def browse(page: Path) -> None:
    found = next(filter(None, map(shutil.which, NAMES)), None)
    if found is None:
        print("no browser on this machine")
        return
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found, args=ARGUMENTS)
        for _ in range(3):
            tab = browser.new_page(viewport={"width": 1400, "height": 900})
            tab.goto(page.as_uri(), wait_until="load")
            tab.wait_for_selector(".card")
            times = tab.evaluate(TIMES)
            print(f"{'opened':12} {times['load'] / 1000:6.2f} s, painted after {times['paint'] / 1000:.2f} s")
            tab.close()
        browser.close()


if __name__ == "__main__":
    main()
