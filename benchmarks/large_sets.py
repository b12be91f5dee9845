"""Measure the moments of a large set of tar shards: memory, processors at work, and what a kill costs.

python benchmarks/large_sets.py [--images 5000] [--folder /tmp/sets] [--kill]

The pictures are the miniature's references, scaled to 256 x 256 and changed by noise: 500 pictures over and
over, each file with bytes of its own behind the picture, so that each is read, hashed, decoded and measured.
The network is the miniature's trunk. Each run is a process of its own. "busy" counts the processors on which
its threads ran, on average after the first 1,000 images, and "wanted" adds the threads that waited for one.

"own" is, for each thread, its CPU time over its CPU time and the time in which it waited for anything but a
processor: a lock, a file, work. What other programs take is in neither, so this needs no machine of its own.
"at_work" is the mean of the busiest, one for each worker: from 0.9 on, the program would have kept so many
processors busy, had they been its own. If anything it is too low, since a lock is held longer where its owner
waits for a processor.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import shutil
import signal
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from PIL import Image

from lora_checks import networks
from lora_checks.core.store import Advance, Store
from lora_checks.images.sets import image_set
from lora_checks.metrics.statistics_file import write_statistics
from lora_checks.networks import ImageExtractor

MINIATURE = Path(__file__).parents[1] / "examples/miniature"
SIDE = 256
SHARD = 1000


def write_shards(folder: Path, images: int, side: int = SIDE) -> str:
    """Write JPEGs in tars of a thousand and return the pattern that names them; each file differs."""
    drawings = [
        np.asarray(Image.open(path).convert("RGB").resize((side, side), Image.Resampling.BICUBIC), np.int16)
        for path in sorted((MINIATURE / "references").glob("*.png"))
    ]
    noise = np.random.default_rng(0).integers(-6, 7, (64, side, side, 1), dtype=np.int16)
    pictures = [
        _jpeg(drawings[i % len(drawings)] + noise[i % 64] + i // 100) for i in range(min(images, 500))
    ]
    folder.mkdir(parents=True, exist_ok=True)
    for shard in range(-(-images // SHARD)):
        with tarfile.open(folder / f"{shard:05}.tar", "w") as tar:
            for i in range(shard * SHARD, min(images, (shard + 1) * SHARD)):
                content = pictures[i % len(pictures)] + i.to_bytes(8, "big")
                info = tarfile.TarInfo(f"{i:06}.jpg")
                info.size = len(content)
                tar.addfile(info, io.BytesIO(content))
    return f"{{00000..{shard:05}}}.tar"


def _jpeg(pixels: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(buffer, "JPEG", quality=90)
    return buffer.getvalue()


Scheduled = dict[str, tuple[float, float]]


def scheduled() -> Scheduled:
    """Return for how many seconds each thread of this process has run, and waited for a processor."""
    found = {}
    for task in Path("/proc/self/task").iterdir():
        ran, waited, _ = map(int, (task / "schedstat").read_text(encoding="ascii").split())
        found[task.name] = ran / 1e9, waited / 1e9
    return found


def at_work(before: Scheduled, after: Scheduled, passed: float, workers: int) -> dict[str, object]:
    """Return what the threads did in ``passed`` seconds; a thread that ended in them is left out."""
    spent = {name: np.subtract(after[name], before.get(name, (0.0, 0.0))) for name in after}
    busiest = sorted(spent.values(), key=lambda times: -times[0])
    own = [float(ran / max(passed - waited, ran, 1e-9)) for ran, waited in busiest]
    ran, waited = sum(busiest)
    return {
        "busy": float(ran / passed),
        "wanted": float((ran + waited) / passed),
        "own": [round(share, 3) for share in own if share >= 0.001],
        "at_work": sum(own[:workers]) / workers,
    }


def resident(kind: str = "VmRSS") -> float:
    """Return this process's memory in MB: all of it, or only what the system cannot drop ("RssAnon")."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith(kind)) / 1024


def child(pattern: Path, store: Path, out: Path, workers: int | None) -> None:
    """Measure a set and print what it took as a line of JSON; an image that is done is a byte in a file."""
    trunk = networks.build("trunk", {"file": str(MINIATURE / "evaluators/trunk/trunk.safetensors")}, "cpu")
    assert isinstance(trunk, ImageExtractor)
    kept, done, at = Store(store), 0, dict[int, float]()
    listing = time.monotonic()
    pictures = image_set("references", pattern, kept.known_digests.folder)
    listing = time.monotonic() - listing
    began, spent = time.monotonic(), time.process_time()
    steady: list[tuple[float, Scheduled]] = []

    @contextmanager
    def progress(_total: int) -> Iterator[Advance]:
        def advance(n: int) -> None:
            nonlocal done
            done += n
            if done >= 1000 and 1000 not in at:  # the libraries are loaded, and every buffer was used
                at[1000] = resident()
            if done >= 1000:
                steady[1 if steady else 0 :] = [(time.monotonic(), scheduled())]
            at[-1] = max(at.get(-1, 0.0), resident())

        yield advance

    stats = write_statistics(pictures.images, out, trunk, kept, progress, workers)
    wall, cpu = time.monotonic() - began, time.process_time() - spent
    found: dict[str, object] = {"images": stats.n, "made": done, "listing": listing, "wall": wall, "cpu": cpu}
    found |= {"rss_1000": at.get(1000), "rss_most": max(at.get(-1, 0.0), resident()), "threads": workers}
    if len(steady) == 2:
        (began, before), (ended, after) = steady
        found |= at_work(before, after, ended - began, workers or os.cpu_count() or 1)
    print(json.dumps(found), flush=True)


def run(folder: Path, pattern: str, store: str, workers: int, kill_at: int = 0) -> dict[str, float]:
    """Run a child; kill it with SIGKILL when that many images are in the store, and return {} then."""
    command = [sys.executable, __file__, "--child", str(folder / "shards" / pattern), str(folder / store)]
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[1])}
    with subprocess.Popen(
        [*command, str(folder / f"{store}.npz"), str(workers)],
        stdout=subprocess.PIPE,
        text=True,
        env=environment,
    ) as process:
        while kill_at and process.poll() is None:
            if stored(folder / store) * 32 >= kill_at:
                process.send_signal(signal.SIGKILL)
                return {}
            time.sleep(0.2)
        output = process.communicate()[0]
    if process.returncode:
        raise SystemExit(f"the child ended with {process.returncode}")
    found: dict[str, float] = json.loads(output.splitlines()[-1])
    return found


def stored(store: Path) -> int:
    """Return the number of blocks in a store."""
    return sum(1 for _ in store.glob("arrays/*/*/*.npy"))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--images", type=int, default=5000)
    parser.add_argument("--side", type=int, default=SIDE)
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    parser.add_argument(
        "--folder", type=Path, help="where pictures and stores are kept; else a temporary one"
    )
    parser.add_argument("--kill", action="store_true", help="also kill a run in the middle and resume it")
    parser.add_argument("--child", nargs=4, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        pattern, store, out, workers = options.child
        child(Path(pattern), Path(store), Path(out), int(workers))
        return
    folder = options.folder or Path(tempfile.mkdtemp(prefix="large-sets-"))
    try:
        pattern = write_shards(folder / "shards", options.images, options.side)
        whole = run(folder, pattern, "whole", options.workers)
        print(json.dumps(whole), flush=True)
        if options.kill:
            run(folder, pattern, "killed", options.workers, kill_at=options.images // 2)
            before = stored(folder / "killed")
            again = run(folder, pattern, "killed", options.workers)
            same = (folder / "killed.npz").read_bytes() == (folder / "whole.npz").read_bytes()
            print(
                json.dumps({"blocks_before_kill": before, "made_after": again["made"], "equal_bytes": same})
            )
    finally:
        if options.folder is None:
            shutil.rmtree(folder)


if __name__ == "__main__":
    main()
