"""Find metrics by name: short pure functions of arrays, declared with `metric`.

The declaration decides which arguments a function gets and what it returns, for each image or for the set:

=============  ======================================================  =========================
against        arguments                                               per image -> / per set ->
=============  ======================================================  =========================
``nothing``    ``x`` (N, D)                                            (N,) / float
``prompt``     ``x`` (N, D), ``y`` (N, D): each image's own prompt     (N,) / float
``texts``      ``x`` (N, D), ``y`` (T, D): the row's own texts         (N,) / float
``baseline``   ``x`` (N, D), ``y`` (N, D): the base's own image        (N,) / float
``reference``  ``x`` (N, D), ``y`` (M, D)                              (N,) or (N, M) / float
``siblings``   ``x`` (N, D); only images of one prompt count           (N, N) / float
=============  ======================================================  =========================

``extractor`` names the network: a slot of the policy's ``networks:``, "*" for the one that the row names, or
"" for none (the function gets pixels). An (N, M) result is reduced by the row's ``pairing`` (nearest, mean,
named, sorted); ``closer`` says which values mean nearer, if that is not the better direction.

A metric that ``takes`` "faces" or "landmarks" gets these of the network in place of its features, (N, 1)
and (N, 10). One that ``takes`` "distances" gets the distances from a network of pairs (LPIPS), (N, M) or
for paired rows (N,), as its only argument. One that takes a "picture" or a "pair" gets one or two pictures,
(H, W, 3) uint8, and returns a number. One that takes "answers" gets what a vision model's replies to the
row's question are worth, (N,) or for each reference (N, M). One that takes "labelled" gets the
`labelled.Labels` of both sides after their features. A metric that answers yes or no for each image is
``two_valued``: its values are the two ends of ``range``, and its mean has the exact interval of a share of
images. Missing values are NaN, never zero.

Results for pictures are stored until the source of the function changes, or the source of what it uses in
the same file; raise ``version`` when anything else changes.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable
from dataclasses import replace
from difflib import get_close_matches
from importlib import import_module
from typing import Any, TypeVar

from lora_checks.core.errors import ConfigError
from lora_checks.core.extensions import Extension, ExtensionPoint
from lora_checks.core.records import Against, Better, Metric, Pairing, Per, Takes, Threshold, digest
from lora_checks.core.records.questions import Question
from lora_checks.metrics.function import guarded, home

F = TypeVar("F", bound=Callable[..., Any])

ANY = "*"  # extractor of a metric that works on any network: its rows say `network: SLOT`
_MODULES = {
    "identity": ("arcface", "arcface_centroid", "sface", "sface_centroid", "faces"),
    "pose": ("face_yaw", "face_pitch", "face_roll", "face_yaw_spread", "face_pitch_spread"),
    "subject": ("clip_i", "dino", "similarity"),
    "adherence": ("clip_score", "clip_s", "clip_choice"),
    "perceptual": ("lpips", "lpips_diversity", "trunk_distance"),
    "pixels": ("ssim", "ms_ssim", "psnr"),
    "distribution": ("fid", "trunk_frechet", "frechet_distance"),
    "kernels": ("kid", "polynomial_mmd", "cmmd", "rbf_mmd"),
    "neighbours": ("precision", "recall", "density", "coverage"),
    "diversity": ("vendi", "nearest_other", "nearest_sibling"),
    "copies": ("copy_ratio", "authenticity"),
    "frequencies": ("spectrum_low", "spectrum_middle", "spectrum_high", "fine_detail", "grid"),
    "answers": ("judge",),
    "classification": ("cas",),
    "quality": ("sharpness", "brightness", "contrast", "clipped", "flat", "aesthetic"),
    "safety": ("unsafe",),
}
BUILTIN = {  # name -> module that declares it
    name: f"lora_checks.metrics.{module}" for module, names in _MODULES.items() for name in names
}
EXTENSIONS = ExtensionPoint("lora_checks.metrics", "metric", BUILTIN)
_declared: dict[str, Metric] = {}


def metric(
    *,
    extractor: str,
    against: Against,
    per: Per,
    better: Better,
    range: tuple[float, float],
    takes: Takes = "features",
    version: str = "1",
    text: str = "{}",
    pairing: Pairing = "nearest",
    closer: Better | None = None,
    moments: bool = False,
    unbiased: bool = False,
    two_valued: bool = False,
    interval: Callable[..., tuple[float, float] | None] | None = None,
) -> Callable[[F], F]:
    """Declare the decorated function as a metric under its name.

    Args:
        extractor: Slot of the network, "*" for the one that the row names, "" for none.
        against: What each image is compared with; see the table above.
        per: Whether the metric has a value for each image or one for the set.
        better: Which values are better.
        range: The least and the largest value.
        takes: What the function gets; see above.
        version: Part of the identity of stored results.
        text: Template of the prompt for a network of texts.
        pairing: How (N, M) becomes (N,), if the row does not say.
        closer: Which values mean nearer to the other picture; by default ``better``.
        moments: Whether it can compare with a mean and covariance instead of pictures.
        unbiased: For a set: whether few images give, on average, the same value as many.
        two_valued: Whether each value is one of the two ends of ``range``.
        interval: For a set: gets the function's arguments and the chance that an end is wrong; returns both
            ends, or None. By default the prompts are left out in turn.

    Raises:
        ConfigError: Another file declared a metric of that name, or the ``range`` of a two-valued metric is
            not two finite numbers.
    """

    def declare(fn: F) -> F:
        known = _declared.get(fn.__name__)
        if known is not None and home(known.fn) != home(fn):
            raise ConfigError(
                f"metric '{fn.__name__}' is declared in {home(known.fn)} and in {home(fn)}; rename one"
            )
        if two_valued and (per == "set" or not all(map(math.isfinite, range))):
            raise ConfigError(
                f"metric '{fn.__name__}' is declared two_valued, so each image has one of the two numbers "
                "of `range`: give two finite numbers, and per='image'"
            )
        settings = (extractor, against, per, better, range, takes, version, text, pairing)
        _declared[fn.__name__] = Metric(
            fn.__name__, guarded(fn), *settings, closer or better, moments, unbiased, two_valued, interval
        )
        return fn

    return declare


def get(name: str) -> Metric:
    """Return the metric of that name: the gate's, a declared one, or one that an installed package adds.

    The version of a package's metric contains the package and its version, and so does every identity built
    from it.

    Raises:
        ConfigError: Nobody declares it (the message has the nearest name), or two packages do.
    """
    extension = EXTENSIONS.get(name)
    if extension is not None:
        return _of_package(extension)
    if name in BUILTIN:
        import_module(BUILTIN[name])
    if name not in _declared:
        known = sorted({*BUILTIN, *_declared, *EXTENSIONS.names()})
        close = get_close_matches(name, known, n=1)
        hint = f"did you mean '{close[0]}'?" if close else f"known: {', '.join(known)}"
        raise ConfigError(f"unknown metric '{name}'; {hint}")
    return _declared[name]


def of_row(row: Threshold) -> Metric:
    """Return the row's metric, as `asking` makes it.

    Raises:
        ConfigError: As `get`.
    """
    return asking(get(row.metric), row.question)


def asking(metric: Metric, question: Question | None) -> Metric:
    """Return the metric as it is for a question.

    Its version has the question's wording, and so has every identity built from it: limits that were
    calibrated with other words, or a release that was judged by them, are of another measurement. A question
    about two pictures compares with references.
    """
    if question is None or metric.takes != "answers":
        return metric
    wording = digest(replace(question, name="", controls=(), tagged=""))[:12]
    against: Against = metric.against if question.reference == "none" else "reference"
    return replace(metric, against=against, version=f"{metric.version}+{wording}")


def _of_package(extension: Extension) -> Metric:
    target, declared = extension.load(), _declared.get(extension.name)
    if declared is None or inspect.unwrap(declared.fn) is not inspect.unwrap(target):
        raise ConfigError(
            f"the entry point '{extension.name}' of {extension.source} is not a function of that name "
            "that is declared with @metric"
        )
    return replace(declared, version=f"{declared.version}@{extension.version}")
