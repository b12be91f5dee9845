"""Train the face pack, export it for `insightface.app.FaceAnalysis`, and measure it through that class.

python train_faces.py detector recogniser export evaluate
"""

from __future__ import annotations

import argparse
import functools
import json
from pathlib import Path

import detector
import numpy as np
import numpy.typing as npt
import recogniser
import torch
from augment import NOISE_KINDS, Image, blank_head, degrade, drawing, noise
from common import MINIATURE, RUNS
from draw import SIZE, draw_faceless, landmarks, sample_identity, sample_scene
from fit import fit
from insightface.app import FaceAnalysis
from onnx_export import export

ROOT = MINIATURE / "evaluators" / "faces"
PACK = "miniature"
DET_SIZE = (SIZE, SIZE)

DETECTOR_STEPS = 2000
RECOGNISER_STEPS = 800
PERSONS, PICTURES = 2000, 10
TRAIN_SEED, TEST_SEED = 11, 90011


def trained_detector(runs: Path) -> detector.Detector:
    torch.manual_seed(TRAIN_SEED)
    model = detector.Detector()
    loss = functools.partial(detector.batch_loss, model)
    fit(model, loss, runs / "detector.pt", steps=DETECTOR_STEPS, rate=2e-3, seed=TRAIN_SEED)
    return model


def trained_recogniser(runs: Path) -> recogniser.Recogniser:
    torch.manual_seed(TRAIN_SEED)
    model = recogniser.WithPersons(PERSONS)
    data = recogniser.album(PERSONS, PICTURES, TRAIN_SEED)
    loss = functools.partial(recogniser.batch_loss, model, data)
    fit(model, loss, runs / "recogniser.pt", steps=RECOGNISER_STEPS, rate=2e-3, seed=TRAIN_SEED)
    return model.recogniser


def export_pack(runs: Path) -> None:
    folder = ROOT / "models" / PACK
    names = [f"{kind}_{stride}" for kind in ("score", "bbox", "kps") for stride in detector.STRIDES]
    found = detector.ForInsightFace(trained_detector(runs))
    export(found, torch.zeros(1, 3, SIZE, SIZE), names, folder / "det_miniature.onnx")
    crop = torch.zeros(2, 3, recogniser.CROP, recogniser.CROP)
    export(trained_recogniser(runs), crop, ["embedding"], folder / "w_miniature.onnx", any_batch=True)


def pack() -> FaceAnalysis:
    app = FaceAnalysis(name=PACK, root=str(ROOT), providers=["CPUExecutionProvider"])
    app.prepare(ctx_id=-1, det_size=DET_SIZE, det_thresh=0.5)
    return app


def evaluate() -> dict[str, float]:
    """Measure the pack through the unmodified FaceAnalysis, on drawings from TEST_SEED."""
    app, rng = pack(), np.random.default_rng(TEST_SEED)
    return (
        _detection(app, rng)
        | _verification(app, rng, degraded=False)
        | _verification(app, rng, degraded=True)
    )


def _detection(app: FaceAnalysis, rng: np.random.Generator, n: int = 1000) -> dict[str, float]:
    counts, errors = [], []
    for _ in range(n):
        identity, scene = sample_identity(rng), sample_scene(rng)
        faces = app.get(drawing(identity, scene)[..., ::-1])
        counts.append(len(faces))
        if faces:
            errors.append(np.abs(faces[0].kps - landmarks(identity, scene)).mean())
    blurred = [
        _found(app, degrade(drawing(sample_identity(rng), sample_scene(rng)), rng, 1.5)) for _ in range(n)
    ]
    empty = [_found(app, np.asarray(draw_faceless(rng), dtype=np.uint8)) for _ in range(n)]
    noises = {
        f"found in {k} noise": float(np.mean([_found(app, noise(k, rng)) for _ in range(n)]))
        for k in NOISE_KINDS
    }
    return {
        "found": float(np.mean(np.array(counts) > 0)),
        "exactly one": float(np.mean(np.array(counts) == 1)),
        "landmark error, px": float(np.mean(errors)),
        "found, degraded": float(np.mean(blurred)),
        "found in faceless": float(np.mean(empty)),
        "found in blank heads": float(np.mean([_found(app, blank_head(rng)) for _ in range(n)])),
    } | noises


def _found(app: FaceAnalysis, image: Image) -> bool:
    return len(app.get(image[..., ::-1])) > 0


def _verification(
    app: FaceAnalysis, rng: np.random.Generator, *, degraded: bool, persons: int = 200, pictures: int = 5
) -> dict[str, float]:
    """Compare all pairs of pictures of untrained persons, with random glasses, smile and shirt."""
    rows, person = [], []
    for who in range(persons):
        identity = sample_identity(rng)
        for _ in range(pictures):
            image = drawing(identity, sample_scene(rng))
            faces = app.get((degrade(image, rng) if degraded else image)[..., ::-1])
            if faces:
                rows.append(faces[0].normed_embedding)
                person.append(who)
    cosine, who_array = np.stack(rows) @ np.stack(rows).T, np.array(person)
    upper = np.triu_indices(len(rows), 1)
    same = (who_array[:, None] == who_array)[upper]
    values = cosine[upper]
    label = ", degraded" if degraded else ""
    return {
        "AUC" + label: auc(values[same], values[~same]),
        "same, mean cosine" + label: float(values[same].mean()),
        "same, 5th percentile" + label: float(np.percentile(values[same], 5)),
        "different, mean cosine" + label: float(values[~same].mean()),
        "different, 99th percentile" + label: float(np.percentile(values[~same], 99)),
        "pairs" + label: float(len(values)),
    }


def auc(positive: npt.NDArray[np.floating], negative: npt.NDArray[np.floating]) -> float:
    """Return P(positive > negative), with ties counted half."""
    ordered = np.sort(negative)
    below = np.searchsorted(ordered, positive, "left") + np.searchsorted(ordered, positive, "right")
    return float(below.mean() / (2 * len(negative)))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("stages", nargs="+", choices=("detector", "recogniser", "export", "evaluate"))
    parser.add_argument("--runs", type=Path, default=RUNS, help="checkpoints, to resume from")
    args = parser.parse_args()
    torch.set_num_threads(1)
    if "detector" in args.stages:
        trained_detector(args.runs)
    if "recogniser" in args.stages:
        trained_recogniser(args.runs)
    if "export" in args.stages:
        export_pack(args.runs)
    if "evaluate" in args.stages:
        print(json.dumps(evaluate(), indent=2))


if __name__ == "__main__":
    main()
