"""Time the libraries that measure pictures on the same pictures, beside ours, in one process on one core.

python benchmarks/peers.py [--count 64] [--size 512] [--tiny] [--out peers.json]

Each side begins cold: it loads its network, reads the files and returns a number. The networks have the real
architectures (CLIP is the miniature's) and the same weights on both sides, random where the published ones
would have to be downloaded. Ours also hashes the files, stores each feature and computes what the page shows
beside a value: intervals, and the references against themselves.

torchmetrics and torch-fidelity scale pictures for Inception in ways of their own, so their FID and KID are
other numbers than pytorch-fid's; the rest agrees.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any
from unittest.mock import patch

from metric_peers import (  # first: it fixes the threads
    alex_file,
    in_range,
    inception_file,
    say,
    their_inception,
    their_lpips,
    write_pictures,
)

# isort: split
import numpy as np
import onnxruntime  # noqa: F401  # neither side pays for imports
import open_clip
import scipy.linalg  # noqa: F401
import torch
import torch_fidelity
import torchmetrics.functional.image.lpips as torchmetrics_lpips
from cleanfid import fid as clean_fid
from cleanfid import inception_pytorch as clean_inception
from cleanfid.features import feature_extractor
from PIL import Image
from pytorch_fid import fid_score
from torchmetrics.image.fid import FrechetInceptionDistance, NoTrainInceptionV3
from torchmetrics.image.kid import KernelInceptionDistance
from torchmetrics.image.lpip import LearnedPerceptualImagePatchSimilarity

from lora_checks import metrics, networks
from lora_checks.core.records import Base, ImageSet, Prompt, PromptSet, Sampler
from lora_checks.core.store import Store
from lora_checks.images.decoding import image_file, list_images
from lora_checks.images.sets import image_set
from lora_checks.judge.measure import measure
from lora_checks.judge.task import Task

PROMPTS = PromptSet(Base(""), Sampler(1, 1, 512, 512), (), (0,), trigger="", class_words="")
CLIP = Path(__file__).parents[1] / "examples" / "miniature" / "evaluators" / "clip"
TEXTS = (
    "photo of a person in a blue shirt",
    "photo of a person, smiling",
    "photo of a person wearing glasses",
)
BATCH = 16  # of the peers that let it be chosen


@dataclass(frozen=True, slots=True)
class Work:
    """What every side gets: two folders of pictures, a text for each picture, and weights."""

    images: Path
    references: Path
    alex: Path
    inception: Path

    def pictures(self, folder: Path) -> Iterator[Any]:
        for path in list_images(folder):
            yield np.array(Image.open(path).convert("RGB"))

    def texts(self) -> list[str]:
        return [TEXTS[i % len(TEXTS)] for i in range(len(list_images(self.images)))]


@dataclass(frozen=True, slots=True)
class Figure:
    """One number of one side, with what it took."""

    side: str
    metric: str
    value: float
    cpu: float  # seconds
    wall: float


# --- ours --------------------------------------------------------------------------------------------


def ours(work: Work, metric: str, folder: Path) -> float:
    """Measure through a new store."""
    settings: dict[str, dict[str, Any]] = {
        "lpips": {"net": "alex", "trunk_file": str(work.alex)},
        "fid": {"kind": "inception", "file": str(work.inception)},
        "clean-fid": {"kind": "inception", "file": str(work.inception), "resize": "clean"},
        "clip_score": {"kind": "clip", "path": str(CLIP)},
    }
    settings["kid"] = settings["fid"]
    store = Store(folder)
    network = networks.build(metric, settings[metric], "cpu", cache=folder / "models")
    declared = metrics.get("fid" if metric == "clean-fid" else metric)
    images, references = image_set("candidate", work.images), image_set("references", work.references)
    if metric == "clip_score":
        paths, texts = list_images(work.images), work.texts()
        prompts = [Prompt(f"p{i}", text) for i, text in enumerate(texts)]
        files = [image_file(path, prompt=prompt) for path, prompt in zip(paths, prompts, strict=True)]
        return measure(Task(declared, ImageSet("candidate", tuple(files))), network, PROMPTS, store).value
    task = Task(declared, images, references, **({"pairing": "sorted"} if metric == "lpips" else {}))
    return measure(task, network, PROMPTS, store).value


# --- the others --------------------------------------------------------------------------------------


def lpips_script(work: Work) -> float:
    module, found = their_lpips(work.alex), []
    for x, y in zip(work.pictures(work.images), work.pictures(work.references), strict=True):
        found.append(float(module(in_range(x), in_range(y))))
    return float(np.mean(found))


def lpips_torchmetrics(work: Work) -> float:
    trunk = torch.nn.Sequential(*_alexnet(work.alex))
    # Its weights of the layers come with it, and are those of the lpips package.
    with patch.object(torchmetrics_lpips, "_get_tv_model_features", lambda *_: trunk):
        metric = LearnedPerceptualImagePatchSimilarity(net_type="alex")
    for x, y in zip(work.pictures(work.images), work.pictures(work.references), strict=True):
        metric.update(in_range(x), in_range(y))
    return float(metric.compute())


def _alexnet(file: Path) -> list[torch.nn.Module]:
    import torchvision

    network = torchvision.models.alexnet(weights=None).features.eval()
    state = {name.removeprefix("features."): tensor for name, tensor in torch.load(file).items()}
    network.load_state_dict(state)
    return list(network)


def fid_pytorch(work: Work) -> float:
    folders = [str(work.images), str(work.references)]
    with their_inception(work.inception):
        return float(fid_score.calculate_fid_given_paths(folders, BATCH, "cpu", 2048, num_workers=0))


def fid_clean(work: Work) -> float:
    with patch.object(
        clean_inception, "load_state_dict_from_url", lambda *_, **__: torch.load(work.inception)
    ):
        network = feature_extractor("pytorch_inception", torch.device("cpu"), use_dataparallel=False)
    folders = str(work.images), str(work.references)
    options = {"device": torch.device("cpu"), "num_workers": 0, "batch_size": BATCH, "verbose": False}
    return float(clean_fid.compute_fid(*folders, mode="clean", custom_feat_extractor=network, **options))


def fid_torchmetrics(work: Work) -> float:
    metric = FrechetInceptionDistance(2048, feature_extractor_weights_path=str(work.inception))
    return _update(metric, work)


def kid_torchmetrics(work: Work) -> float:
    network = NoTrainInceptionV3("inception-v3-compat", ["2048"], str(work.inception))
    count = len(list_images(work.images))
    metric = KernelInceptionDistance(feature=network, subsets=1, subset_size=count)
    return _update(metric, work)


def _update(metric: Any, work: Work) -> float:
    for folder, real in ((work.references, True), (work.images, False)):
        pictures = [torch.from_numpy(picture).permute(2, 0, 1) for picture in work.pictures(folder)]
        for start in range(0, len(pictures), BATCH):
            metric.update(torch.stack(pictures[start : start + BATCH]), real=real)
    found = metric.compute()
    return float(found[0] if isinstance(found, tuple) else found)


def of_torch_fidelity(work: Work, name: str) -> float:
    """Return one metric of torch-fidelity, by its name there."""
    options = {"cuda": False, "cache": False, "verbose": False, "batch_size": BATCH, name: True}
    count = len(list_images(work.images))
    found = torch_fidelity.calculate_metrics(
        input1=str(work.images),
        input2=str(work.references),
        feature_extractor="inception-v3-compat",
        feature_extractor_weights_path=str(work.inception),
        kid_subsets=1,
        kid_subset_size=count,
        **options,
    )
    names = {"fid": "frechet_inception_distance", "kid": "kernel_inception_distance_mean"}
    return float(found[names[name]])


def clip_script(work: Work) -> float:
    """open_clip's README: one picture and its text at a time."""
    model, _, preprocess = open_clip.create_model_and_transforms(f"local-dir:{CLIP}")
    model, tokenizer, found = model.eval(), open_clip.get_tokenizer(f"local-dir:{CLIP}"), []
    for path, text in zip(list_images(work.images), work.texts(), strict=True):
        image = model.encode_image(preprocess(Image.open(path).convert("RGB"))[None])
        words = model.encode_text(tokenizer([text]))
        found.append(float(torch.nn.functional.cosine_similarity(image, words)))
    return float(np.mean(found))


PEERS: Sequence[tuple[str, str, Callable[[Work], float]]] = (
    ("lpips' script", "lpips", lpips_script),
    ("torchmetrics", "lpips", lpips_torchmetrics),
    ("pytorch-fid", "fid", fid_pytorch),
    ("torchmetrics", "fid", fid_torchmetrics),
    ("torch-fidelity", "fid", lambda work: of_torch_fidelity(work, "fid")),
    ("clean-fid", "clean-fid", fid_clean),
    ("torchmetrics", "kid", kid_torchmetrics),
    ("torch-fidelity", "kid", lambda work: of_torch_fidelity(work, "kid")),
    ("open_clip's script", "clip_score", clip_script),
)


def timed(side: str, metric: str, run: Callable[[], float]) -> Figure:
    cpu, wall = time.process_time(), time.perf_counter()
    quiet = contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO())
    with torch.no_grad(), quiet[0], quiet[1]:
        value = run()
    return Figure(side, metric, value, time.process_time() - cpu, time.perf_counter() - wall)


def run(work: Work, folder: Path) -> Iterator[Figure]:
    """Yield our figure of each metric, then those of its peers."""
    for metric in dict.fromkeys(metric for _, metric, _ in PEERS):
        store = folder / f"store-{metric}"
        yield timed("lora_checks", metric, lambda metric=metric, store=store: ours(work, metric, store))
        for name, of, peer in PEERS:
            if of == metric:
                yield timed(name, metric, lambda peer=peer: peer(work))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=64)
    parser.add_argument("--size", type=int, default=512)
    parser.add_argument("--tiny", action="store_true", help="4 pictures of 64 pixels")
    parser.add_argument("--out", type=Path, help="also write the figures as JSON")
    options = parser.parse_args()
    count, size = (4, 64) if options.tiny else (options.count, options.size)
    warnings.simplefilter("ignore")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        parts = [write_pictures(folder / part, count, size, i) for i, part in enumerate(("x", "references"))]
        work = Work(*parts, alex_file(folder), inception_file(folder))
        say(f"{count} pictures and {count} references of {size} pixels, one core, each side cold")
        say(f"{'':20} {'':10} {'value':>12} {'CPU':>8} {'wall':>8} {'CPU, ours':>10}")
        figures, mine = [], 0.0
        for figure in run(work, folder):
            figures.append(figure)
            mine = figure.cpu if figure.side == "lora_checks" else mine
            ratio = f"{figure.cpu / mine:9.1f}x" if figure.side != "lora_checks" else ""
            say(
                f"{figure.side:20} {figure.metric:10} {figure.value:12.6f} {figure.cpu:7.2f}s "
                f"{figure.wall:7.2f}s {ratio}"
            )
    if options.out:
        options.out.write_text(json.dumps([asdict(figure) for figure in figures], indent=1))


if __name__ == "__main__":
    main()
