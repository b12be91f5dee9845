"""OpenCV's YuNet and SFace: the values of cv2's own calls, which face counts, and what is refused.

The detector is the published one; the recogniser has SFace's inputs and outputs, and random weights.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper
from skimage import data

from lora_checks import metrics
from lora_checks.core.errors import ConfigError, MeasureError, PrerequisiteError
from lora_checks.core.store import Store
from lora_checks.metrics.identity import sface, sface_centroid
from lora_checks.metrics.pose import poses
from lora_checks.networks import build, fetching, licence_of, self_test, slot_of
from lora_checks.networks.sface import SFace

YUNET = Path(__file__).parents[1] / "data" / "yunet" / "face_detection_yunet_2023mar.onnx"


@pytest.fixture(scope="module")
def recogniser(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """(1, 3, 112, 112) -> (1, 128): patches of 16 pixels, their mean."""
    rng = np.random.default_rng(0)
    weights = rng.normal(size=(128, 3, 16, 16)).astype(np.float32) / 1000
    nodes = [
        helper.make_node("Conv", ["data", "weights"], ["patches"], strides=[16, 16]),
        helper.make_node("Relu", ["patches"], ["positive"]),
        helper.make_node("GlobalAveragePool", ["positive"], ["pooled"]),
        helper.make_node("Flatten", ["pooled"], ["fc1"]),
    ]
    constants = [helper.make_tensor("weights", TensorProto.FLOAT, weights.shape, weights.ravel())]
    given = [helper.make_tensor_value_info("data", TensorProto.FLOAT, [1, 3, 112, 112])]
    made = [helper.make_tensor_value_info("fc1", TensorProto.FLOAT, [1, 128])]
    graph = helper.make_graph(nodes, "sface", given, made, constants)
    file = tmp_path_factory.mktemp("sface") / "face_recognition_sface_random.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8), file)
    return file


def network(recogniser: Path, /, **settings: Any) -> SFace:
    found = build("sface", {"detector": str(YUNET), "recogniser": str(recogniser)} | settings, "cpu")
    assert isinstance(found, SFace)
    return found


def photo(size: int = 320) -> np.ndarray:
    return np.asarray(cv2.resize(data.astronaut(), (size, size), interpolation=cv2.INTER_AREA))


def opencv(recogniser: Path, image: np.ndarray) -> tuple[np.ndarray, np.ndarray, Any]:
    """Faces of a picture, the features of the first, and the recogniser, by the calls of OpenCV's demo."""
    detector = cv2.FaceDetectorYN.create(str(YUNET), "", image.shape[1::-1], 0.6, 0.3, 5000)
    blue_first = np.ascontiguousarray(image[:, :, ::-1])
    _, faces = detector.detect(blue_first)
    sf = cv2.FaceRecognizerSF.create(str(recogniser), "")
    return faces, sf.feature(sf.alignCrop(blue_first, faces[0])).copy(), sf


def test_features_and_landmarks_are_those_of_opencvs_own_calls(
    recogniser: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    ours = network(recogniser)
    rows = ours.rows([photo()])
    assert capfd.readouterr() == ("", "")
    faces, features, _ = opencv(recogniser, photo())
    np.testing.assert_array_equal(rows[:, ours.parts["features"]], features)
    np.testing.assert_array_equal(rows[:, ours.parts["landmarks"]], faces[:, 4:14])
    np.testing.assert_array_equal(rows[:, ours.parts["faces"]], [[1]])
    assert np.linalg.norm(features) > 1


def test_cosines_are_those_of_opencvs_match(recogniser: Path) -> None:
    pictures = [photo(), photo()[:, ::-1], np.asarray(255 - photo() // 4, np.uint8)]
    ours = network(recogniser)
    found = ours.images([np.ascontiguousarray(picture) for picture in pictures])
    _, _, sf = opencv(recogniser, photo())
    expected = [[sf.match(a[None], b[None], cv2.FaceRecognizerSF_FR_COSINE) for b in found] for a in found]
    np.testing.assert_allclose(sface(found, found), expected, atol=1e-6)
    assert np.ptp(expected) > 0.01
    np.testing.assert_allclose(sface_centroid(found, found[:1]), np.array(expected)[:, 0], atol=1e-6)


def test_a_picture_of_another_size_is_scaled_and_the_face_taken_from_the_original(recogniser: Path) -> None:
    ours = network(recogniser, det_size=320)
    large = np.ascontiguousarray(data.astronaut()[:384])  # 512 x 384 -> 320 x 240
    rows = ours.rows([large])
    blue_first = np.ascontiguousarray(large[:, :, ::-1])
    detector = cv2.FaceDetectorYN.create(str(YUNET), "", (320, 240), 0.6, 0.3, 5000)
    _, faces = detector.detect(cv2.resize(blue_first, (320, 240)))
    np.testing.assert_allclose(rows[0, ours.parts["landmarks"]], faces[0, 4:14] * 1.6, rtol=1e-6)
    sf = cv2.FaceRecognizerSF.create(str(recogniser), "")
    whole = (faces * np.array([1.6] * 14 + [1], np.float32)).astype(np.float32)
    expected = sf.feature(sf.alignCrop(blue_first, whole[0]))[0]
    np.testing.assert_allclose(rows[0, ours.parts["features"]], expected, rtol=1e-4, atol=1e-4)


def test_without_a_face_everything_but_the_count_is_missing(recogniser: Path) -> None:
    ours = network(recogniser)
    row = ours.rows([np.full((64, 96, 3), 128, np.uint8)])[0]
    assert row[ours.parts["faces"]] == 0
    assert np.isnan(row[ours.parts["features"]]).all()
    assert np.isnan(row[ours.parts["landmarks"]]).all()


def two_faces() -> np.ndarray:
    """A smaller face in the middle of a large picture, a larger one at its left edge."""
    picture = np.full((448, 1280, 3), 128, np.uint8)
    picture[:448, :448] = photo(448)
    picture[100:356, 560:816] = photo(256)
    return picture


@pytest.mark.parametrize(("face", "left", "right"), [("largest", 0, 448), ("middle", 560, 816)])
def test_of_several_faces_one_counts_and_all_are_counted(
    recogniser: Path, face: str, left: int, right: int
) -> None:
    ours = network(recogniser, face=face, det_size=1280)
    row = ours.rows([two_faces()])[0]
    xs = row[ours.parts["landmarks"]][::2]
    assert row[ours.parts["faces"]] == 2
    assert (xs > left).all()
    assert (xs < right).all()
    assert ("face=middle" in ours.id) == (face == "middle")


def test_sizes_are_tried_in_turn_until_one_shows_a_face(recogniser: Path) -> None:
    """A face of 11 pixels is not found at 64 but at 320, whose landmarks are those of 320 alone."""
    once, later, both = (network(recogniser, det_size=sizes) for sizes in (64, 320, [64, 320]))
    far = np.full((512, 512, 3), 128, np.uint8)
    far[100:228, 200:328] = photo(128)
    counts = [int(ours.rows([far])[0, ours.parts["faces"]][0]) for ours in (once, later, both)]
    assert counts == [0, 1, 1]
    np.testing.assert_array_equal(both.rows([far]), later.rows([far]))
    assert "det_size=[64, 320]" in both.id
    assert len({once.id, later.id, both.id}) == 3


def test_landmarks_are_in_pixels_of_the_picture_without_its_border(recogniser: Path) -> None:
    plain, padded = network(recogniser), network(recogniser, pad=0.25)
    ours = [of.rows([photo()])[0, of.parts["landmarks"]] for of in (plain, padded)]
    np.testing.assert_allclose(*ours, atol=8)


def test_a_mirrored_photo_looks_the_other_way(recogniser: Path) -> None:
    ours = network(recogniser, det_size=640)
    mirrored = np.ascontiguousarray(photo(640)[:, ::-1])
    tilted = cv2.warpAffine(photo(640), cv2.getRotationMatrix2D((275, 150), -25, 1), (640, 640))
    found = poses(ours.rows([photo(640), mirrored, tilted])[:, ours.parts["landmarks"]])
    np.testing.assert_allclose(found[1] * [-1, 1, -1], found[0], atol=8)
    assert 10 < found[2, 2] - found[0, 2] < 30  # YuNet's landmarks understate a tilt


def test_a_recogniser_is_tested_where_its_detector_finds_nobody(recogniser: Path, tmp_path: Path) -> None:
    found = self_test.check("sface", {}, network(recogniser, det_thresh=1), Store(tmp_path), "cpu")
    assert found["faces-first"] == 0
    assert np.isfinite(list(found.values())).all()


def test_a_face_in_the_middle_is_the_crop_itself(recogniser: Path) -> None:
    """`aligned` puts the template's landmarks where they are in a picture of 112."""
    face = np.ascontiguousarray(photo(112))
    sf = cv2.FaceRecognizerSF.create(str(recogniser), "")
    np.testing.assert_allclose(
        network(recogniser).aligned([face]),
        sf.feature(np.ascontiguousarray(face[:, :, ::-1])),
        rtol=0.02,
        atol=0.02,
    )


def test_licences(recogniser: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert licence_of(network(recogniser)) == ""
    assert licence_of(network(recogniser, licence="ours")) == "ours"
    files = {"opencv/face_detection_yunet": YUNET, "opencv/face_recognition_sface": recogniser}
    monkeypatch.setattr("huggingface_hub.try_to_load_from_cache", lambda name, _: str(files[name]))
    published = build("sface", {}, "cpu")
    assert licence_of(published) == "YuNet: MIT; SFace: Apache-2.0"
    assert published.id == network(recogniser).id


def test_files_that_are_not_here_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(PrerequisiteError, match=r"`hf download opencv/face_detection_yunet .*set 'detector'"):
        build("sface", {}, "cpu")
    with pytest.raises(PrerequisiteError, match=r"`hf download opencv/face_recognition_sface .*'recogniser'"):
        build("sface", {"detector": str(YUNET)}, "cpu")
    with pytest.raises(PrerequisiteError, match=r"recogniser: .* does not exist"):
        build("sface", {"detector": str(YUNET), "recogniser": "gone.onnx"}, "cpu")


def test_what_is_downloaded_for_it() -> None:
    assert [one.name for one in fetching.downloads({"sface": {}})] == [
        "opencv/face_detection_yunet",
        "opencv/face_recognition_sface",
    ]
    assert [one.name for one in fetching.downloads({"faces": {"kind": "sface", "detector": "d.onnx"}})] == [
        "opencv/face_recognition_sface"
    ]


@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        ({"det_size": 100}, "det_size: 100 is not a multiple of 32"),
        ({"det_size": []}, "det_size: is empty"),
        ({"det_size": [320, "640"]}, "det_size: must be a number from 32 to 4096, not '640'"),
        ({"face": "oldest"}, "face: 'oldest' is not one of largest, middle"),
        ({"pack": "buffalo_l"}, "unknown setting 'pack'"),
    ],
)
def test_a_wrong_setting_is_named(recogniser: Path, settings: dict[str, Any], problem: str) -> None:
    with pytest.raises(ConfigError, match=f"networks: sface: {problem}"):
        network(recogniser, **settings)


@pytest.mark.parametrize("key", ["detector", "recogniser"])
def test_a_file_without_a_network_is_refused(recogniser: Path, key: str, tmp_path: Path) -> None:
    (tmp_path / "bad.onnx").write_bytes(b"not a network")
    with pytest.raises(PrerequisiteError, match=r"bad\.onnx.* cannot be loaded"):
        network(recogniser, **{key: str(tmp_path / "bad.onnx")}).images([photo()])


def test_a_detector_as_recogniser_is_refused(recogniser: Path) -> None:
    with pytest.raises((MeasureError, PrerequisiteError), match=r"networks: sface: .*yunet"):
        network(recogniser, recogniser=str(YUNET)).images([photo()])


BOTH: dict[str, dict[str, Any]] = {"arcface": {}, "sface": {}}


@pytest.mark.parametrize(
    ("metric", "networks", "slot"),
    [
        ("faces", {"sface": {}, "clip": {}}, "sface"),
        ("face_yaw", {"people": {"kind": "arcface"}}, "people"),
        ("arcface", BOTH, "arcface"),
        ("sface", BOTH, "sface"),
    ],
)
def test_which_network_serves_a_metric_of_faces(metric: str, networks: dict[str, Any], slot: str) -> None:
    assert slot_of(metrics.get(metric), "", networks) == slot


@pytest.mark.parametrize(
    ("metric", "asked", "networks", "problem"),
    [
        ("faces", "", BOTH, "faces could be measured through arcface and sface; say which"),
        ("faces", "", {"clip": {}}, "needs a network of kind arcface or sface under networks:"),
        ("arcface", "sface", BOTH, "arcface needs a network of kind arcface, and 'sface' is of kind sface"),
        ("arcface", "", {"arcface": {"kind": "sface"}}, "arcface needs a network of kind arcface"),
        ("sface", "", {"sface": {"kind": "arcface"}}, "sface needs a network of kind sface"),
    ],
)
def test_no_number_has_the_name_of_another_network(
    metric: str, asked: str, networks: dict[str, Any], problem: str
) -> None:
    with pytest.raises(ConfigError, match=problem):
        slot_of(metrics.get(metric), asked, networks)
