"""Which way do the faces look, and does the LoRA know more than one pose?

A pose is fitted to the five landmarks of a face: that turn of an average head whose landmarks, seen from
afar (scaled orthographic projection), lie nearest to those of the picture. The head is the mean of many, so
a long nose or a smile shifts the pose of one person by some degrees everywhere; spreads are free of that.
Angles are in degrees: yaw is positive where the face turns to the right of the picture, pitch where it
looks up, roll where it is tilted clockwise. R = Rz(roll) Ry(-yaw) Rx(-pitch), with x to the right, y down
and z into the picture.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from lora_checks.core.errors import MeasureError
from lora_checks.metrics import metric
from lora_checks.metrics.vectors import Array

# Centres of the eyes, tip of the nose, corners of the mouth, each from left to right, in cm: of MediaPipe's
# canonical face model (Apache-2.0), whose corners of each eye are averaged.
HEAD = np.array(
    [
        [-3.1511455, -2.624618, -3.465663],
        [3.1511455, -2.624618, -3.465663],
        [0.0, 1.126865, -7.475604],
        [-2.456206, 4.342621, -4.283884],
        [2.456206, 4.342621, -4.283884],
    ]
)
MISFIT = 0.3  # share of the landmarks' spread beyond which they are of no head; faces have 0.02 to 0.15
YAWS, PITCHES = (np.radians(np.arange(-most, most + 1, 10.0)) for most in (90, 80))
ROUNDS, SHRINK = 24, 1.6  # from 10 degrees down to 0.0001
LEAST = 5  # references, for a spread
STILL = 1.0  # degree: references that vary less show one pose


@metric(extractor="face", against="nothing", per="image", better="higher", range=(-90, 90), takes="landmarks")
def face_yaw(x: Array) -> NDArray[np.float64]:
    """(N, 10) landmarks -> (N,) degrees that each face is turned to the right of the picture.

    Neither end is good: give it two limits, or limit a share. NaN without a face.
    """
    return poses(x)[:, 0]


@metric(extractor="face", against="nothing", per="image", better="higher", range=(-90, 90), takes="landmarks")
def face_pitch(x: Array) -> NDArray[np.float64]:
    """(N, 10) landmarks -> (N,) degrees that each face looks up, by an average head.

    Neither end is good, as for `face_yaw`. NaN without a face.
    """
    return poses(x)[:, 1]


@metric(
    extractor="face", against="nothing", per="image", better="higher", range=(-180, 180), takes="landmarks"
)
def face_roll(x: Array) -> NDArray[np.float64]:
    """(N, 10) landmarks -> (N,) degrees that each face is tilted clockwise.

    Neither end is good, as for `face_yaw`. NaN without a face.
    """
    return poses(x)[:, 2]


@metric(
    extractor="face",
    against="reference",
    per="image",
    better="higher",
    range=(0, float("inf")),
    takes="landmarks",
)
def face_yaw_spread(x: Array, y: Array) -> NDArray[np.float64]:
    """(N, 10), (M, 10) landmarks -> (N,): how far each face is turned from the images' median.

    The unit is the mean of the same over the references, so the mean over images is the spread of yaw in
    units of theirs: 1 turns as much as they do, 0 knows one pose. Higher is more flexible. NaN without a
    face.
    """
    return _spread(poses(x)[:, 0], poses(y)[:, 0], "turn")


@metric(
    extractor="face",
    against="reference",
    per="image",
    better="higher",
    range=(0, float("inf")),
    takes="landmarks",
)
def face_pitch_spread(x: Array, y: Array) -> NDArray[np.float64]:
    """(N, 10), (M, 10) landmarks -> (N,): as `face_yaw_spread`, for looking up and down.

    Higher is more flexible. NaN without a face.
    """
    return _spread(poses(x)[:, 1], poses(y)[:, 1], "look up and down")


def poses(landmarks: Array) -> NDArray[np.float64]:
    """Return yaw, pitch and roll of each face in degrees, (N, 3); NaN where five points are of no head.

    Args:
        landmarks: (N, 10), x and y of both eyes, nose and both corners of the mouth, in pixels.

    Raises:
        MeasureError: The rows are not landmarks.
    """
    rows = np.asarray(landmarks, np.float64)
    if rows.ndim != 2 or rows.shape[1] != 2 * len(HEAD):
        raise MeasureError(f"the network gives {rows.shape} numbers and not ten landmarks for each face")
    return np.stack([_pose(row.reshape(len(HEAD), 2)) for row in rows]) if len(rows) else np.zeros((0, 3))


def _pose(points: NDArray[np.float64]) -> NDArray[np.float64]:
    """Search yaw and pitch on a grid that is refined around its best point; size and roll follow."""
    seen = points[:, 0] + 1j * points[:, 1]
    seen = seen - seen.mean()
    if not np.isfinite(points).all() or not np.abs(seen).max() > 0:
        return np.full(3, np.nan)
    yaw, pitch, roll, misfit = _best(seen, YAWS, PITCHES)
    step = np.radians(5.0)
    for _ in range(ROUNDS):
        around = np.arange(-2, 3) * step
        yaw, pitch, roll, misfit = _best(seen, yaw + around, pitch + around)
        step /= SHRINK
    if misfit > MISFIT:
        return np.full(3, np.nan)
    return np.degrees([yaw, pitch, roll])


def _best(
    seen: NDArray[np.complex128], yaws: NDArray[np.float64], pitches: NDArray[np.float64]
) -> tuple[float, float, float, float]:
    """Return the yaw, pitch and roll in radians, and the misfit, of the turn that fits best.

    As complex numbers, a projection q is moved onto the landmarks p by one factor, its size and roll: the
    least squares give sum(conj(q) p) / sum(|q|^2).
    """
    yaw, pitch = np.meshgrid(yaws, pitches, indexing="ij")
    projected = _projected(yaw, pitch)
    factor = (projected.conj() * seen).sum(-1) / (np.abs(projected) ** 2).sum(-1)
    off = (np.abs(seen - factor[..., None] * projected) ** 2).sum(-1)
    at = np.unravel_index(off.argmin(), off.shape)
    misfit = np.sqrt(off[at] / (np.abs(seen) ** 2).sum())
    return float(yaw[at]), float(pitch[at]), float(np.angle(factor[at])), float(misfit)


def _projected(yaw: NDArray[np.float64], pitch: NDArray[np.float64]) -> NDArray[np.complex128]:
    """Return the head's landmarks, turned and seen from afar, as x + iy around their mean; (..., 5)."""
    x, y, z = (HEAD - HEAD.mean(axis=0)).T
    turn, nod = -yaw[..., None], -pitch[..., None]
    deep = np.sin(nod) * y + np.cos(nod) * z
    down = np.cos(nod) * y - np.sin(nod) * z
    projected: NDArray[np.complex128] = np.cos(turn) * x + np.sin(turn) * deep + 1j * down
    return projected


def _spread(angles: NDArray[np.float64], references: NDArray[np.float64], what: str) -> NDArray[np.float64]:
    """Return each angle's distance to the median, in units of the references' mean distance to theirs.

    Around the median a mean distance does not change to first order when the median does, so the interval
    over prompts holds although the median comes from the same images; its lower end is on the safe side.
    """
    unknown = int(np.isnan(references).sum())
    if unknown:
        raise MeasureError(
            f"the pose of {unknown} of {len(references)} pictures to compare with is unknown (no face, or "
            "landmarks of no head); replace or remove them"
        )
    if len(references) < LEAST:
        raise MeasureError(
            f"a spread needs {LEAST} pictures to compare with, and there are {len(references)}"
        )
    unit = float(np.abs(references - np.median(references)).mean())
    if unit < STILL:
        raise MeasureError(
            f"the references hardly {what} ({unit:.2f} degrees on average), so a spread cannot be compared "
            "with theirs; use references in several poses, or remove the row"
        )
    known = angles[~np.isnan(angles)]
    centre = np.median(known) if len(known) else np.nan
    distances: NDArray[np.float64] = np.abs(angles - centre) / unit
    return distances
