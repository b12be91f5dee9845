"""docs/policy.md, made from the keys that the reader takes: `python tests/policy_page.py` writes it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from lora_checks.policy.keys import Key, Keys
from lora_checks.policy.prompts_keys import BASE, BASE_SAMPLER, PROMPT, PROMPTS, SAMPLER
from lora_checks.policy.thresholds_keys import (
    ALLOWANCE,
    CALIBRATED_ON,
    QUESTION,
    ROW,
    SHARE_OF,
    THRESHOLDS,
    WEIGHT,
)

MAPPINGS = (
    THRESHOLDS,
    ROW,
    QUESTION,
    CALIBRATED_ON,
    ALLOWANCE,
    WEIGHT,
    PROMPTS,
    BASE,
    SAMPLER,
    BASE_SAMPLER,
    PROMPT,
)
PAGE = Path(__file__).parents[1] / "docs" / "policy.md"
INTRODUCTION = """\
# Keys of a policy

A policy is a folder with `thresholds.yaml` and `prompts.yaml`. Both are read strictly: an unknown key, a key
given twice, a number that YAML readers read differently or a value of the wrong type ends the run with its
file and line. `lora-checks policy DIR` checks a policy as a run does.

For an editor that completes and checks as you type, write the JSON Schemas beside the policy and name them in
the first line of each file:

```sh
lora-checks policy --schemas gate/schemas
```

```yaml
# yaml-language-server: $schema=schemas/thresholds.json
```

A key in bold is required."""


def page() -> str:
    parts = [INTRODUCTION, *(_section(keys) for keys in MAPPINGS)]
    return "\n\n".join(parts) + "\n"


def _section(keys: Keys) -> str:
    rows = ["| key | value | meaning |", "|---|---|---|", *map(_row, keys.keys)]
    return "\n".join([f"## {keys.title}", "", *rows])


def _row(key: Key) -> str:
    name = f"**`{key.name}`**" if key.required else f"`{key.name}`"
    return f"| {name} | {_kind(key.value)} | {key.meaning} |"


def _kind(value: Any) -> str:
    """A JSON Schema in words."""
    if value == SHARE_OF.schema():
        return "`{share_at_least: NUMBER}` or `{share_at_most: NUMBER}`"
    if "oneOf" in value:
        return ", or ".join(map(_kind, value["oneOf"]))
    if "enum" in value:
        return ", ".join(f"`{option}`" for option in value["enum"])
    match value["type"]:
        case "string":
            return "text"
        case "boolean":
            return "true or false"
        case "array":
            return f"list of {_kind(value['items'])}"
        case "object":
            inner = value.get("additionalProperties")
            return f"mapping to {_kind(inner)}" if inner else "mapping"
    return _number(value)


def _number(value: Any) -> str:
    kind = "whole number" if value["type"] == "integer" else "number"
    if "multipleOf" in value:
        kind = f"multiple of {value['multipleOf']}"
    if "maximum" in value:
        return f"{kind} from {value['minimum']} to {value['maximum']}"
    if "exclusiveMinimum" in value:
        return f"{kind} above {value['exclusiveMinimum']}"
    return f"{kind}, {value['minimum']} or more" if "minimum" in value else kind


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
