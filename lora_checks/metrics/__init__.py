"""Metrics by name: short pure functions of arrays, declared with `metric`.

A function gets what its declaration asks for:

=============  ======================================================  =========================
against        arguments                                               per image -> / per set ->
=============  ======================================================  =========================
``nothing``    ``x`` (N, D)                                            (N,) / float
``prompt``     ``x`` (N, D), ``y`` (N, D): each image's own prompt     (N,) / float
``baseline``   ``x`` (N, D), ``y`` (N, D): same prompt and seed, LoRA off  (N,) / float
``reference``  ``x`` (N, D), ``y`` (M, D)                              (N,) or (N, M) / float
=============  ======================================================  =========================

An (N, M) result is reduced by the row's ``pairing`` (nearest, mean, sorted). A metric that ``takes`` the
distances of a network of pairs (LPIPS) gets them, (N, M) or row-paired (N,), as its only argument. One
without an extractor gets the pixels. Missing values are NaN, never zero.
"""

from __future__ import annotations

from collections.abc import Callable
from difflib import get_close_matches
from importlib import import_module
from typing import Any, TypeVar

from lora_checks.errors import ConfigError
from lora_checks.records import Against, Better, Metric, Per, Takes

F = TypeVar("F", bound=Callable[..., Any])

BUILTIN = {  # name -> module that declares it
    "arcface": "lora_checks.metrics.identity",
    "clip_score": "lora_checks.metrics.adherence",
    "clip_s": "lora_checks.metrics.adherence",
    "lpips": "lora_checks.metrics.perceptual",
    "trunk_distance": "lora_checks.metrics.perceptual",
    "fid": "lora_checks.metrics.distribution",
    "trunk_frechet": "lora_checks.metrics.distribution",
}
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
) -> Callable[[F], F]:
    """Declare a metric under the function's own name.

    Raises `ConfigError` if another module declared a metric of that name.
    """

    def declare(fn: F) -> F:
        known = _declared.get(fn.__name__)
        if known is not None and known.fn.__module__ != fn.__module__:
            raise ConfigError(
                f"metric '{fn.__name__}' is declared in {known.fn.__module__} and in {fn.__module__}"
            )
        _declared[fn.__name__] = Metric(
            fn.__name__, fn, extractor, against, per, better, range, takes, version, text
        )
        return fn

    return declare


def get(name: str) -> Metric:
    """The declared metric; `ConfigError` with the nearest name where there is none."""
    if name in BUILTIN:
        import_module(BUILTIN[name])
    if name not in _declared:
        known = sorted({*BUILTIN, *_declared})
        close = get_close_matches(name, known, n=1)
        hint = f"did you mean '{close[0]}'?" if close else f"known: {', '.join(known)}"
        raise ConfigError(f"unknown metric '{name}'; {hint}")
    return _declared[name]
