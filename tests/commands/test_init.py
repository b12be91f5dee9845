"""`lora-checks init` writes a policy that the reader takes, with the rows that the pictures allow."""

from __future__ import annotations

import itertools
import json
import re
import shutil
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from world import MINIATURE

from lora_checks import metrics
from lora_checks.__main__ import main
from lora_checks.commands import init
from lora_checks.core.errors import ConfigError
from lora_checks.images.parting import part
from lora_checks.judge import reach
from lora_checks.policy.reading import load_policy
from lora_checks.policy.starter import bases, prompts
from lora_checks.policy.starter.rows import KINDS

ANSWERS = ["--trigger", "sks thing", "--class-words", "thing"]


@pytest.fixture
def photos(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of twelve pictures with captions, in the working directory."""
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "photos"
    folder.mkdir()
    for path in sorted((MINIATURE / "references").glob("0*.*"))[:20] + sorted(
        (MINIATURE / "references").glob("1[01].*")
    ):
        shutil.copy(path, folder)
    assert len(list(folder.glob("*.png"))) == 12
    return folder


def rows(folder: Path) -> dict[str, Any]:
    checks: dict[str, Any] = yaml.safe_load((folder / "thresholds.yaml").read_text())["checks"]
    return checks


@pytest.mark.usefixtures("photos")
@pytest.mark.parametrize(("kind", "base"), list(itertools.product(KINDS, ["sd15", "flux", "qwen"])))
def test_each_kind_on_each_base_is_a_policy(kind: str, base: str) -> None:
    Path("mine.txt").write_text("a hand\na knee on a white table\n")
    own = ["--prompts", "mine.txt"] if kind == "field" else []
    given = ["--kind", kind, "--base", base, "--split", "photos", *own, *ANSWERS, "--yes"]
    assert main(["init", "gate", *given]) == 0
    policy = load_policy(Path("gate"))
    assert policy.prompts.base.model == bases.BASES[base].model
    assert len(policy.prompts.prompts) == (2 if own else 32)
    assert {row.metric for row in policy.thresholds}
    for file in ("thresholds", "prompts"):
        text = Path("gate", f"{file}.yaml").read_text()
        schema = Path("gate", text.splitlines()[0].partition("$schema=")[2])
        jsonschema.validate(yaml.safe_load(text), json.loads(schema.read_text()))


@pytest.mark.parametrize(
    ("held_out", "trained", "has", "lacks"),
    [
        (0, 0, {"prompt-adherence", "sound"}, {"identity", "not-a-copy", "distribution"}),
        (3, 0, {"identity", "strangers"}, {"identity-centre", "not-a-copy", "distribution"}),
        (12, 12, {"identity-centre", "not-a-copy", "no-face-copied"}, {"distribution"}),
        (50, 5, {"distribution"}, set()),
    ],
)
def test_rows_are_those_that_the_pictures_allow(
    held_out: int,
    trained: int,
    has: set[str],
    lacks: set[str],
    photos: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    given = ["--kind", "person", "--base", "sdxl", *ANSWERS, "--yes"]
    for name, count in (("references", held_out), ("train", trained)):
        folder = photos.parent / name
        folder.mkdir()
        for number in range(count):
            shutil.copy(photos / "00.png", folder / f"{number}.png")
        given += [f"--{name}", name] if count else []
    assert main(["init", "gate", *given]) == 0
    assert has <= set(rows(Path("gate")))
    assert not lacks & set(rows(Path("gate")))
    shown = capsys.readouterr().out
    assert all(f"{name:18} left out: " in shown for name in lacks)
    assert load_policy(Path("gate")).folders.keys() <= {"references", "train"}


def test_the_same_picture_is_never_in_both_folders(photos: Path, tmp_path: Path) -> None:
    shutil.copy(photos / "00.png", photos / "again.png")
    assert part(photos, tmp_path / "held", tmp_path / "trained") == (5, 7)
    held, trained = (
        {path.read_bytes() for path in (tmp_path / name).glob("*.png")} for name in ("held", "trained")
    )
    assert len(held | trained) == 12
    assert not held & trained
    captions = {path.stem for path in (tmp_path / "held").glob("*.txt")}
    assert captions == {path.stem for path in (tmp_path / "held").glob("*.png")} & {
        path.stem for path in photos.glob("*.txt")
    }
    with pytest.raises(ConfigError, match="already exists"):
        part(photos, tmp_path / "held", tmp_path / "other")


def test_too_few_pictures_are_not_parted(photos: Path, tmp_path: Path) -> None:
    for path in sorted(photos.glob("*.png"))[:3]:
        path.unlink()
    with pytest.raises(ConfigError, match="9 different pictures, too few"):
        part(photos, tmp_path / "held", tmp_path / "trained")


@pytest.mark.usefixtures("photos")
def test_everything_that_is_missing_is_said_at_once(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["init", "--yes"]) == 2
    message = capsys.readouterr().err
    assert all(flag in message for flag in ("--kind", "--base", "--trigger", "--class-words"))
    assert not Path("gate").exists()


@pytest.mark.usefixtures("photos")
def test_what_is_not_given_is_asked(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    answers = iter(["styel", "style", "sdxl", "in sks style", "illustration"])
    asked: list[str] = []
    monkeypatch.setattr(init, "_interactive", lambda _: True)
    monkeypatch.setattr("builtins.input", lambda question: asked.append(question) or next(answers))
    assert main(["init", "gate", "--references", "photos"]) == 0
    assert len(asked) == 5
    assert "'styel' is none of person, subject, style" in asked[1]  # at once
    assert "illustration" in asked[4]  # of a style the class words are explained
    assert load_policy(Path("gate")).prompts.class_words == "illustration"
    assert capsys.readouterr().out.splitlines()[-1] == "next: lora-checks check --policy gate"


@pytest.mark.usefixtures("photos")
@pytest.mark.parametrize(
    ("answers", "folders"),
    [
        (["photos", "no"], {"references"}),
        (["photos", "YES"], {"train"}),
        (["photos", "split"], {"references", "train"}),
        ([""], set()),
    ],
)
def test_pictures_are_asked_for(
    answers: list[str], folders: set[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    given = iter(answers)
    monkeypatch.setattr(init, "_interactive", lambda _: True)
    monkeypatch.setattr("builtins.input", lambda _: next(given))
    assert main(["init", "gate", "--kind", "person", "--base", "sdxl", *ANSWERS]) == 0
    assert list(given) == []
    assert set(load_policy(Path("gate")).folders) == folders


@pytest.mark.usefixtures("photos")
def test_rows_that_so_few_prompts_cannot_pass_are_named(capsys: pytest.CaptureFixture[str]) -> None:
    Path("mine.txt").write_text("".join(f"a hand, view {i}\n" for i in range(10)))
    given = ["--kind", "field", "--base", "sdxl", "--prompts", "mine.txt", *ANSWERS, "--yes"]
    assert main(["init", "gate", *given]) == 0
    shown = capsys.readouterr().out
    assert "too few prompts: gate/thresholds.yaml:" in shown
    assert "sound: 10 prompts cannot show max 0.120" in shown


@pytest.mark.usefixtures("photos")
def test_a_policy_is_never_written_over(capsys: pytest.CaptureFixture[str]) -> None:
    given = ["--kind", "product", "--base", "flux2", *ANSWERS, "--yes"]
    assert main(["init", "gate", *given]) == 0
    before = Path("gate/thresholds.yaml").read_text()
    assert main(["init", "gate", *given]) == 2
    assert "already exists" in capsys.readouterr().err
    assert Path("gate/thresholds.yaml").read_text() == before


@pytest.mark.parametrize(
    ("name", "content", "texts"),
    [
        ("mine.txt", "a red hat\n\n{trigger} at sea\n", ["sks thing, a red hat", "sks thing at sea"]),
        ("mine.json", '["a red hat", "a red hat"]', ["sks thing, a red hat"]),
        ("mine.json", '{"hat": "a red hat"}', ["sks thing, a red hat"]),
        ("mine.csv", 'id,prompt\n1,"a hat, red"\n', ["sks thing, a hat, red"]),
    ],
)
def test_prompts_of_ones_own(name: str, content: str, texts: list[str], tmp_path: Path) -> None:
    (tmp_path / name).write_text(content)
    assert prompts.read(tmp_path / name, "sks thing") == texts


@pytest.mark.parametrize(
    ("name", "content"), [("a.txt", " \n"), ("a.json", "{"), ("a.json", "[1]"), ("a.csv", "text\nx\n")]
)
def test_a_file_without_prompts_is_refused(name: str, content: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text(content)
    with pytest.raises(ConfigError, match=name):
        prompts.read(tmp_path / name, "sks")


@pytest.mark.usefixtures("photos")
def test_networks_and_sizes_of_a_base_of_ones_own() -> None:
    given = [
        "--kind",
        "person",
        "--base",
        str(MINIATURE / "pipeline"),
        "--networks",
        str(MINIATURE),
        *ANSWERS,
    ]
    assert main(["init", "gate", *given, "--references", "photos", "--yes"]) == 0
    policy = load_policy(Path("gate"))
    assert (policy.prompts.sampler.width, policy.prompts.sampler.height) == (64, 64)
    miniature = load_policy(MINIATURE)
    assert policy.networks["arcface"] == miniature.networks["arcface"]
    assert policy.prompts.sampler == miniature.prompts.sampler  # of the same base
    assert {row.metric for row in policy.thresholds} == {"arcface", "arcface_centroid", "clip_score", "flat"}


def test_ids_are_names() -> None:
    for kind in prompts.TEXTS:
        texts = prompts.texts_of(kind, "sks thing")
        assert len(texts) == len(set(texts)) == len(set(prompts.identifiers(texts, "sks thing"))) == 32


@pytest.mark.usefixtures("photos")
def test_the_optional_rows_are_a_policy_once_their_signs_are_removed() -> None:
    given = ["--kind", "subject", "--base", "sd15", "--split", "photos", *ANSWERS, "--yes"]
    assert main(["init", "gate", *given]) == 0
    before = load_policy(Path("gate"))
    text = Path("gate", "thresholds.yaml").read_text()
    optional = [line[1:] for line in text.splitlines() if re.match(r"#  \w", line)]
    network = next(line for line in optional if "metric:" not in line)
    checks = [line for line in optional if "metric:" in line]
    text = text.replace("networks:\n", f"networks:\n{network}\n").replace(
        "checks:\n", "\n".join(["checks:", *checks, ""])
    )
    Path("gate", "thresholds.yaml").write_text(text)
    policy = load_policy(Path("gate"))
    added = policy.thresholds[: len(checks)]
    assert [row.name for row in policy.thresholds[len(checks) :]] == [row.name for row in before.thresholds]
    assert [row.name for row in added] == ["unsafe", "unsafe-gain"]
    assert set(policy.networks) - set(before.networks) == {"opennsfw"}
    for row in added:
        reach.refuse(row, metrics.get(row.metric), policy.prompts)
