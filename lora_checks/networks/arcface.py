"""ArcFace through ``insightface``: find the largest face, align it, and compute its identity embedding.

The pack (buffalo_l, ...) holds a detector and a recogniser as ONNX; both run in ONNX Runtime, without
torch.
"""

from __future__ import annotations

import contextlib
import io
import os
import warnings
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from lora_checks.core.contents import Contents
from lora_checks.core.errors import ConfigError, PrerequisiteError
from lora_checks.core.kit import FACES
from lora_checks.images.decoding import Pixels
from lora_checks.networks import Floats
from lora_checks.networks.onnx_file import network_files
from lora_checks.networks.runtime import provider, provider_options, session_options
from lora_checks.networks.weights import cause, check_keys, identity, known_digests, number

URL = "https://github.com/deepinsight/insightface/releases/download/model-zoo/"
PACK = "buffalo_l"
# Packs whose weights are free for research only; a company has to name others.
NON_COMMERCIAL = frozenset({"buffalo_l", "buffalo_m", "buffalo_s", "buffalo_sc", "antelopev2"})
MANIFEST = "manifest.json"  # in newer packs; says how pictures are prepared for each network


class ArcFace:
    """A face detector and recogniser.

    Settings: ``pack``, ``root``, ``det_size`` (pixels), ``det_thresh``, ``pad``. ``det_size`` is always
    passed on, because insightface's default changed between releases. ``pad`` adds a border before detection,
    as a share of the longer side, for portraits so tight that no face is detected.
    """

    parts: Mapping[str, slice] = {"features": slice(0, -1), "faces": slice(-1, None)}

    def __init__(self, settings: Mapping[str, Any], device: str, cache: Path | None = None) -> None:
        check_keys("arcface", settings, {"pack", "root", "det_size", "det_thresh", "pad"})
        self.pack = settings.get("pack", PACK)
        self.root = Path(settings.get("root", home())).expanduser()
        self.det_size = int(number("arcface", settings, "det_size", 640, 32, 4096))
        self.det_thresh = number("arcface", settings, "det_thresh", 0.5, 0, 1)
        self.pad = number("arcface", settings, "pad", 0, 0, 4)
        if self.det_size % 32:
            raise ConfigError(f"networks: arcface: det_size: {self.det_size} is not a multiple of 32")
        self.device, self.provider = device, provider("arcface", device)
        chosen = {"det_size": self.det_size, "det_thresh": self.det_thresh, "pad": self.pad}
        self.files = Contents(*_pack_files(self.root, self.pack), known=known_digests(cache))
        self.id = identity("arcface", "2", {"pack": self.pack, **chosen}, self.files.digests)
        self.label = f"ArcFace {self.pack}"
        self.licence = "for non-commercial research only" if self.pack in NON_COMMERCIAL else ""

    def images(self, pixels: Sequence[Pixels]) -> Floats:
        """Return (N, D) float32 for each picture's largest face, not normalised; NaN if there is no face."""
        return self.rows(pixels)[:, self.parts["features"]]

    def rows(self, pixels: Sequence[Pixels]) -> Floats:
        """Return (N, D + 1) float32: the embedding, then the number of faces."""
        size = self._app.models["recognition"].output_shape[1]
        return np.stack([self._row(image, size) for image in pixels])

    def aligned(self, pixels: Sequence[Pixels]) -> Floats:
        """Return (N, D) float32, assuming that a face fills the middle of each picture."""
        from insightface.utils.face_align import arcface_dst

        def embedding(image: Pixels) -> Floats:
            side = min(image.shape[:2])
            corner = (np.array(image.shape[1::-1]) - side) / 2
            landmarks = (arcface_dst * (side / 112) + corner).astype(np.float32)
            box = np.array([*corner, *(corner + side), 1], np.float32)
            return self._embedding(np.ascontiguousarray(image[:, :, ::-1]), box, landmarks)

        return np.stack([embedding(image) for image in pixels])

    def _row(self, image: Pixels, size: int) -> Floats:
        border = round(self.pad * max(image.shape[:2]))
        # Black, as the detector itself pads pictures that are not square.
        padded = np.pad(image, ((border, border), (border, border), (0, 0)))
        blue_first = np.ascontiguousarray(padded[:, :, ::-1])
        boxes, landmarks = self._app.det_model.detect(blue_first)
        row = np.full(size + 1, np.nan, np.float32)
        row[-1] = len(boxes)
        if len(boxes):
            areas = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
            largest = int(np.argmax(areas))
            row[:-1] = self._embedding(blue_first, boxes[largest], landmarks[largest])
        return row

    def _embedding(self, blue_first: Pixels, box: Floats, landmarks: Floats) -> Floats:
        from insightface.app.common import Face

        face = Face(bbox=box[:4], kps=landmarks, det_score=box[4])
        with warnings.catch_warnings():
            warnings.simplefilter(
                "ignore", FutureWarning
            )  # scikit-image has renamed functions that insightface calls
            return np.asarray(self._app.models["recognition"].get(blue_first, face), np.float32)

    @cached_property
    def _app(self) -> Any:
        from insightface.app import FaceAnalysis

        try:
            with contextlib.redirect_stdout(io.StringIO()):  # older releases print every model they load
                app = FaceAnalysis(
                    # Absolute: insightface prefers a folder of that name in the current folder.
                    name=str((self.root / "models" / self.pack).absolute()),
                    root=str(self.root),
                    allowed_modules=["detection", "recognition"],
                    providers=[self.provider],
                    provider_options=provider_options(self.device),
                    sess_options=session_options(),
                )
                app.prepare(ctx_id=0, det_thresh=self.det_thresh, det_size=(self.det_size, self.det_size))
        except Exception as error:  # ONNX Runtime's errors; an assertion if there is no detector
            raise PrerequisiteError(
                f"networks: arcface: the pack {self.pack} cannot be loaded: {cause(error)}"
            ) from error
        for task in ("detection", "recognition"):
            if task not in app.models:
                raise PrerequisiteError(f"networks: arcface: the pack {self.pack} has no {task} model")
            used = app.models[task].session.get_providers()[0]
            if used != self.provider:
                raise PrerequisiteError(
                    f"networks: arcface: {task} runs on {used}, not on {self.provider}; "
                    "install onnxruntime-gpu with the CUDA it needs, or use --lora-device cpu"
                )
        return app


def home() -> Path:
    """Return the folder in which packs are looked for: insightface's own, or a kit's."""
    return Path(os.environ.get(FACES, "~/.insightface")).expanduser()


def _pack_files(root: Path, pack: object) -> list[Path]:
    """Return the pack's files; if its folder were missing, insightface would download it without asking."""
    if not isinstance(pack, str) or not pack or "/" in pack:
        raise ConfigError(
            f"networks: arcface: pack: must be the name of a folder in ROOT/models, not {pack!r}"
        )
    folder = root / "models" / pack
    if not folder.is_dir():
        raise PrerequisiteError(
            f"networks: arcface: the pack {pack} is not on this machine; "
            f"unpack {URL}{pack}.zip into {folder}, or set 'root' to where models/{pack} is"
        )
    files = sorted(folder.glob("*.onnx"))
    if not files:
        raise PrerequisiteError(
            f"networks: arcface: {folder} holds no .onnx files; unpack {URL}{pack}.zip there"
        )
    named = [part for file in files for part in network_files("arcface", file)]
    manifest = folder / MANIFEST
    return [*named, *([manifest] if manifest.is_file() else [])]
