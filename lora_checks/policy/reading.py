"""Read a policy directory: ``thresholds.yaml`` and ``prompts.yaml``.

Every message starts with ``file:line: key``. What needs a network to be checked (metric names, token limits)
is checked later; `Threshold.source` keeps the file and line for those messages.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from lora_checks.core import shards
from lora_checks.core.errors import ConfigError
from lora_checks.core.quantity import BASELINE
from lora_checks.core.records import Policy, Prompt, PromptSet, Threshold
from lora_checks.policy import dictionary
from lora_checks.policy.arms import CLASS_ONLY, NO_TRIGGER, UNRELATED, WITHOUT_TRIGGER
from lora_checks.policy.axes import axes_of
from lora_checks.policy.labels import labels_of
from lora_checks.policy.prompt_syntax import EVERYWHERE, check_literal
from lora_checks.policy.prompts_keys import PROMPT, PROMPTS
from lora_checks.policy.questions import questions
from lora_checks.policy.ranking import weights
from lora_checks.policy.regression import allowances
from lora_checks.policy.rows import check_name, check_prompts, checks
from lora_checks.policy.sampling import base_of, base_sampler_of, path_of, sampler_of
from lora_checks.policy.strict_yaml import Value, load
from lora_checks.policy.thresholds_keys import THRESHOLDS

MAX_SEED = 2**63 - 1
_LOCAL_KEYS = ("root", "path", "file", "trunk_file")  # settings of a network that may name a local file


def load_policy(
    directory: Path,
    *,
    thresholds: Path | None = None,
    prompts: Path | None = None,
    references: Path | None = None,
    base: str | None = None,
    seeds: int | None = None,
    generates: bool = True,
) -> Policy:
    """Read a policy directory.

    Args:
        directory: The folder with ``thresholds.yaml`` and ``prompts.yaml``.
        thresholds, prompts: Files in place of the directory's.
        references: Folder or files in place of the policy's references; see `images.sets.image_set`.
        base, seeds: Base model and number of seeds in place of the policy's.
        generates: False if the images are made elsewhere; then a dictionary may stand for prompts.yaml.

    Raises:
        ConfigError: A file is missing or wrong; the message names the line and key.
    """
    path = _policy_file(directory, "thresholds.yaml", thresholds, "--lora-thresholds")
    top = load(path).table(THRESHOLDS)
    folders = _folders(top.get("folders"), path.parent, references)
    asked_of_images = questions(top.get("questions"))
    rows = checks(top["checks"], folders, asked_of_images)
    asked = _policy_file(directory, "prompts.yaml", prompts, "--lora-prompts")
    prompt_set = _asked(asked, base, seeds, generates)
    for row in rows:
        check_prompts(row, prompt_set)
    return Policy(
        prompts=prompt_set,
        thresholds=rows,
        networks=_networks(top.get("networks"), path.parent),
        folders=_present(folders, {row.against for row in rows} | _bad(rows)),
        directory=directory.absolute(),
        unused_tensors=_unused(top["unused_tensors"]) if "unused_tensors" in top else {},
        regression=allowances(top["regression"], rows) if "regression" in top else (),
        ranking=weights(top["ranking"], rows) if "ranking" in top else (),
        questions=asked_of_images,
        labels=labels_of(top["labels"], path.parent, folders) if "labels" in top else {},
        axes=axes_of(top["axes"]) if "axes" in top else {},
    )


def _policy_file(directory: Path, name: str, override: Path | None, option: str) -> Path:
    if override is not None:
        if not override.is_file():
            raise ConfigError(f"{option}: {override} is not a file")
        return override
    if not directory.is_dir():
        raise ConfigError(f"--lora-policy: {directory} is not a directory")
    path = directory / name
    if not path.is_file():
        raise ConfigError(
            f"--lora-policy: {directory} has no {name}; `lora-checks init` writes a first policy, "
            f"and {option} FILE names a file elsewhere"
        )
    return path


# --- thresholds.yaml ---------------------------------------------------------------------------------


def _folders(value: Value | None, parent: Path, references: Path | None) -> dict[str, tuple[Path, str]]:
    """Return the path of each folder, and where the policy or an option names it."""
    folders: dict[str, tuple[Path, str]] = {}
    for name, entry in (value.mapping() if value else {}).items():
        check_name(entry, name)
        if name == BASELINE:
            raise entry.error("is the name of the images without the LoRA; call the folder something else")
        where = f"{entry.where}: {entry.key}"
        folders[name] = (path_of(entry.text(), parent, where), where)
    if references is not None:
        folders["references"] = (path_of(str(references), Path(), "--lora-references"), "--lora-references")
    return folders


def _present(folders: Mapping[str, tuple[Path, str]], used: set[str]) -> dict[str, Path]:
    """Return existing folders as absolute paths; only a folder that no row uses may be missing."""
    present: dict[str, Path] = {}
    for name, (path, where) in folders.items():
        if path.is_dir() or (path.is_file() and path.suffix == ".npz") or shards.holds_pictures(path):
            present[name] = path.absolute()
        elif name in used:
            raise ConfigError(f"{where}: {_missing_folder(name, path)}")
    return present


def _bad(rows: Sequence[Threshold]) -> set[str]:
    """Return the name of the folder of bad pictures, if a row's question is tried on it."""
    return {"bad"} if any(row.question and "bad" in row.question.controls for row in rows) else set()


def _missing_folder(name: str, path: Path) -> str:
    problem = "is not a folder of pictures" if path.exists() else "does not exist"
    option = " or name another with --lora-references FOLDER" if name == "references" else ""
    return f"{path} {problem}; put the pictures to compare with there{option}"


def _networks(value: Value | None, parent: Path) -> dict[str, dict[str, Any]]:
    networks: dict[str, dict[str, Any]] = {}
    for slot, entry in (value.mapping() if value else {}).items():
        check_name(entry, slot)
        networks[slot] = {
            name: _local(name, setting.plain(), parent) for name, setting in entry.mapping().items()
        }
    return networks


def _local(name: str, setting: Any, parent: Path) -> Any:
    if name in _LOCAL_KEYS and isinstance(setting, str) and setting.startswith(("./", "../")):
        return str((parent / setting).resolve())
    return setting


def _unused(value: Value) -> dict[str, str]:
    """Return the patterns of tensor names that may stay unused, each with the reason."""
    reasons: dict[str, str] = {}
    for pattern, entry in value.mapping().items():
        if not pattern.strip("*?"):
            raise entry.error(
                "would allow every tensor to be left out; name the part that may be, as 'lora_te_*'"
            )
        reasons[pattern] = " ".join(entry.text().split())
    return reasons


# --- prompts.yaml ------------------------------------------------------------------------------------


def _asked(path: Path, base: str | None, seeds: int | None, generates: bool) -> PromptSet:
    """Read prompts.yaml, or a dictionary of prompts if nothing is generated."""
    if path.suffix.lower() not in dictionary.ENDINGS:
        return _prompt_set(path, base, seeds)
    if generates:
        raise ConfigError(
            f"--lora-prompts: {path} holds texts only, and images are generated from a prompts.yaml, with "
            "base, sampler and seeds; a dictionary of prompts is for --lora-images"
        )
    if seeds is not None:
        raise ConfigError(f"--lora-seeds: the seeds of {path} are those of the pictures; leave it out")
    return dictionary.read(path)


def _prompt_set(path: Path, base: str | None, seeds: int | None) -> PromptSet:
    top = load(path).table(PROMPTS)
    literal = _literal(top)
    for key in ("trigger", "class_words"):
        check_literal(top[key], literal, EVERYWHERE)
    trigger = " ".join(top["trigger"].text().split())
    listed = _seeds(top["seeds"])
    sampler, places = sampler_of(top["sampler"], literal=literal)
    base_sampler, of_base = base_sampler_of(top["sampler"], sampler, literal=literal)
    return PromptSet(
        base=base_of(top["base"], path.parent, base),
        sampler=sampler,
        prompts=_prompts(top["prompts"], trigger, literal=literal),
        seeds=listed if seeds is None else extended(listed, seeds),
        trigger=trigger,
        class_words=top["class_words"].text(),
        source=str(path),
        places={**places, **of_base},
        base_sampler=base_sampler,
    )


def _seeds(value: Value) -> tuple[int, ...]:
    seeds: list[int] = []
    for entry in value.items():
        seed = entry.integer(0, MAX_SEED)
        if seed in seeds:
            raise entry.error(f"seed {seed} is listed twice; it would give the same images again")
        seeds.append(seed)
    if not seeds:
        raise value.error("must list at least one seed")
    return tuple(seeds)


def extended(listed: Sequence[int], count: int) -> tuple[int, ...]:
    """Return ``count`` seeds: the listed ones, then the integers after the largest of them."""
    if count < 1:
        raise ConfigError(f"--lora-seeds: must be at least 1, not {count}")
    seeds, following = list(listed[:count]), max(listed)
    while len(seeds) < count:
        following = (following + 1) % (MAX_SEED + 1)
        if following not in listed:
            seeds.append(following)
    return tuple(seeds)


def _literal(fields: Mapping[str, Value]) -> bool:
    """Return whether the text is meant literally although it looks like another program's syntax."""
    return "literal" in fields and fields["literal"].flag()


def _prompts(value: Value, trigger: str, *, literal: bool) -> tuple[Prompt, ...]:
    prompts = tuple(_prompt(entry, trigger, literal=literal) for entry in value.items())
    if not prompts:
        raise value.error("must list at least one prompt")
    ids: dict[str, str] = {}
    texts: dict[str, str] = {}
    for entry, prompt in zip(value.items(), prompts, strict=True):
        if prompt.id.casefold() in ids:
            raise entry.error(f"id '{prompt.id}' is already at {ids[prompt.id.casefold()]}")
        if prompt.text in texts:
            raise entry.error(
                f"the same text as '{texts[prompt.text]}'; for more images of one prompt list more seeds"
            )
        ids[prompt.id.casefold()], texts[prompt.text] = prompt.source, prompt.id
    return prompts


def _prompt(value: Value, trigger: str, *, literal: bool) -> Prompt:
    fields = value.table(PROMPT)
    check_literal(fields["text"], literal or _literal(fields), "add 'literal: true' to the prompt")
    name, text = fields["id"].text(), " ".join(fields["text"].text().split())
    check_name(fields["id"], name)
    tags = tuple(tag.text() for tag in fields["tags"].items()) if "tags" in fields else ()
    if not set(tags) & set(WITHOUT_TRIGGER) and not re.search(rf"(?<!\w){re.escape(trigger)}(?!\w)", text):
        raise fields["text"].error(
            f"'{text}' lacks the trigger '{trigger}', so it would measure the base; "
            f"add it, or tag the prompt '{NO_TRIGGER}', '{CLASS_ONLY}' or '{UNRELATED}'"
        )
    return Prompt(name, text, tags, source=value.where)
