"""Measure the peak memory for 50 and 400 images at 512 x 512: LPIPS to every reference, FID, with the store.

python benchmarks/memory.py [--sizes 50 400] [--references 24]
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import tempfile
import warnings
from pathlib import Path

from metric_peers import alex_file, inception_file, say, write_pictures  # first: it fixes the threads

# isort: split
from metric_script import PROMPTS

from lora_checks import metrics, networks
from lora_checks.core.records import ImageSet
from lora_checks.core.store import Store
from lora_checks.images.sets import image_set
from lora_checks.judge.measure import measure
from lora_checks.judge.task import Task


def child(folder: Path, count: int) -> None:
    """Measure the first ``count`` pictures and print the peak resident memory in MB."""
    warnings.simplefilter("ignore")
    store = Store(folder / f"store-{count}")
    everything = image_set("candidate", folder / "pictures")
    images = ImageSet("candidate", everything.images[:count])
    others = image_set("references", folder / "references")
    lpips = networks.build("lpips", {"net": "alex", "trunk_file": str(folder / "alexnet.pth")}, "cpu")
    pool3 = networks.build("inception", {"file": str(folder / "inception.pth")}, "cpu", cache=store.root)
    measure(Task(metrics.get("lpips"), images, others, pairing="nearest"), lpips, PROMPTS, store)
    measure(Task(metrics.get("fid"), images, others), pool3, PROMPTS, store)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    say(str(peak // 1024 if sys.platform == "linux" else peak >> 20))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sizes", type=int, nargs=2, default=(50, 400))
    parser.add_argument("--references", type=int, default=24)
    parser.add_argument("--child", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        child(Path(options.child[0]), int(options.child[1]))
        return
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        alex_file(folder), inception_file(folder)
        write_pictures(folder / "pictures", max(options.sizes), 512, 0)
        write_pictures(folder / "references", options.references, 512, 1)
        peaks = []
        for count in options.sizes:
            command = [sys.executable, __file__, "--child", name, str(count)]
            run = subprocess.run(command, check=True, capture_output=True, text=True)
            peaks.append(int(run.stdout))
            say(f"{count:5} images against {options.references} references: peak {peaks[-1]} MB")
        say(
            f"      {peaks[1] - peaks[0]:+} MB for {options.sizes[1] / options.sizes[0]:.0f} times the images"
        )


if __name__ == "__main__":
    main()
