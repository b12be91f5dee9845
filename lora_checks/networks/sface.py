"""Faces that a company may measure with: OpenCV's YuNet and SFace, through ``cv2``.

YuNet (Wu et al. 2023, MIT) finds faces and their landmarks, SFace (Zhong et al. 2021, Apache-2.0) gives 128
features of an aligned face. Both are ONNX files of OpenCV's model zoo, and ``cv2`` runs them on the CPU,
whatever the device of the run is.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from lora_checks.core.contents import Contents
from lora_checks.core.errors import MeasureError, PrerequisiteError
from lora_checks.images.decoding import Pixels
from lora_checks.networks import Floats
from lora_checks.networks.faces import SETTINGS, Faces, centred_face
from lora_checks.networks.onnx_file import network_files
from lora_checks.networks.weights import cause, check_keys, identity, known_digests, local_file

# On the Hugging Face hub. The file of 2026 has the weights of 2023 and takes pictures of any size.
DETECTOR = (
    "opencv/face_detection_yunet",
    ("face_detection_yunet_2023mar.onnx", "face_detection_yunet_2026may.onnx"),
)
RECOGNISER = ("opencv/face_recognition_sface", ("face_recognition_sface_2021dec.onnx",))
LICENCE = "YuNet: MIT; SFace: Apache-2.0"
FEATURES = 128
OVERLAP, MOST = 0.3, 5000  # of OpenCV's own yunet.py, as is the threshold of 0.6
# SFace's own template, in a square of 112; ArcFace's is the same.
TEMPLATE = np.array(
    [[38.2946, 51.6963], [73.5318, 51.5014], [56.0252, 71.7366], [41.5493, 92.3655], [70.7299, 92.2041]],
    np.float32,
)


class SFace(Faces):
    """OpenCV's face detector and recogniser.

    Settings: ``detector`` and ``recogniser``, files (default: OpenCV's, from the Hugging Face cache);
    ``licence`` of files of your own, for the record; ``name`` for people; and those of `Faces`. A picture is
    scaled so that its longer side is ``det_size``: YuNet was trained on faces of 10 to 300 pixels, so that a
    portrait has to be smaller than for other detectors.
    """

    kind = "sface"

    def __init__(self, settings: Mapping[str, Any], device: str, cache: Path | None = None) -> None:  # noqa: ARG002
        check_keys("sface", settings, {"detector", "recogniser", "licence", "name", *SETTINGS})
        super().__init__(settings, det_size=320, det_thresh=0.6)
        self.detector = _file("detector", settings, *DETECTOR)
        self.recogniser = _file("recogniser", settings, *RECOGNISER)
        parts = [part for file in (self.detector, self.recogniser) for part in network_files("sface", file)]
        self.files = Contents(*parts, known=known_digests(cache))
        self.id = identity("sface", "1", self.chosen, self.files.digests)
        self.label = str(settings.get("name", f"SFace {self.recogniser.stem}"))
        published = not settings.keys() & {"detector", "recogniser"}
        self.licence = str(settings.get("licence", LICENCE if published else ""))

    def aligned(self, pixels: Sequence[Pixels]) -> Floats:
        """Return (N, 128) float32, assuming that a face fills the middle of each picture."""
        faces = [
            (np.ascontiguousarray(image[:, :, ::-1]), *centred_face(image, TEMPLATE)) for image in pixels
        ]
        return np.stack([self._embedding(*face) for face in faces])

    @property
    def _size(self) -> int:
        return FEATURES

    def _detect(self, blue_first: Pixels, size: int) -> tuple[Floats, Floats]:
        import cv2

        height, width = blue_first.shape[:2]
        scale = size / max(height, width)
        side = (max(1, round(width * scale)), max(1, round(height * scale)))
        scaled = blue_first if side == (width, height) else cv2.resize(blue_first, side)
        detector, _ = self._networks
        with _naming(self.detector):
            detector.setInputSize(side)
            _, found = detector.detect(scaled)
        faces = np.zeros((0, 15), np.float32) if found is None else np.asarray(found, np.float32)
        back = np.array([width / side[0], height / side[1]], np.float32)
        corners, landmarks = faces[:, :2] * back, faces[:, 4:14].reshape(-1, 5, 2) * back
        return np.concatenate([corners, corners + faces[:, 2:4] * back, faces[:, 14:]], axis=1), landmarks

    def _embedding(self, blue_first: Pixels, box: Floats, landmarks: Floats) -> Floats:
        face = np.concatenate([box[:2], box[2:4] - box[:2], landmarks.ravel(), box[4:]]).astype(np.float32)
        _, recogniser = self._networks
        with _naming(self.recogniser):
            features = recogniser.feature(recogniser.alignCrop(blue_first, face[None]))
        if features.shape != (1, FEATURES):
            raise MeasureError(
                f"networks: sface: {self.recogniser.name} gives {features.shape} for a face, not "
                f"(1, {FEATURES})"
            )
        return np.array(features[0], np.float32)  # a copy: cv2 uses its memory again for the next face

    @cached_property
    def _networks(self) -> tuple[Any, Any]:
        import cv2

        if not hasattr(cv2, "FaceDetectorYN") or not hasattr(cv2, "FaceRecognizerSF"):
            raise PrerequisiteError(
                f"networks: sface: OpenCV {cv2.__version__} has no FaceDetectorYN; "
                "pip install 'opencv-python>=4.8'"
            )
        side = self.det_sizes[0]
        try:
            with _quiet():
                return (
                    cv2.FaceDetectorYN.create(
                        str(self.detector), "", (side, side), float(self.det_thresh), OVERLAP, MOST
                    ),
                    cv2.FaceRecognizerSF.create(str(self.recogniser), ""),
                )
        except cv2.error as error:
            names = f"{self.detector.name} or {self.recogniser.name}"
            raise PrerequisiteError(f"networks: sface: {names} cannot be loaded: {cause(error)}") from error


@contextmanager
def _naming(file: Path) -> Iterator[None]:
    """Turn an error of OpenCV into one that names the file."""
    import cv2

    try:
        yield
    except cv2.error as error:
        raise MeasureError(f"networks: sface: {file.name} cannot be run: {cause(error)}") from error


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep OpenCV from warning that its newer engine takes no target, which nobody asked for."""
    from cv2.utils import logging

    before = logging.getLogLevel()
    logging.setLogLevel(logging.LOG_LEVEL_ERROR)
    try:
        yield
    finally:
        logging.setLogLevel(before)


def _file(key: str, settings: Mapping[str, Any], repository: str, names: Sequence[str]) -> Path:
    """Return the file that the policy names, or OpenCV's in the Hugging Face cache."""
    if key in settings:
        return local_file("sface", key, settings[key])
    from huggingface_hub import try_to_load_from_cache

    for name in names:
        path = try_to_load_from_cache(repository, name)
        if isinstance(path, str):
            return Path(path)
    raise PrerequisiteError(
        f"networks: sface: {names[0]} is not on this machine; download it with `hf download {repository} "
        f"{names[0]}`, or set '{key}' to a copy"
    )
