"""Verdicts and documents that the report's tests share."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from lora_checks.core.records import Lora, Measurement, Threshold, Verdict
from lora_checks.judge.verdict import error, judge
from lora_checks.record import document as report

# What a hostile or careless file name, prompt or reference name may hold.
HOSTILE = "a|b`c`<script>alert(1)</script>&\x1b[31m\x00\u202e\udc80\n](http://evil.example) @team"

ROWS = {
    "prompt adherence": Threshold("prompt adherence", "clip_score", "w", min=0.26),
    "not a copy": Threshold("not a copy", "trunk_distance", "w", min=0.08),
    "identity": Threshold("identity", "arcface", "w", min=0.5, max_missing=0.1),
    "drift": Threshold("drift", "lpips", "w", max=0.25, bands=(("excellent", 0.15), ("good", 0.25))),
    "surely clear": Threshold("surely clear", "clip_score", "w", min=0.2, rule="bound"),
    "variety": Threshold("variety", "vendi", "w", min=3.0, required=False),
}
VALUES = {
    "prompt adherence": (0.214, 0.201, 0.227, {"worst": ("green-shirt", 0.171)}),
    "not a copy": (0.031, 0.022, 0.040, {"nearest": (("train/07.png", 12), ("train/01.png", 3))}),
    "identity": (0.831, 0.797, 0.865, {"extremes": (0.612, 0.974)}),
    "drift": (0.181, 0.170, 0.190, {"better": "lower", "n": 31, "missing": 0}),
    "surely clear": (0.214, 0.195, 0.233, {"worst": ("green-shirt", 0.171)}),
    "variety": (2.0, 1.5, 2.5, {}),
}


def lora(name: str) -> Lora:
    return Lora(
        Path(f"loras/{name}.safetensors"), name, "9c1e" * 16, "diffusers", (4,), (4.0,), {"unet": 3}, 6
    )


def measurement(check: str, **fields: Any) -> Measurement:
    value, low, high, more = VALUES[check]
    defaults: dict[str, Any] = {
        "metric": ROWS[check].metric, "stat": "mean", "value": value, "low": low, "high": high, "n": 32,
        "missing": 0, "better": "higher", "network": "net:1", "label": "the miniature's trunk", "prompts": 16,
        "against": "references (24)", "per_image": (("green-shirt/0", value), ("green-shirt/1", None)),
    }  # fmt: skip
    return Measurement(**(defaults | more | fields))


def verdicts(name: str = "overfit", checks: tuple[str, ...] = tuple(ROWS), **fields: Any) -> list[Verdict]:
    return [judge(measurement(check, **fields), ROWS[check], lora(name), f"out/{name}") for check in checks]


def refused(name: str, reason: str) -> list[Verdict]:
    return [error(name, "", row.name, row, reason) for row in ROWS.values()]


def whole(run: dict[str, Any]) -> dict[str, Any]:
    """A test's facts of a run as a real one has them: with every part that the schema asks for."""
    texts = ("class_words", "command", "device", "hardware", "report", "started", "store", "trigger")
    sampler = {"steps": 4, "guidance": 2.0, "width": 64, "height": 64, "negative": ""}
    empty = dict.fromkeys(texts, "") | {"companions": [], "versions": [], "folders": {}, "networks": {}}
    policy = run["policy"]
    parts = {name: (digest * 64)[:64] for name, digest in policy.get("parts", {}).items()}
    policy = {**policy, "digest": (policy["digest"] * 64)[:64], "parts": parts}
    return empty | {"sampler": sampler} | run | {"policy": policy}


def document(*groups: list[Verdict], missing: tuple[tuple[str, str], ...] = (), **run: Any) -> dict[str, Any]:
    everything = [verdict for group in groups for verdict in group]
    names = list(dict.fromkeys([v.lora for v in everything] + [name for name, _ in missing]))
    facts = {
        "base": {
            "model": "examples/miniature/miniature-sd",
            "digest": "3f2a91bb",
            "label": "miniature-sd 3f2a91",
        },
        "policy": {"directory": "examples/miniature", "digest": "abcdef99" * 8, "parts": {}},
        "prompts": [{"id": f"prompt-{i}", "text": "a photo", "tags": []} for i in range(16)],
        "seeds": [0, 1],
        "device": "cpu",
        "hardware": "",
        "trigger": "",
        "class_words": "",
        "sampler": {"steps": 20, "guidance": 2.0, "width": 64, "height": 64, "negative": ""},
        "networks": {},
        "folders": {},
        "companions": [],
        "versions": [],
        "store": "",
        "report": "",
        "command": "",
        "started": "",
        "loras": [{"name": n, "path": f"loras/{n}.safetensors", "sha256": "9c1e" * 16} for n in names],
        "required": [(v.lora, v.check) for v in everything if v.required] + list(missing),
    }
    return report.build(facts | run, everything)
