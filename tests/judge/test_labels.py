"""cas in a policy: labels by the tags of prompts and a list of real pictures, split by patient."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from measure_world import Table, a_set
from own_networks import onnx_file
from PIL import Image

from lora_checks import metrics
from lora_checks.core.errors import ConfigError
from lora_checks.core.records import ImageSet, Policy
from lora_checks.core.records.labels import labels_id
from lora_checks.core.store import Store
from lora_checks.images.decoding import image_file
from lora_checks.images.sets import image_set
from lora_checks.judge import labels, row_fit
from lora_checks.judge.measure import measure
from lora_checks.judge.task import task_of
from lora_checks.policy.reading import load_policy
from lora_checks.publish.release import wanted

pytest.importorskip("sklearn", reason="scikit-learn is not installed")
PROMPTS = """\
base: {model: pipeline}
sampler: {steps: 4, guidance: 2.0, width: 64, height: 64}
trigger: sks
class_words: fundus photo
seeds: [1]
prompts:
"""
ROW = "cas: {metric: cas, network: eye, against: real, min: 0.8, rule: bound, why: w"
FOLDERS = "folders: {real: real}\nnetworks: {eye: {kind: onnx, file: ./eye.onnx, size: 8}}\n"
Write = Callable[..., Policy]


def prompts(*tags: str) -> str:
    lines = [f"  - {{id: p{i}, text: 'sks {i}', tags: [{tag}]}}" for i, tag in enumerate(tags)]
    return PROMPTS + "\n".join(lines)


def listed(patients: int, each: int = 2) -> list[str]:
    """Lines of ``patients`` per label; even grey levels are healthy."""
    return [
        f"{2 * (p * each + i) + k}.png,{label},{label[0]}{p}"
        for k, label in enumerate(("healthy", "ill"))
        for p in range(patients)
        for i in range(each)
    ]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    (tmp_path / "pipeline").mkdir()
    (tmp_path / "real").mkdir()
    for line in listed(6):
        name = line.partition(",")[0]
        level = int(name.partition(".")[0])
        Image.new("RGB", (8, 8), (level, level, level)).save(tmp_path / "real" / name)

    def write(
        lines: list[str] | None = None, tags: tuple[str, ...] = ("healthy", "ill") * 4, more: str = "",
        head: str = "file,label,group", row: str = "",
    ) -> Policy:  # fmt: skip
        (tmp_path / "real.csv").write_text("\n".join([head, *(listed(6) if lines is None else lines)]) + "\n")
        (tmp_path / "prompts.yaml").write_text(prompts(*tags))
        text = FOLDERS + (more or "labels: {real: real.csv}\n") + f"checks:\n  {ROW}{row}}}\n"
        (tmp_path / "thresholds.yaml").write_text(text)
        return load_policy(tmp_path)

    return write


def refuse(policy: Policy) -> None:
    row = policy.thresholds[0]
    folder = image_set(row.against, policy.folders[row.against])
    row_fit.refuse(row, metrics.get(row.metric), lambda _: folder)
    labels.refuse(row, policy, folder)


def generated(policy: Policy, folder: Path) -> ImageSet:
    """An image of each prompt, of grey levels that no real picture has: even ones are healthy."""
    files = []
    for i, prompt in enumerate(policy.prompts.prompts):
        level = 100 + 2 * i + ("ill" in prompt.tags)
        path = folder / f"{level}.png"
        Image.new("RGB", (8, 8), (level, level, level)).save(path)
        files.append(image_file(path, f"{prompt.id}/1", prompt, 1))
    return a_set("candidate", files)


def test_a_row_is_measured_by_tags_and_list(write: Write, tmp_path: Path) -> None:
    policy = write()
    refuse(policy)
    rng = np.random.default_rng(0)
    features = {g: [*(rng.normal(0, 0.1, 4)), 3.0 * (g % 2)] for g in range(256)}
    row, real = policy.thresholds[0], image_set("real", tmp_path / "real")
    task = task_of(row, metrics.get("cas"), generated(policy, tmp_path), real, None)
    task = replace(task, labels=labels.listed(policy, "real"))
    found = measure(task, Table(features), policy.prompts, Store(tmp_path / "store"))
    assert (found.value, found.n, found.against, found.prompts) == (1, 8, "real (24)", 8)
    assert found.low is not None
    assert 0.7 < found.low < 0.8  # 0.05 ** (1 / 12) of 12 patients, or less
    assert re.fullmatch(r"cas/1 table/1 labels=[0-9a-f]{16}", found.network)
    swapped = {g: [*features[g][:4], 3.0 * ((g % 2) ^ (g >= 100))] for g in features}
    wrong = measure(task, Table(swapped), policy.prompts, Store(tmp_path / "other"))
    assert wrong.value == 0


def test_the_labels_are_part_of_the_policy_and_their_place_is_not(write: Write) -> None:
    first = write().digest
    assert write(listed(6)[::-1][::-1]).digest == first
    assert write([line.replace("i5", "i4") for line in listed(6)]).digest != first
    assert write(head="file,label", lines=[line.rpartition(",")[0] for line in listed(6)]).digest != first


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ([*listed(6), "99.png,ill,i9"], r"real.csv:26: 99.png is not in the folder real$"),
        (
            [*listed(6), "98.png,ill,i9", "99.png,ill,i9"],
            "98.png is not in the folder real, nor are 1 others",
        ),
        (listed(6)[1:], r"real.csv: has no line for 1 of 24 pictures in real \(0.png\); label them"),
        ([*listed(6), "0.png,ill,i9"], r"real.csv:26: 0.png is already at .*real.csv:2"),
        (["0.png,,h1"], "real.csv:2: has no label"),
        (["0.png,ill,"], "real.csv:2: has no group"),
        (["0.png,ill"], "real.csv:2: has another number of cells than line 1"),
        (["0.png,ill,i1", "1.png,ill,i2"], "real.csv: holds one label only; it needs two or more"),
        ([], "real.csv: holds no picture"),
        (
            [line.replace(",i1", ",i0").replace(",i2", ",i0") for line in listed(6)],
            r"real.csv:14: the label 'ill' has pictures of 4 groups, and cas needs 5",
        ),
    ],
)
def test_a_wrong_list_names_its_line(write: Write, lines: list[str], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        refuse(write(lines))


@pytest.mark.parametrize(
    ("tags", "message"),
    [
        (("healthy",) * 8, r"real.csv:14: no prompt is tagged 'ill', so no image"),
        (
            ("healthy", "ill", "portrait"),
            r"prompts.yaml:9: prompt 'p2' is tagged with no label; .* healthy, ill",
        ),
        (("healthy", "ill", "'ill', 'healthy'"), r"'p2' is tagged with two labels \(ill and healthy\)"),
    ],
)
def test_every_prompt_has_one_label_and_every_label_a_prompt(
    write: Write, tags: tuple[str, ...], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        refuse(write(tags=tags))


def test_other_prompts_are_left_out_by_a_tag(write: Write) -> None:
    tags = ("'healthy', 'eye'", "'ill', 'eye'", "portrait")
    refuse(write(tags=tags, row=", tagged: eye"))


def test_what_a_row_of_labels_cannot_be(write: Write) -> None:
    with pytest.raises(ConfigError, match=r"'real' are unknown; .*'labels: \{real: FILE.csv\}'"):
        refuse(write(more="\n"))
    with pytest.raises(
        ConfigError, match=r"labels.rael: no folder 'rael' under 'folders:'; did you mean 'real'"
    ):
        write(more="labels: {rael: real.csv}\n")
    with pytest.raises(ConfigError, match=r"gone.csv cannot be read: No such file"):
        write(more="labels: {real: gone.csv}\n")
    with pytest.raises(
        ConfigError, match=r"real.csv:1: the first line must be file,label,group or file,label"
    ):
        write(head="name,label,group")
    with pytest.raises(ConfigError, match="cas has an interval of its own, and none of a gain"):
        refuse(write(row=", gain: true"))


def test_a_release_requires_the_labels_that_the_policy_has_today(write: Write, tmp_path: Path) -> None:
    onnx_file(tmp_path / "eye.onnx")
    before = wanted._networks(write())["cas"]
    assert before.endswith(labels_id(write().labels["real"]))
    assert wanted._networks(write([line.replace("i5", "i4") for line in listed(6)]))["cas"] != before
    assert wanted._networks(write())["cas"] == before
