"""A document in which every text that people or files bring is an attack on the page."""

from __future__ import annotations

import copy
from typing import Any

HOSTILE = (
    '</script><script>window.hacked=1</script>"\'><img src=x onerror="window.hacked=1"><!--<script>'
    "{{ 7*7 }}{% x %}${window.hacked=1}\u2028\u202e\x1b[31m\x00\udc80javascript:window.hacked=1//"
)


def hostile(document: dict[str, Any]) -> dict[str, Any]:
    """Every string of the document that people or files bring, with an attack in it."""
    bad = copy.deepcopy(document)
    run = bad["run"]
    renamed = {prompt["id"]: f"{prompt['id']} {HOSTILE}" for prompt in run["prompts"]}
    for prompt in run["prompts"]:
        prompt |= {"id": renamed[prompt["id"]], "text": HOSTILE, "tags": [HOSTILE]}
    run |= {"warnings": [HOSTILE], "command": HOSTILE, "versions": [HOSTILE], "trigger": HOSTILE}
    run["base"]["label"] = run["base"]["model"] = HOSTILE
    run["networks"] = {HOSTILE: {HOSTILE: HOSTILE}}
    run["policy"] = {"directory": HOSTILE, "digest": HOSTILE, "parts": {HOSTILE: HOSTILE}}
    run["elsewhere"] = {"caveat": HOSTILE}
    for image in run["folders"]["references"]["images"]:
        image["name"] = f"{image['name']} {HOSTILE}"

    def name(old: str) -> str:
        prompt, _, seed = old.rpartition("/")
        return f"{renamed[prompt]}/{seed}"

    _poison(bad["ranking"])
    for lora in bad["loras"]:
        lora |= {"name": f"{lora['name']} {HOSTILE}", "path": f"loras/{lora['name']} {HOSTILE}.safetensors"}
        lora |= {"facts": {HOSTILE: HOSTILE}, "missing": [HOSTILE], "images": [HOSTILE]}
        for picture in lora["pictures"]:
            picture |= {
                "name": name(picture["name"]),
                "prompt": renamed[picture["prompt"]],
                "recipe": HOSTILE,
            }
        for row in lora["rows"]:
            row |= {
                "check": f"{row['check']} {HOSTILE}",
                "reason": HOSTILE,
                "images": HOSTILE,
                "band": HOSTILE,
            }
            row["threshold"] |= {"why": HOSTILE, "name": HOSTILE}
            m = row["measurement"]
            m |= {"label": HOSTILE, "worst": [HOSTILE, 0.1], "nearest": [[HOSTILE, 9]]}
            m["per_image"] = [[name(image), value] for image, value in m["per_image"]]
            m["matches"] = [[name(image), f"{other} {HOSTILE}"] for image, other in m["matches"]]
    return bad


def _poison(value: Any) -> None:
    """Every text inside, but for the words that a program of ours chooses."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in list(items):
        if isinstance(item, str) and key not in ("by", "axis", "better", "outcome", "role"):
            value[key] = f"{item} {HOSTILE}"
        _poison(item)
