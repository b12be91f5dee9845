"""Face embeddings against ``insightface.app.FaceAnalysis`` on the miniature's pack."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from insightface.app import FaceAnalysis

from lora_checks.metrics.identity import arcface
from lora_checks.networks.arcface import ArcFace


def test_embeddings_and_cosines(face_root: Path, avatars: list[np.ndarray]) -> None:
    """Embeddings to the bit, for it is the same code; cosines to 1e-6 of its float32 ones."""
    app = FaceAnalysis(name="miniature", root=str(face_root), providers=["CPUExecutionProvider"])
    app.prepare(ctx_id=-1, det_size=(128, 128))
    faces = [app.get(np.ascontiguousarray(image[:, :, ::-1]))[0] for image in avatars]
    ours = ArcFace({"root": str(face_root), "pack": "miniature", "det_size": 128}, "cpu")
    embeddings = ours.images(avatars)
    np.testing.assert_array_equal(embeddings, [face.embedding for face in faces])
    landmarks = ours.rows(avatars)[:, ours.parts["landmarks"]]
    np.testing.assert_array_equal(landmarks, [face.kps.ravel() for face in faces])
    expected = [[a.normed_embedding @ b.normed_embedding for b in faces] for a in faces]
    np.testing.assert_allclose(arcface(embeddings, embeddings), expected, rtol=0, atol=1e-6)
