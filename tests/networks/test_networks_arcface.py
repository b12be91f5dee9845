"""ArcFace: the largest face, none at all, and packs that are not what they should be."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from lora_checks.core.errors import PrerequisiteError
from lora_checks.networks.arcface import ArcFace


def network(root: Path, **settings: object) -> ArcFace:
    return ArcFace({"root": str(root), "pack": "miniature", "det_size": 128, **settings}, "cpu")


def test_a_picture_without_a_face_is_missing_and_not_zero(
    face_root: Path, avatars: list[np.ndarray], capfd: pytest.CaptureFixture[str]
) -> None:
    blank = np.full((64, 64, 3), 128, np.uint8)
    found = network(face_root).images([avatars[0], blank])
    assert np.isfinite(found[0]).all()
    assert np.isnan(found[1]).all()
    assert capfd.readouterr() == ("", "")


def test_only_faceless_pictures(face_root: Path) -> None:
    assert np.isnan(network(face_root).images([np.zeros((64, 64, 3), np.uint8)])).all()


def test_the_largest_face_wins(
    face_root: Path, avatars: list[np.ndarray], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The detector reports two faces; the smaller has the higher score and is nearer to the middle."""
    extractor = network(face_root)
    detector = extractor._app.det_model
    boxes, landmarks = detector.detect(np.ascontiguousarray(avatars[0][:, :, ::-1]))
    small = np.array([[28, 28, 36, 36, 0.99]], np.float32)
    boxes[0, 4] = 0.6
    two = np.concatenate([small, boxes]), np.concatenate([landmarks + 9, landmarks])
    alone = extractor.images(avatars[:1])
    monkeypatch.setattr(detector, "_detect_candidates", lambda *_: two)
    monkeypatch.setattr(detector, "nms", lambda found: range(len(found)))
    np.testing.assert_array_equal(extractor.images(avatars[:1]), alone)


def test_padding_changes_what_is_detected_and_the_id(face_root: Path, avatars: list[np.ndarray]) -> None:
    plain, padded = network(face_root), network(face_root, pad=0.5)
    assert plain.id != padded.id
    assert np.isfinite(padded.images(avatars[:1])).all()


def test_a_pack_without_networks_is_named(tmp_path: Path) -> None:
    (tmp_path / "models" / "miniature").mkdir(parents=True)
    with pytest.raises(PrerequisiteError, match=r"holds no \.onnx files"):
        network(tmp_path)


def test_a_pack_without_a_recogniser_is_named(
    face_root: Path, avatars: list[np.ndarray], tmp_path: Path
) -> None:
    pack = tmp_path / "models" / "miniature"
    pack.mkdir(parents=True)
    (detector,) = (face_root / "models" / "miniature").glob("det*.onnx")
    (pack / detector.name).symlink_to(detector)
    with pytest.raises(PrerequisiteError, match="the pack miniature has no recognition model"):
        network(tmp_path).images(avatars[:1])


def test_a_provider_that_is_not_installed_is_named_at_once(face_root: Path) -> None:
    import onnxruntime

    if "CUDAExecutionProvider" in onnxruntime.get_available_providers():
        pytest.skip("this onnxruntime has CUDA")
    with pytest.raises(PrerequisiteError, match="no CUDAExecutionProvider; pip install onnxruntime-gpu"):
        ArcFace({"root": str(face_root), "pack": "miniature"}, "cuda")


def test_several_faces_are_counted(
    face_root: Path, avatars: list[np.ndarray], monkeypatch: pytest.MonkeyPatch
) -> None:
    extractor = network(face_root)
    blank = np.full((64, 64, 3), 128, np.uint8)
    rows = extractor.rows([avatars[0], blank])
    np.testing.assert_array_equal(rows[:, extractor.parts["faces"]], [[1], [0]])
    np.testing.assert_array_equal(rows[:, extractor.parts["features"]], extractor.images([avatars[0], blank]))
    detector = extractor._app.det_model
    boxes, landmarks = detector.detect(np.ascontiguousarray(avatars[0][:, :, ::-1]))
    three = np.concatenate([boxes] * 3), np.concatenate([landmarks] * 3)
    monkeypatch.setattr(detector, "detect", lambda _: three)
    assert extractor.rows([avatars[0]])[0, extractor.parts["faces"]] == 3


@pytest.mark.parametrize(("least", "tried"), [(0.5, [64]), (1, [64, 128])])
def test_sizes_are_tried_in_turn_until_one_shows_a_face(
    face_root: Path,
    avatars: list[np.ndarray],
    monkeypatch: pytest.MonkeyPatch,
    least: float,
    tried: list[int],
) -> None:
    """The miniature's detector finds a drawing's face at every size, or with a threshold of 1 at none."""
    both, alone = (network(face_root, det_size=size, det_thresh=least) for size in ([64, 128], 64))
    detector, sizes = both._app.det_model, []
    detect = detector.detect

    def noted(image: np.ndarray, input_size: tuple[int, int]) -> object:
        sizes.append(input_size[0])
        return detect(image, input_size=input_size)

    monkeypatch.setattr(detector, "detect", noted)
    np.testing.assert_array_equal(both.rows(avatars[:1]), alone.rows(avatars[:1]))
    assert sizes == tried
    assert "det_size=[64, 128]" in both.id
    assert "det_size=64 " in alone.id


def test_the_face_in_the_middle_counts_if_the_policy_says_so(
    face_root: Path, avatars: list[np.ndarray], monkeypatch: pytest.MonkeyPatch
) -> None:
    extractor = network(face_root, face="middle")
    detector = extractor._app.det_model
    _, landmarks = detector.detect(np.ascontiguousarray(avatars[0][:, :, ::-1]))
    small = np.array([[28, 28, 36, 36, 0.99]], np.float32)
    large = np.array([[0, 0, 60, 60, 0.99]], np.float32)
    two = np.concatenate([large, small]), np.concatenate([landmarks, landmarks + 9])
    monkeypatch.setattr(detector, "detect", lambda _: two)
    row = extractor.rows(avatars[:1])[0]
    np.testing.assert_array_equal(row[extractor.parts["landmarks"]], (landmarks + 9).ravel())
    assert "face=middle" in extractor.id


def test_one_detection_and_one_recognition_an_image(
    face_root: Path, avatars: list[np.ndarray], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also with several faces: only the largest gets an embedding."""
    extractor = network(face_root)
    asked: list[str] = []
    for task in ("detection", "recognition"):
        session = extractor._app.models[task].session
        monkeypatch.setattr(extractor._app.models[task], "session", Counting(session, task, asked))
    extractor.rows(avatars[:2])
    assert asked == ["detection", "recognition"] * 2


class Counting:
    """An ONNX session that records its runs."""

    def __init__(self, session: object, task: str, asked: list[str]) -> None:
        self._session, self._task, self._asked = session, task, asked

    def __getattr__(self, name: str) -> object:
        return getattr(self._session, name)

    def run(self, *arguments: object, **options: object) -> object:
        self._asked.append(self._task)
        return self._session.run(*arguments, **options)  # type: ignore[attr-defined]
