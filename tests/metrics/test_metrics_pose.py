"""Poses from landmarks: known turns of a head, OpenCV's angles, and spreads in closed form."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from measure_world import PROMPTS, Table, a_set
from small_policy import small_policy

from lora_checks import metrics
from lora_checks.core.errors import ConfigError, MeasureError
from lora_checks.core.filling import silent
from lora_checks.core.store import Store
from lora_checks.images.sets import image_set
from lora_checks.judge.measure import measure
from lora_checks.judge.measurer import Measurer
from lora_checks.judge.task import Task
from lora_checks.metrics.pose import HEAD, poses
from lora_checks.networks.arcface import ArcFace
from lora_checks.stats.intervals import mean_bounds

NAN = float("nan")
MINIATURE = Path(__file__).parents[2] / "examples" / "miniature"
YAW, PITCH = (metrics.get(f"face_{name}_spread").fn for name in ("yaw", "pitch"))


def rotation(yaw: float, pitch: float, roll: float) -> np.ndarray:
    turn, nod, tilt = np.radians([-yaw, -pitch, roll])
    about_y = [[np.cos(turn), 0, np.sin(turn)], [0, 1, 0], [-np.sin(turn), 0, np.cos(turn)]]
    about_x = [[1, 0, 0], [0, np.cos(nod), -np.sin(nod)], [0, np.sin(nod), np.cos(nod)]]
    about_z = [[np.cos(tilt), -np.sin(tilt), 0], [np.sin(tilt), np.cos(tilt), 0], [0, 0, 1]]
    return np.array(about_z) @ np.array(about_y) @ np.array(about_x)


def head(yaw: float = 0, pitch: float = 0, roll: float = 0, size: float = 7.3) -> list[float]:
    """Landmarks of a turned head, seen from afar."""
    return list((size * (HEAD @ rotation(yaw, pitch, roll).T)[:, :2] + [80, 50]).ravel())


def seen_from(distance: float, yaw: float, pitch: float, roll: float) -> np.ndarray:
    """Landmarks of a head at this distance, in cm, by a camera with a focal length of 500 pixels."""
    points = (HEAD - HEAD.mean(axis=0)) @ rotation(yaw, pitch, roll).T + [0, 0, distance]
    return 500 * points[:, :2] / points[:, 2:]


ANGLES = [
    (0, 0, 0),
    (30, 0, 0),
    (0, 20, 0),
    (0, 0, 40),
    (-75, 10, 5),
    (60, -30, -120),
    (12, 55, 170),
    (85, 5, 0),
]


@pytest.mark.parametrize("angles", ANGLES)
@pytest.mark.parametrize("size", [0.5, 40])
def test_a_known_turn_of_the_head_is_found(angles: tuple[float, float, float], size: float) -> None:
    np.testing.assert_allclose(poses(np.array([head(*angles, size)])), [angles], atol=1e-3)


def test_to_the_right_up_and_clockwise_are_positive() -> None:
    """Said of the picture: the nose goes right, the nose goes up, the left eye goes above the right one."""
    straight, right, up, tilted = (
        np.reshape(head(*angles), (5, 2)) for angles in [(0, 0, 0), (20, 0, 0), (0, 20, 0), (0, 0, 20)]
    )
    assert right[2, 0] > straight[2, 0]
    assert up[2, 1] - up[:2, 1].mean() < straight[2, 1] - straight[:2, 1].mean()
    assert tilted[0, 1] < tilted[1, 1]


def test_of_a_camera_far_away_the_angles_are_those_of_opencv() -> None:
    """solvePnP with the same head, and RQDecomp3x3, whose order of turns is the same."""
    rng = np.random.default_rng(0)
    for _ in range(20):
        angles = rng.uniform([-60, -40, -60], [60, 40, 60])
        points = seen_from(500, *angles)
        camera = np.array([[500.0, 0, 0], [0, 500.0, 0], [0, 0, 1]])
        _, vector, _ = cv2.solvePnP(HEAD, points, camera, None, flags=cv2.SOLVEPNP_SQPNP)
        about_x, about_y, about_z = cv2.RQDecomp3x3(cv2.Rodrigues(vector)[0])[0]
        np.testing.assert_allclose(poses(points.reshape(1, 10))[0], [-about_y, -about_x, about_z], atol=0.5)


def test_of_a_portrait_camera_they_are_a_few_degrees_off_at_most() -> None:
    rng = np.random.default_rng(1)
    angles = rng.uniform([-45, -30, -30], [45, 30, 30], (50, 3))
    found = poses(np.array([seen_from(60, *of_one).ravel() for of_one in angles]))
    assert np.abs(found - angles).max() < 3
    assert np.abs(found - angles).mean() < 1


@pytest.mark.parametrize(
    "points",
    [[NAN] * 10, [5.0] * 10, [0, 0, 10, 0, 5, -40, 0, 10, 10, 10], [*head()[:9], NAN]],
    ids=["no face", "one point", "of no head", "a point is missing"],
)
def test_what_is_no_head_has_no_pose(points: list[float]) -> None:
    found = poses(np.array([points, head(10)]))
    assert np.isnan(found[0]).all()
    assert found[1, 0] == pytest.approx(10, abs=1e-3)


def test_each_angle_is_a_metric() -> None:
    x = np.array([head(15, -10, 25), [NAN] * 10])
    for name, expected in {"yaw": 15, "pitch": -10, "roll": 25}.items():
        np.testing.assert_allclose(metrics.get(f"face_{name}").fn(x), [expected, NAN], atol=1e-3)


def turned(*yaws: float) -> np.ndarray:
    return np.array([head(yaw) for yaw in yaws])


REFERENCES = turned(-40, -20, 0, 20, 40)  # 24 degrees from their median on average


def test_a_spread_is_in_units_of_the_references() -> None:
    np.testing.assert_allclose(YAW(REFERENCES, REFERENCES).mean(), 1, atol=1e-4)
    np.testing.assert_allclose(YAW(turned(-12, 0, 12), REFERENCES), [0.5, 0, 0.5], atol=1e-4)
    np.testing.assert_allclose(YAW(turned(7, 7, 7, 7), REFERENCES), 0, atol=1e-4)
    up = np.array([head(0, pitch) for pitch in (-20, -10, 0, 10, 20)])
    np.testing.assert_allclose(PITCH(up, up), [20 / 12, 10 / 12, 0, 10 / 12, 20 / 12], atol=1e-4)


def test_a_pose_that_all_images_share_is_no_spread() -> None:
    """So neither a long nose nor a prompt that turns everybody counts as flexible."""
    np.testing.assert_allclose(YAW(turned(18, 30, 42), REFERENCES), [0.5, 0, 0.5], atol=1e-4)


def test_an_image_without_a_face_is_missing_and_moves_nothing() -> None:
    x = np.array([head(-12), [NAN] * 10, head(0), head(12)])
    np.testing.assert_allclose(YAW(x, REFERENCES), [0.5, NAN, 0, 0.5], atol=1e-4)
    assert np.isnan(YAW(np.full((2, 10), NAN), REFERENCES)).all()


@pytest.mark.parametrize(
    ("references", "problem"),
    [
        (turned(0, 0.1, 0.2, 0.1, 0), r"hardly turn \(0.06 degrees on average\)"),
        (turned(-20, 0, 20), "a spread needs 5 pictures to compare with, and there are 3"),
        (np.vstack([REFERENCES, [[NAN] * 10]]), "the pose of 1 of 6 pictures to compare with is unknown"),
        (np.ones((5, 512)), r"gives \(5, 512\) numbers and not ten landmarks"),
    ],
)
def test_references_that_are_no_scale(references: np.ndarray, problem: str) -> None:
    with pytest.raises(MeasureError, match=problem):
        YAW(turned(0, 10), references)


def test_drawings_against_themselves_have_their_own_spread(face_root: Path, tmp_path: Path) -> None:
    """The miniature's faces all look ahead; what varies is where the detector sees the nose."""
    network = ArcFace({"root": str(face_root), "pack": "miniature", "det_size": 64}, "cpu")
    found = image_set("references", MINIATURE / "references")
    store = Store(tmp_path)
    task = Task(metrics.get("face_pitch_spread"), a_set("candidate", found.images), found)
    measured = measure(task, network, PROMPTS, store)
    assert measured.value == pytest.approx(1)
    assert (measured.n, measured.missing) == (24, 0)
    gained = measure(
        Task(task.metric, task.images, found, baseline=a_set("baseline", found.images)),
        network,
        PROMPTS,
        store,
    )
    assert gained.value == 0
    yaw = measure(Task(metrics.get("face_yaw"), task.images), network, PROMPTS, store)
    assert abs(yaw.value) < 1
    with pytest.raises(MeasureError, match="the references hardly turn"):
        measure(Task(metrics.get("face_yaw_spread"), task.images, found), network, PROMPTS, store)


def test_references_that_are_no_scale_are_told_before_an_image_is_made(
    face_root: Path, tmp_path: Path
) -> None:
    """They all look ahead; what the detector sees of their noses varies enough for the other row."""
    head_of = (
        f"folders: {{references: {MINIATURE}/references}}\n"
        f"networks: {{arcface: {{pack: miniature, root: {face_root}, det_size: 64}}}}\nchecks:\n"
    )
    rows = [
        "nods: {metric: face_pitch_spread, min: 0.1, why: a}",
        "turns: {metric: face_yaw_spread, min: 0.1, why: b}",
    ]
    for count, problem in ((1, ""), (2, r"thresholds.yaml:5.*: turns: the references hardly turn")):
        policy = small_policy(tmp_path, head_of + "".join(f"  {row}\n" for row in rows[:count]))
        gate = Measurer(policy, Store(tmp_path / "store"), "cpu", lambda _: silent, lambda images: images)
        if problem:
            with pytest.raises(ConfigError, match=problem):
                gate.test_networks()
        else:
            gate.test_networks()


@pytest.mark.parametrize("name", ["faces", "face_yaw"])
def test_a_network_that_finds_no_faces_is_refused(name: str, tmp_path: Path) -> None:
    images = a_set("candidate", image_set("references", MINIATURE / "references").images)
    network: Any = Table({})
    with pytest.raises(ConfigError, match="a table does not"):
        measure(Task(metrics.get(name), images), network, PROMPTS, Store(tmp_path))


@pytest.mark.simulation
@pytest.mark.parametrize("poses_of", ["normal", "two poses", "seldom in profile", "skewed"])
def test_the_lower_end_of_a_spread_is_on_the_safe_side(poses_of: str) -> None:
    """The median comes from the same images; a row with a minimum may not pass more often for that."""
    rng = np.random.default_rng(0)

    def drawn(*shape: int) -> np.ndarray:
        if poses_of == "normal":
            return rng.normal(0, 20, shape)
        if poses_of == "two poses":
            return rng.choice([-30, 30], shape) + rng.normal(0, 3, shape)
        if poses_of == "seldom in profile":
            return np.where(rng.random(shape) < 0.2, rng.choice([-60, 60], shape), 0) + rng.normal(
                0, 4, shape
            )
        return rng.exponential(15, shape)

    many = drawn(200_000)
    truth = np.abs(many - np.median(many)).mean()
    angles = drawn(4000, 25)
    _, low, _ = mean_bounds(np.abs(angles - np.median(angles, axis=1, keepdims=True)), 0.05)
    assert (low <= truth).mean() > 0.95
