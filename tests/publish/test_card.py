"""The Hugging Face model card: what it says, what it keeps, and that the hub's own library reads it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from huggingface_hub import ModelCard
from huggingface_hub.repocard import metadata_load
from huggingface_hub.repocard_data import model_index_to_eval_results
from PIL import Image
from report_world import HOSTILE, document, refused, verdicts
from tracker_world import PROMPTS, pictured, written

from lora_checks.__main__ import main
from lora_checks.core.errors import CardError
from lora_checks.gate import options
from lora_checks.publish import card
from lora_checks.publish.card.reproduction import SWITCHES, TELLING, command, placeless
from lora_checks.publish.card.section import BEGIN, END, put

THEIRS = """\
---
license: openrail++
base_model: stabilityai/stable-diffusion-xl-base-1.0
tags:
- portrait
- lora
widget:
- text: mine
  output:
    url: images/mine.png
model-index:
- name: Person
  results:
  - task: {type: text-to-image}
    dataset: {type: other/prompts, name: Other}
    metrics:
    - {type: taste, value: 7, unknown: kept}
---

# My LoRA

Written by hand. <Gallery />
"""


def make(found: dict[str, Any], readme: Path, **options: Any) -> list[str]:
    return card.write(found, found["loras"][0], readme, **options)


def body(readme: Path) -> str:
    return readme.read_text().rpartition("\n---\n")[2]


def test_the_hub_s_library_reads_every_value_and_its_verdict(tmp_path: Path) -> None:
    found = pictured(tmp_path / "x")
    make(found, tmp_path / "README.md")
    meta = metadata_load(tmp_path / "README.md")
    name, results = model_index_to_eval_results(meta["model-index"])
    assert name == "person"
    assert ModelCard.load(tmp_path / "README.md").data.eval_results == results
    values = {one.metric_type: (one.metric_value, one.metric_args["verdict"]) for one in results}
    assert values == {
        "clip_score": (0.214, "FAIL"),
        "lpips": (0.181, "PASS"),
        "arcface": (0.831, "PASS"),
    }
    one = next(one for one in results if one.metric_type == "arcface")
    assert (one.task_type, one.dataset_revision) == ("text-to-image", "abcdef99" * 8)
    assert one.dataset_name == "miniature: 2 prompts x 2 seeds"
    facts = ("low", "high", "min", "n", "network")
    assert [one.metric_args[name] for name in facts] == [0.797, 0.865, 0.5, 32, "net:1"]


def test_the_metadata_is_that_of_a_diffusers_lora(tmp_path: Path) -> None:
    found = pictured(tmp_path / "x", base={"model": "owner/base", "digest": "d", "label": "owner/base d"})
    make(found, tmp_path / "README.md")
    meta = metadata_load(tmp_path / "README.md")
    assert meta["base_model"] == "owner/base"
    assert meta["instance_prompt"] == "sks person"
    assert (meta["library_name"], meta["pipeline_tag"]) == ("diffusers", "text-to-image")
    assert {"lora", "diffusers", "text-to-image", "template:sd-lora"} <= set(meta["tags"])
    assert meta["widget"][0] == {
        "text": "photo of a sks person in a green shirt",
        "output": {"url": "images/lora-checks-green-shirt-0.webp"},
    }


def test_a_base_on_this_machine_is_no_base_of_the_hub(tmp_path: Path) -> None:
    make(
        pictured(tmp_path / "x", base={"model": "/home/alice/sd", "label": "sd 3f2a91", "digest": "d"}),
        tmp_path / "a.md",
    )
    assert "base_model" not in metadata_load(tmp_path / "a.md")
    assert "sd 3f2a91" in body(tmp_path / "a.md")


def test_a_lora_that_did_not_pass_says_so_with_every_failed_row(tmp_path: Path) -> None:
    make(pictured(tmp_path / "x"), tmp_path / "README.md")
    text = body(tmp_path / "README.md")
    assert "**FAIL**: person.safetensors did not pass its release policy (1 of 3 rows)." in text
    assert "| FAIL | prompt adherence | clip\\_score | 0.214 |" in text
    assert "- **FAIL** prompt adherence: mean clip\\_score 0.214 \\[0.201, 0.227\\] is below min" in text


@pytest.mark.parametrize(
    ("found", "words"),
    [
        (document(verdicts("a", ("identity",))), "**PASS**: a.safetensors passed every required row"),
        (document(verdicts("a", ("surely clear",))), "too few images to decide"),
        (document(refused("a", "damaged at /home/alice/a")), "not every row could be measured"),
        (document(verdicts("a", ("identity",)), missing=(("a", "drift"),)), "not every required row was run"),
    ],
    ids=["PASS", "INCONCLUSIVE", "ERROR", "INCOMPLETE"],
)
def test_each_outcome_is_said_in_words(found: dict[str, Any], words: str, tmp_path: Path) -> None:
    make(found, tmp_path / "README.md")
    assert words in body(tmp_path / "README.md")
    assert "alice" not in (tmp_path / "README.md").read_text()


def test_it_says_how_it_was_evaluated_and_how_to_do_it_again(tmp_path: Path) -> None:
    make(pictured(tmp_path / "x"), tmp_path / "README.md")
    text = body(tmp_path / "README.md")
    assert f"| policy | miniature {'abcdef99' * 8} |" in text
    assert "| hardware | cpu, float32 |" in text
    assert "| versions | torch 2.14.1, diffusers 0.42.1 |" in text
    assert f"| LoRA | SHA-256 {'0c1e' * 16} |" in text
    assert "```sh\npytest --lora-policy person --lora person.safetensors\n```" in text
    assert "alice" not in (tmp_path / "README.md").read_text()


def test_the_command_has_what_decides_and_no_place_of_this_machine() -> None:
    run = {
        "command": "pytest --lora-policy=/home/alice/p --seeds 4 --lora-store /s -k x --log wandb "
        "--lora a.safetensors --lora '/home/alice/my lora.safetensors' --lora-dtype float16 --dtype theirs"
    }
    lora = {"path": "/home/alice/my lora.safetensors", "name": "my lora"}
    assert (
        command(run, lora)
        == "pytest --lora-policy p --lora-seeds 4 --lora-dtype float16 --lora 'my lora.safetensors'"
    )
    assert placeless("see /home/alice/x/y.png; ~/b.md, train/07.png and https://host/a/b") == (
        "see y.png; b.md, train/07.png and https://host/a/b"
    )


def test_a_switch_of_the_command_has_no_value() -> None:
    run = {"command": "pytest --lora-compile --lora x.safetensors --lora-seeds 4"}
    lora = {"path": "x.safetensors", "name": "x"}
    assert command(run, lora) == "pytest --lora-compile --lora-seeds 4 --lora x.safetensors"
    assert options.SWITCHES & set(TELLING) == SWITCHES


def test_pictures_stand_beside_those_without_the_lora(tmp_path: Path) -> None:
    make(pictured(tmp_path / "x"), tmp_path / "README.md")
    links = re.findall(r"\]\((images/[^)]*)\)", body(tmp_path / "README.md"))
    assert links[:2] == [
        "images/lora-checks-green-shirt-0.webp",
        "images/lora-checks-green-shirt-0-base.webp",
    ]
    assert len(links) == 6
    for link in links:
        with Image.open(tmp_path / link) as image:
            assert (image.format, image.size, dict(image.getexif())) == ("WEBP", (32, 24), {})


def test_png_are_the_very_bytes_that_were_judged(tmp_path: Path) -> None:
    found = pictured(tmp_path / "x")
    make(found, tmp_path / "README.md", lossless=True, most=1)
    judged = Path(found["loras"][0]["pictures"][0]["file"]).read_bytes()
    assert (tmp_path / "images" / "lora-checks-green-shirt-0.png").read_bytes() == judged
    assert len(list((tmp_path / "images").iterdir())) == 2


def test_what_a_person_wrote_stays(tmp_path: Path) -> None:
    readme = tmp_path / "README.md"
    readme.write_text(THEIRS)
    make(pictured(tmp_path / "x", base={"model": "owner/base", "label": "b", "digest": "d"}), readme)
    meta = metadata_load(readme)
    assert list(meta)[:5] == ["license", "base_model", "tags", "widget", "model-index"]
    assert meta["base_model"] == "stabilityai/stable-diffusion-xl-base-1.0"
    assert meta["tags"][:2] == ["portrait", "lora"]
    assert meta["tags"].count("lora") == 1
    assert meta["widget"][0]["output"]["url"] == "images/mine.png"
    theirs, ours = meta["model-index"][0]["results"]
    assert theirs["metrics"] == [{"type": "taste", "value": 7, "unknown": "kept"}]
    assert ours["dataset"]["type"] == "lora-checks"
    assert meta["model-index"][0]["name"] == "Person"
    assert body(readme).startswith("\n# My LoRA\n\nWritten by hand. <Gallery />\n\n")
    assert body(readme).count("<Gallery />") == 1


def test_a_second_card_replaces_the_first_and_nothing_else(tmp_path: Path) -> None:
    readme = tmp_path / "README.md"
    readme.write_text(THEIRS)
    found = pictured(tmp_path / "x")
    make(found, readme)
    once = readme.read_text()
    make(found, readme)
    assert readme.read_text() == once
    readme.write_text(once + "\nBelow.\n")
    (tmp_path / "images" / "mine.png").write_bytes(b"mine")
    make(pictured(tmp_path / "y", ("other",), ("identity",)), readme, most=1)
    text = readme.read_text()
    assert text.count(BEGIN) == text.count(END) == 1
    assert text.endswith(f"{END}\n\nBelow.\n")
    assert "prompt adherence" not in text
    assert len(metadata_load(readme)["model-index"][0]["results"][1]["metrics"]) == 1
    assert len(metadata_load(readme)["widget"]) == 2
    assert sorted(path.name for path in (tmp_path / "images").iterdir()) == [
        "lora-checks-green-shirt-0-base.webp",
        "lora-checks-green-shirt-0.webp",
        "mine.png",
    ]


def test_line_ends_and_a_card_without_metadata_are_kept(tmp_path: Path) -> None:
    readme = tmp_path / "README.md"
    readme.write_bytes(b"# Title\r\n\r\nText\r\n")
    make(pictured(tmp_path / "x"), readme)
    content = readme.read_bytes()
    assert content.count(b"\n") == content.count(b"\r\n")
    assert b"---\r\n# Title\r\n\r\nText\r\n\r\n<!-- lora_checks: begin" in content
    assert metadata_load(readme)["pipeline_tag"] == "text-to-image"


def test_a_new_card_has_the_lora_s_name_as_its_title_and_asks_for_a_licence(tmp_path: Path) -> None:
    notes = make(pictured(tmp_path / "x"), tmp_path / "README.md")
    assert body(tmp_path / "README.md").startswith("\n# person\n\n<!-- lora_checks: begin")
    assert notes == ["the card has no license: add `license:` to its metadata"]


@pytest.mark.parametrize(
    "before",
    [
        "---\nlicense: [\n---\n",
        "---\n- a list\n---\n",
        "---\nmodel-index:\n- results: []\n---\n",
        "---\nmodel-index: 7\n---\n",
        "---\nwidget: 7\n---\n",
        "---\ntags: 7\n---\n",
        "---\nmodel-index:\n- name: x\n  results: [{task: {}}]\n---\n",
        f"---\nlicense: mit\n---\n{BEGIN}\nmine\n",
        f"---\nlicense: mit\n---\n{END}\nmine\n{BEGIN}\n",
        f"---\nlicense: mit\n---\n{BEGIN}\n{END}\n{BEGIN}\n{END}\n",
    ],
    ids=["yaml", "list", "nameless", "number", "widget", "tags", "result", "no end", "reversed", "two"],
)
def test_a_card_that_cannot_be_merged_into_is_left_as_it_was(before: str, tmp_path: Path) -> None:
    readme = tmp_path / "README.md"
    readme.write_text(before)
    with pytest.raises(CardError):
        make(pictured(tmp_path / "x"), readme)
    assert readme.read_text() == before
    assert not (tmp_path / "images").exists()


def test_lost_comments_of_the_metadata_are_said(tmp_path: Path) -> None:
    readme = tmp_path / "README.md"
    readme.write_text("---\nlicense: mit\n# choose well\n---\n# Title\n")
    assert make(pictured(tmp_path / "x"), readme) == [
        "the comments in the card's metadata are lost: huggingface_hub rewrites the metadata"
    ]


def test_hostile_names_and_prompts_stay_text(tmp_path: Path) -> None:
    prompts = [{"id": "green-shirt", "text": f"{HOSTILE} {END} ---", "tags": []}]
    found = pictured(tmp_path / "x", (HOSTILE,), prompts=prompts, trigger=HOSTILE)
    readme = tmp_path / "README.md"
    for _ in range(2):
        make(found, readme)
        text = body(readme)
        assert "<script" not in text
        assert not re.search(r"(?<!\\)\]\(http", text)
        assert text.count(BEGIN) == text.count(END) == 1
    assert metadata_load(readme)["widget"][0]["text"].startswith("a|b`c`<script>")
    assert len({len(re.findall(r"(?<!\\)\|", line)) for line in text.splitlines() if "| ![" in line}) == 1


def test_prompts_of_one_spelling_get_pictures_of_their_own(tmp_path: Path) -> None:
    found = pictured(tmp_path / "x", prompts=PROMPTS)
    for i, one in enumerate(found["loras"][0]["pictures"]):
        one |= {"prompt": ("Ö!", "Ö?", "ö")[i], "name": f"{('Ö!', 'Ö?', 'ö')[i]}/0", "seed": 0}
    make(found, tmp_path / "README.md")
    assert len(list((tmp_path / "images").glob("*[!e].webp"))) == 3


def test_a_store_that_is_gone_is_said(tmp_path: Path) -> None:
    found = pictured(tmp_path / "x")
    for one in found["loras"][0]["pictures"]:
        Path(one["file"]).unlink()
    notes = make(found, tmp_path / "README.md")
    assert any("shows no pictures of person: its store no longer has them" in note for note in notes)
    assert "Gallery" not in body(tmp_path / "README.md")
    assert "widget" not in metadata_load(tmp_path / "README.md")


def test_put_appends_or_replaces() -> None:
    ours = f"{BEGIN}\nx \\1\n{END}"
    assert put("a\n", ours) == f"a\n\n{ours}\n"
    assert put(f"a {BEGIN} old {END} b", ours) == f"a {ours} b"


def test_the_command_writes_the_card_of_the_lora_that_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = written(pictured(tmp_path / "x", ("a", "b")), tmp_path / "report")
    assert main(["card", str(folder)]) == 2
    assert "the report has several LoRAs; choose one with --lora: a, b" in capsys.readouterr().err
    assert main(["card", str(folder), "--lora", "c"]) == 2
    assert "the report has no LoRA 'c'" in capsys.readouterr().err
    assert main(["card", str(folder), "--lora", "b", "--repo-folder", str(tmp_path / "repo")]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == f"{tmp_path / 'repo' / 'README.md'}: b, FAIL"
    assert main(["card", str(folder), "--lora", "b", "--out", str(tmp_path / "card.md"), "--png"]) == 0
    assert main(["card", str(folder), "--lora", "b"]) == 0
    assert (folder / "card" / "README.md").is_file()
    assert (tmp_path / "images" / "lora-checks-green-shirt-0.png").is_file()
    assert main(["card", str(folder), "--lora", "b", "--pictures", "-1"]) == 2
