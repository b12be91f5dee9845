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
from lora_checks.networks.faces import SETTINGS, Faces, centred_face
from lora_checks.networks.onnx_file import network_files
from lora_checks.networks.runtime import provider, provider_options, session_options
from lora_checks.networks.weights import cause, check_keys, identity, known_digests

URL = "https://github.com/deepinsight/insightface/releases/download/model-zoo/"
PACK = "buffalo_l"
# Packs whose weights are free for research only; a company has to name others.
NON_COMMERCIAL = frozenset({"buffalo_l", "buffalo_m", "buffalo_s", "buffalo_sc", "antelopev2"})
MANIFEST = "manifest.json"  # in newer packs; says how pictures are prepared for each network


class ArcFace(Faces):
    """A face detector and recogniser.

    Settings: ``pack``, ``root``, and those of `Faces`. ``det_size`` is always passed on, because
    insightface's default changed between releases.
    """

    kind = "arcface"

    def __init__(self, settings: Mapping[str, Any], device: str, cache: Path | None = None) -> None:
        check_keys("arcface", settings, {"pack", "root", *SETTINGS})
        super().__init__(settings, det_size=640, det_thresh=0.5)
        self.pack = settings.get("pack", PACK)
        self.root = Path(settings.get("root", home())).expanduser()
        self.device, self.provider = device, provider("arcface", device)
        self.files = Contents(*_pack_files(self.root, self.pack), known=known_digests(cache))
        self.id = identity("arcface", "3", {"pack": self.pack, **self.chosen}, self.files.digests)
        self.label = f"ArcFace {self.pack}"
        self.licence = "for non-commercial research only" if self.pack in NON_COMMERCIAL else ""

    def aligned(self, pixels: Sequence[Pixels]) -> Floats:
        """Return (N, D) float32, assuming that a face fills the middle of each picture."""
        from insightface.utils.face_align import arcface_dst

        def embedding(image: Pixels) -> Floats:
            box, landmarks = centred_face(image, arcface_dst)
            return self._embedding(np.ascontiguousarray(image[:, :, ::-1]), box, landmarks)

        return np.stack([embedding(image) for image in pixels])

    @property
    def _size(self) -> int:
        return int(self._app.models["recognition"].output_shape[1])

    def _detect(self, blue_first: Pixels, size: int) -> tuple[Floats, Floats]:
        if len(self.det_sizes) == 1:  # of `_app`
            return self._app.det_model.detect(blue_first)  # type: ignore[no-any-return]
        return self._app.det_model.detect(blue_first, input_size=(size, size))  # type: ignore[no-any-return]

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
                side = self.det_sizes[0]
                app.prepare(ctx_id=0, det_thresh=self.det_thresh, det_size=(side, side))
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
