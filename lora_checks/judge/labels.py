"""Label images by the tags of their prompts, and real pictures by the policy's list."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np

from lora_checks.core.errors import ConfigError
from lora_checks.core.records import ImageFile, ImageSet, Policy, Prompt, Threshold
from lora_checks.core.records.labels import Labelled
from lora_checks.core.words import count
from lora_checks.metrics.classification import FOLDS, probe
from lora_checks.metrics.labelled import Labels
from lora_checks.policy import arms

Listed = Mapping[str, Labelled]  # by the picture's name


def of_images(images: Sequence[ImageFile], listed: Listed) -> Labels:
    """Return the label of each image's prompt, with the prompt as its group. Raises `ConfigError`."""
    known = {line.label for line in listed.values()}
    prompts = [_prompt(image) for image in images]
    return Labels(np.array([label_of(p, known) for p in prompts]), np.array([p.id for p in prompts]))


def of_pictures(pictures: Sequence[ImageFile], listed: Listed) -> Labels:
    """Return the label and group of each real picture."""
    lines = [listed[picture.name] for picture in pictures]
    return Labels(np.array([line.label for line in lines]), np.array([line.group for line in lines]))


def label_of(prompt: Prompt, known: set[str]) -> str:
    """Return the tag of a prompt that is a label. Raises `ConfigError` if it has none, or two."""
    labels = [tag for tag in prompt.tags if tag in known]
    if len(labels) == 1:
        return labels[0]
    problem = f"is tagged with two labels ({' and '.join(labels)})" if labels else "is tagged with no label"
    raise ConfigError(
        f"{prompt.source}: prompt '{prompt.id}' {problem}; tag it with one of {', '.join(sorted(known))}, or "
        "measure other prompts with 'tagged'"
    )


def listed(policy: Policy, folder: str) -> dict[str, Labelled]:
    """Return the labels of a folder's pictures, by name. Raises `ConfigError` if the policy has none."""
    if folder not in policy.labels:
        raise ConfigError(
            f"the labels of the pictures in '{folder}' are unknown; name their list in thresholds.yaml: "
            f"'labels: {{{folder}: FILE.csv}}', with the columns file, label and group"
        )
    return {line.file: line for line in policy.labels[folder]}


def refuse(row: Threshold, policy: Policy, pictures: ImageSet) -> None:
    """Raise for a row of labelled pictures that cannot be measured with the policy's labels and prompts.

    Raises:
        ConfigError: The folder has no labels, or a line no picture, or a picture no line; a label has no
            prompt, or too few pictures.
        PrerequisiteError: scikit-learn is not installed.
    """
    by_name = listed(policy, row.against)
    _match(by_name, pictures)
    lines = list(by_name.values())
    known = {line.label for line in lines}
    prompts = [p for p in policy.prompts.prompts if (row.on in p.tags if row.on else not arms.arm(p))]
    made = Counter(label_of(prompt, known) for prompt in prompts)
    groups = Counter(label for label, _ in {(line.label, line.group) for line in lines})
    for line in lines:
        if not made[line.label]:
            raise ConfigError(
                f"{line.source}: no prompt is tagged '{line.label}', so no image has this label"
            )
        if groups[line.label] < FOLDS:
            raise ConfigError(
                f"{line.source}: the label '{line.label}' has pictures of "
                f"{count(groups[line.label], 'group')}, and {row.metric} needs {FOLDS}"
            )
    probe()


def _match(listed: Listed, pictures: ImageSet) -> None:
    """Raise `ConfigError` for a line without a picture, and for a picture without a line."""
    there = {picture.name for picture in pictures.images}
    absent = [line for line in listed.values() if line.file not in there]
    if absent:
        more = f", nor are {len(absent) - 1} others" if len(absent) > 1 else ""
        raise ConfigError(f"{absent[0].source}: {absent[0].file} is not in the folder {pictures.name}{more}")
    unlabelled = sorted(there - listed.keys())
    if unlabelled:
        names = ", ".join(unlabelled[:3]) + (", ..." if len(unlabelled) > 3 else "")
        where = next(iter(listed.values())).source.rpartition(":")[0]
        raise ConfigError(
            f"{where}: has no line for {len(unlabelled)} of {len(there)} pictures in {pictures.name} "
            f"({names}); label them, or move them away"
        )


def _prompt(image: ImageFile) -> Prompt:
    if image.prompt is None:
        raise ConfigError(f"the label of {image.name} is unknown: it has no prompt")
    return image.prompt
