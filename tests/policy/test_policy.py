"""A policy directory becomes records, or one sentence with file, line and key."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from lora_checks.core.errors import ConfigError
from lora_checks.core.records import Base, Calibration
from lora_checks.policy.reading import MAX_SEED, extended, load_policy

THRESHOLDS = """\
folders: {references: references, train: train}
networks:
  clip: {model: ViT-B-32-quickgelu, pretrained: openai}
  trunk: {file: ./trunk.safetensors, name: file}
checks:
  identity:
    metric: arcface
    pairing: nearest
    against: references
    rule: bound
    min: 0.5
    max: 0.95
    max_missing: 0.1
    bands: {great: 0.8, good: 0.6}
    why: |
      because of
      reasons
  adherence: {metric: clip_score, min: 0.25, required: false, why: words}
"""
PROMPTS = """\
base: {model: owner/model, revision: main}
sampler: {steps: 50, guidance: 7.5, width: 512, height: 768, negative: ""}
trigger: sks person
class_words: person
seeds: [1, 2]
prompts:
  - id: blue-shirt
    text: photo of sks person in a blue shirt
    tags: [shirt=blue]
  - id: empty-room
    text: photo of an empty room
    tags: [no-trigger]
"""

Write = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Writes a policy with one replacement in it and returns its directory."""

    def policy(old: str = "", new: str = "") -> Path:
        assert old in THRESHOLDS + PROMPTS
        (tmp_path / "references").mkdir(exist_ok=True)
        (tmp_path / "thresholds.yaml").write_text(THRESHOLDS.replace(old, new) if old else THRESHOLDS)
        (tmp_path / "prompts.yaml").write_text(PROMPTS.replace(old, new) if old else PROMPTS)
        return tmp_path

    return policy


def test_a_policy_becomes_records(write: Write) -> None:
    directory = write()
    policy = load_policy(directory)
    identity, adherence = policy.thresholds
    assert (identity.metric, identity.stat, identity.rule) == ("arcface", "mean", "bound")
    assert (identity.min, identity.max, identity.max_missing) == (0.5, 0.95, 0.1)
    assert identity.bands == (("great", 0.8), ("good", 0.6))
    assert identity.why == "because of reasons"
    assert identity.source == f"{directory / 'thresholds.yaml'}:6"
    assert not adherence.required
    prompts = policy.prompts
    assert prompts.base == Base("owner/model", "main")
    assert (prompts.sampler.width, prompts.sampler.height, prompts.sampler.scheduler) == (512, 768, None)
    assert prompts.seeds == (1, 2)
    assert prompts.prompts[0].tags == ("shirt=blue",)
    assert prompts.prompts[1].source == f"{directory / 'prompts.yaml'}:10"
    assert policy.networks["trunk"] == {"file": str(directory / "trunk.safetensors"), "name": "file"}
    assert policy.folders == {"references": directory / "references"}  # train may be absent: no row uses it


def test_options_replace_parts(write: Write, tmp_path: Path) -> None:
    directory = write()
    other = tmp_path / "elsewhere"
    (other / "pipeline").mkdir(parents=True)
    (other / "t.yaml").write_text("checks: {only: {metric: clip_score, min: 0.2, why: words}}")
    policy = load_policy(
        directory, thresholds=other / "t.yaml", references=other, base=str(other / "pipeline"), seeds=4
    )
    assert [row.name for row in policy.thresholds] == ["only"]
    assert policy.folders == {"references": other}
    assert policy.prompts.base == Base(str(other / "pipeline"))
    assert policy.prompts.seeds == (1, 2, 3, 4)


def test_the_digest_is_of_what_the_policy_says(write: Write, tmp_path: Path) -> None:
    directory = write()
    before = load_policy(directory).digest
    moved = tmp_path / "moved"
    (moved / "references").mkdir(parents=True)
    for name in ("thresholds.yaml", "prompts.yaml"):
        (moved / name).write_text("# a comment moves every line\n" + (directory / name).read_text())
    assert load_policy(moved).digest == before
    assert load_policy(write("min: 0.5", "min: 0.51")).digest != before


def test_both_files_may_lie_elsewhere(write: Write, tmp_path: Path) -> None:
    directory = write()
    policy = load_policy(
        tmp_path / "none", thresholds=directory / "thresholds.yaml", prompts=directory / "prompts.yaml"
    )
    assert len(policy.thresholds) == 2


def test_a_local_base_lies_beside_its_policy(write: Write) -> None:
    directory = write("owner/model, revision: main", "./pipeline")
    (directory / "pipeline").mkdir()
    assert load_policy(directory).prompts.base == Base(str(directory / "pipeline"))


def test_a_base_may_be_a_file_with_the_settings_and_vae_of_others(write: Write) -> None:
    directory = write(
        "owner/model, revision: main", "./tuned.safetensors, config: owner/model@v2, vae: ./vae"
    )
    (directory / "tuned.safetensors").touch()
    (directory / "vae").mkdir()
    file = str(directory / "tuned.safetensors")
    expected = Base(file, None, "owner/model@v2", str(directory / "vae"))
    assert load_policy(directory).prompts.base == expected
    (directory / "other.safetensors").touch()
    other = load_policy(directory, base=str(directory / "other.safetensors")).prompts.base
    assert other == Base(str(directory / "other.safetensors"), None, "owner/model@v2", str(directory / "vae"))
    assert load_policy(directory, base="a/b").prompts.base == Base("a/b", None, None, str(directory / "vae"))


def test_the_sampler_may_say_more(write: Write) -> None:
    more = "scheduler: EulerDiscreteScheduler, scheduler_settings: {use_karras_sigmas: true, beta_end: 0.02}"
    said = load_policy(write('negative: ""', f"{more}, max_sequence_length: 256, true_cfg_scale: 2")).prompts
    assert said.sampler.scheduler_settings == {"use_karras_sigmas": True, "beta_end": 0.02}
    assert (said.sampler.max_sequence_length, said.sampler.true_cfg_scale) == (256, 2.0)
    place = said.place("scheduler_settings.beta_end")
    assert place.endswith("prompts.yaml:2: sampler.scheduler_settings.beta_end")
    assert load_policy(write()).digest != load_policy(write('negative: ""', more)).digest


def test_a_hub_id_may_carry_a_revision(write: Write) -> None:
    assert load_policy(write(), base="a/b@abc").prompts.base == Base("a/b", "abc")


def test_statistics_stand_for_references(write: Write, tmp_path: Path) -> None:
    (tmp_path / "stats.npz").touch()
    assert load_policy(write("references: references", "references: stats.npz")).folders == {
        "references": tmp_path / "stats.npz"
    }


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        # checks
        ("metric: arcface", "metrik: arcface", "T:7: checks.identity.metrik: unknown key; did you mean 'me"),
        ("metric: arcface", "stat: mean", "T:6: checks.identity: 'metric' is missing"),
        ("  adherence:", "  identity:", "T:18: checks.identity: the key is already in line 6"),
        ("min: 0.5", "min: .nan", "T:11: checks.identity.min: must be a finite number"),
        ("min: 0.5", "min: 0.96", "T:11: checks.identity.min: min 0.96 is above max 0.95"),
        ("min: 0.5", "min: high", "T:11: checks.identity.min: must be a number"),
        ("min: 0.25, ", "", "T:18: checks.adherence: has neither 'min' nor 'max'"),
        (", why: words", "", "T:18: checks.adherence: 'why' is missing"),
        ("why: words", 'why: " "', "T:18: checks.adherence.why: must not be empty"),
        ("rule: bound", "rule: guess", "T:10: checks.identity.rule: must be one of estimate, bound"),
        ("pairing: nearest", "pairing: best", "T:8: checks.identity.pairing: must be one of nearest, mean,"),
        ("pairing: nearest", "stat: avg", "T:8: checks.identity.stat: must be one of mean, min, max, media"),
        ("against: references", "against: referenzes", "T:9: checks.identity.against: no folder 'referenze"),
        ("against: references", "against: train", "T:1: folders.train: "),
        ("max_missing: 0.1", "max_missing: 10", "T:13: checks.identity.max_missing: must be from 0 to 1"),
        ("good: 0.6", "good: 0.9, bad: 0.1", "T:14: checks.identity.bands: must be listed from best to wor"),
        ("required: false", "required: 0", "T:18: checks.adherence.required: must be true or false"),
        ("  identity:", "  Identity:", "T:6: checks.Identity: 'Identity' cannot be a name"),
        ("references: references", "references: nowhere", "T:1: folders.references: "),
        ("  clip: {", "  clip: [", "T:"),
        ("checks:", "cheques:", "T:5: cheques: unknown key; did you mean 'checks'?"),
        ("pairing: nearest", "stat: {share_at: 1}", "T:8: checks.identity.stat.share_at: unknown key; did y"),
        ("pairing: nearest", "stat: share_at_least", "T:8: checks.identity.stat: 'share_at_least' needs the"),
        ("pairing: nearest", "stat: {share_at_least: high}", "T:8: checks.identity.stat.share_at_least: mus"),
        ("pairing: nearest", "stat: {share_at_least: 0.5, share_at_most: 1}", "T:8: checks.identity.stat: "),
        ("good: 0.6", "good: 0.8", "T:14: checks.identity.bands: must be listed from best to worst"),
        ("min: 0.25, ", "min: -0.1, stat: missing, ", "T:18: checks.adherence.min: limits a share"),
        ("min: 0.25, ", "min: 25, stat: {share_at_most: 1}, ", "T:18: checks.adherence.min: limits a share"),
        ("min: 0.25, ", "max: 2, stat: missing, ", "T:18: checks.adherence.max: limits a share of images, s"),
        ("pairing: nearest", "stat: worst_prompt", "T:10: checks.identity.rule: 'bound' needs an interval,"),
        ("against: references", "against: baseline", "T:8: checks.identity.pairing: against baseline each i"),
        ("min: 0.25, ", "min: 0, gain: yes, ", "T:18: checks.adherence.gain: 'yes' is a truth value to some"),
        ("min: 0.25, ", "min: 0, gain: true, stat: missing, ", "T:18: checks.adherence.gain: there is no ga"),
        ("min: 0.25, ", "min: 0, gain: true, against: baseline, ", "T:18: checks.adherence.gain: a row "),
        ("min: 0.25, ", "min: 0, tagged: no-triger, ", "T:18: checks.adherence.tagged: no prompt of "),
        ("train: train", "baseline: train", "T:1: folders.baseline: is the name of the images without the L"),
        ("min: 0.25, ", "min: 0, calibrated_on: {good: [a]}, ", "T:18: checks.adherence.calibrated_on: 'ide"),
        ("min: 0.25, ", "min: 0, calibrated_on: {identity: a, good: []}, ", "T:18: checks.adherence.calibra"),
        ("min: 0.25, ", "min: 0, calibrated_on: {identity: a, good: [a], bad: [a]}, ", "T:18: checks.adhere"),
        ("min: 0.25, ", "min: 0, calibrated_on: {identity: a, good: [a], n: 0}, ", "T:18: checks.adherence."),
        # prompts
        ("seeds: [1, 2]", "seed: [1, 2]", "P:5: seed: unknown key; did you mean 'seeds'?"),
        ("seeds: [1, 2]", "seeds: []", "P:5: seeds: must list at least one seed"),
        ("seeds: [1, 2]", "seeds: [1, 1]", "P:5: seeds[1]: seed 1 is listed twice"),
        ("seeds: [1, 2]", "seeds: [-1]", "P:5: seeds[0]: must be from 0 to"),
        ("seeds: [1, 2]", f"seeds: [{2**63}]", "P:5: seeds[0]: must be from 0 to"),
        ("seeds: [1, 2]", "seeds: [1.5]", "P:5: seeds[0]: must be a whole number"),
        ("width: 512", "width: 500", "P:2: sampler.width: must be a multiple of 8, not 500"),
        ("height: 768", "height: 0", "P:2: sampler.height: must be at least 8"),
        ("steps: 50", "steps: 0", "P:2: sampler.steps: must be at least 1"),
        ("guidance: 7.5", "guidance: -1", "P:2: sampler.guidance: must be at least 0"),
        ('negative: ""', "scheduler: DDIM Scheduler", "P:2: sampler.scheduler: must be a diffusers class n"),
        ("sks person in", "sks persona in", "P:8: prompts[0].text: 'photo of sks persona in a blue shirt'"),
        ("[no-trigger]", "[room]", "P:11: prompts[1].text: 'photo of an empty room' lacks the trigger"),
        ("id: empty-room", "id: blue-shirt", "P:10: prompts[1]: id 'blue-shirt' is already at"),
        ("id: empty-room", "id: Empty", "P:10: prompts[1].id: 'Empty' cannot be a name"),
        ("id: empty-room", f"id: {'x' * 65}", "P:10: prompts[1].id: 'xxxx"),
        ("id: empty-room", "id: ../up", "P:10: prompts[1].id: '../up' cannot be a name"),
        ("photo of an empty room", "photo of sks  person in a blue shirt", "P:10: prompts[1]: the same tex"),
        ("model: owner/model", "model: ./pipelin", "P:1: base.model: "),
        ("model: owner/model", "model: references/pipelin", "P:1: base.model: "),
        ("model: owner/model", "model: ~nobody-here/x", "P:1: base.model: "),
        ("references: references", f"references: {'x' * 300}", "T:1: folders.references: 'xxx"),
        ("model: owner/model", "model: thresholds.yaml", "P:1: base.model: "),
        ("model: owner/model", "model: ./tuned.ckpt", "P:1: base.model: "),
        ("revision: main", "config: owner/other", "P:1: base.config: is for a single .safetensors"),
        ("revision: main", "vae: ./nowhere", "P:1: base.vae: "),
        ("revision: main", "vae: 3", "P:1: base.vae: must be text"),
        ("revision: main", "vea: a/b", "P:1: base.vea: unknown key; did you mean 'vae'?"),
        ('negative: ""', "scheduler_settings: karras", "P:2: sampler.scheduler_settings: must be a mapping"),
        ('negative: ""', "max_sequence_length: 0", "P:2: sampler.max_sequence_length: must be at least 1"),
        ('negative: ""', "true_cfg_scale: 0.5", "P:2: sampler.true_cfg_scale: must be at least 1"),
        ("revision: main", "revision: 12345", "P:1: base.revision: must be text, not 12345; put it in quot"),
    ],
)  # fmt: skip
def test_faults_are_named_with_their_place(write: Write, old: str, new: str, message: str) -> None:
    directory = write(old, new)
    file, _, message = message.partition(":")
    place = directory / {"T": "thresholds.yaml", "P": "prompts.yaml"}[file]
    with pytest.raises(ConfigError, match=f"^{re.escape(f'{place}:{message}')}"):
        load_policy(directory)


def test_rows_of_shares_gains_arms_and_calibrations(write: Write) -> None:
    row = (
        "min: 0.25, stat: {share_at_least: 0.5}, gain: true, tagged: shirt=blue, "
        "calibrated_on: {identity: clip_score/1 x, good: [a, b], bad: [c], margin: 0.1, n: 32}, "
    )
    _, found = load_policy(write("min: 0.25, ", row)).thresholds
    assert (found.stat, found.at, found.gain, found.on) == ("share_at_least", 0.5, True, "shirt=blue")
    assert found.calibrated_on == Calibration("clip_score/1 x", ("a", "b"), ("c",), 0.1, 32)
    against = load_policy(write("min: 0.25, ", "min: 0.25, against: baseline, ")).thresholds[1]
    assert against.against == "baseline"


@pytest.mark.parametrize(
    "row",
    [
        "max: 30",
        "min: 0.3, max: 0.3",
        "max: 0, stat: missing",
        "min: 0, max: 1, stat: {share_at_most: 25}",
        "min: 0.2, stat: worst_prompt, rule: estimate",
        "min: 0.2, stat: {share_at_least: 0.5}, rule: bound",
        "min: 0.2, stat: missing, rule: bound",
        "min: 0.2, calibrated_on: {identity: a, good: [a], n: 1}",
    ],
)
def test_what_a_row_may_say(write: Write, row: str) -> None:
    assert load_policy(write("min: 0.25, ", f"{row}, ")).thresholds[1].name == "adherence"


@pytest.mark.parametrize("arm", ["no-trigger", "class-only", "unrelated"])
def test_prompts_of_an_arm_need_no_trigger_and_rows_need_others(write: Write, arm: str) -> None:
    directory = write("[no-trigger]", f"[{arm}]")
    assert load_policy(directory).prompts.prompts[1].tags == (arm,)
    (directory / "prompts.yaml").write_text(PROMPTS.replace("[shirt=blue]", f"[{arm}]"))
    with pytest.raises(ConfigError, match=r"checks.identity: every prompt is in an arm"):
        load_policy(directory)
    rows = THRESHOLDS.replace("    min: 0.5", f"    tagged: {arm}\n    min: 0.5")
    rows = rows.replace("min: 0.25,", f"min: 0.25, tagged: {arm},")
    (directory / "thresholds.yaml").write_text(rows)
    assert [row.on for row in load_policy(directory).thresholds] == [arm, arm]


def test_no_checks_or_only_optional_ones_would_pass_everything(write: Write) -> None:
    directory = write()
    (directory / "thresholds.yaml").write_text("checks: {}\n")
    with pytest.raises(ConfigError, match=r"thresholds.yaml:1: checks: holds no check"):
        load_policy(directory)
    (directory / "thresholds.yaml").write_text("checks: {a: {metric: m, max: 1, why: w, required: false}}\n")
    with pytest.raises(ConfigError, match=r"checks: every check has 'required: false'"):
        load_policy(directory)


def test_no_prompts_would_measure_nothing(write: Write) -> None:
    directory = write()
    (directory / "prompts.yaml").write_text(PROMPTS.partition("prompts:")[0] + "prompts: []\n")
    with pytest.raises(ConfigError, match=r"prompts.yaml:6: prompts: must list at least one prompt"):
        load_policy(directory)


@pytest.mark.parametrize("name", ["thresholds", "prompts"])
def test_a_missing_file_is_named_with_the_option_that_replaces_it(write: Write, name: str) -> None:
    directory = write()
    (directory / f"{name}.yaml").unlink()
    with pytest.raises(ConfigError, match=rf"--lora-policy: .* has no {name}\.yaml; .*--lora-{name} FILE"):
        load_policy(directory)


def test_paths_given_as_options_must_exist(write: Write, tmp_path: Path) -> None:
    directory, nowhere = write(), tmp_path / "nowhere"
    with pytest.raises(ConfigError, match=r"--lora-policy: .*nowhere is not a directory"):
        load_policy(nowhere)
    with pytest.raises(ConfigError, match=r"--lora-prompts: .*nowhere is not a file"):
        load_policy(directory, prompts=nowhere)
    with pytest.raises(ConfigError, match=r"--lora-references: .*nowhere does not exist"):
        load_policy(directory, references=nowhere)
    with pytest.raises(ConfigError, match=r"--lora-base: .*nowhere does not exist"):
        load_policy(directory, base=str(nowhere))


@pytest.mark.parametrize("key", ["model", "vae"])
def test_a_pickle_is_refused_by_name(write: Write, key: str) -> None:
    new = {"model": "model: ./old.ckpt", "vae": "model: owner/model, vae: ./old.ckpt"}[key]
    directory = write("model: owner/model", new)
    (directory / "old.ckpt").touch()
    with pytest.raises(ConfigError, match=rf"base\.{key}: .*old\.ckpt is a pickle, which can run code"):
        load_policy(directory)


def test_more_seeds_continue_the_listed_ones() -> None:
    assert extended((5, 3), 1) == (5,)
    assert extended((5, 3), 4) == (5, 3, 6, 7)
    assert extended((MAX_SEED, 0), 4) == (MAX_SEED, 0, 1, 2)
    with pytest.raises(ConfigError, match="--lora-seeds: must be at least 1"):
        extended((1,), 0)


def test_the_root_policy_loads(tmp_path: Path) -> None:
    root = Path(__file__).parents[2]
    policy = load_policy(root, references=tmp_path)
    limits = {row.metric + "." + row.stat: (row.min, row.max) for row in policy.thresholds}
    assert limits["lpips.mean"] == (None, 0.25)
    assert limits["kid.mean"] == (None, 0.05)
    assert limits["arcface.mean"] == (0.5, None)
    assert len(policy.prompts.prompts) * len(policy.prompts.seeds) >= 40
    with pytest.raises(ConfigError, match=r"references does not exist.*--lora-references FOLDER"):
        load_policy(root)


UNUSED = """\
unused_tensors:
  lora_te_*: |
    the base's text encoder
    is frozen
checks:
"""


def test_tensors_that_may_stay_unused_are_named_by_pattern_with_a_reason(write: Write) -> None:
    policy = load_policy(write("checks:\n", UNUSED))
    assert policy.unused_tensors == {"lora_te_*": "the base's text encoder is frozen"}
    assert policy.digest != load_policy(write()).digest


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ("'*': all", "would allow every tensor to be left out"),
        ("'??*': all", "would allow every tensor to be left out"),
        ("lora_te_*: ''", "unused_tensors.lora_te_*: "),
        ("lora_te_*", "unused_tensors: "),
    ],
)
def test_a_pattern_without_limits_or_reason_is_refused(write: Write, entry: str, message: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(message)):
        load_policy(write("checks:\n", f"unused_tensors:\n  {entry}\nchecks:\n"))
