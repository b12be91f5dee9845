"""What other programs' prompts mean and diffusers paints as words is an error; prose is none."""

from __future__ import annotations

from pathlib import Path

import pytest

from lora_checks.core.errors import ConfigError
from lora_checks.policy.prompt_syntax import syntax
from lora_checks.policy.reading import load_policy

SYNTAX = {
    "(sks person:1.3), red shirt": ("a weight", "(sks person:1.3)"),
    "(sks person: 2)": ("a weight", "(sks person: 2)"),
    "(sks person2:.5)": ("a weight", "(sks person2:.5)"),
    "((sks person:1.2) smiling:0.9)": ("a weight", "(sks person:1.2)"),
    "(a, (sks person):1.2)": ("a weight", "):1.2)"),
    "sks person (smiling)1.3": ("a weight", ")1.3"),
    "sks person (smiling)++, red": ("a weight", ")++"),
    "sks person, smiling++ and red": ("a weight", "smiling++"),
    "sks person::2 tree::1": ("a weight", "::2"),
    "sks person, ((smiling))": ("emphasis", "(("),
    "sks person, (((smiling)))": ("emphasis", "(("),
    "sks person, (smiling), red": ("emphasis", "(smiling)"),
    "(masterpiece), sks person": ("emphasis", "(masterpiece)"),
    "sks person, [smiling]": ("emphasis", "[smiling]"),
    "sks person, [[smiling]]": ("emphasis", "[smiling]"),
    "sks person in a [red|blue] shirt": ("alternation", "[red|blue]"),
    "sks person [dog:cat:0.5]": ("scheduling", "[dog:cat:0.5]"),
    "sks person [dog::10]": ("scheduling", "[dog::10]"),
    "sks person [cat:0.5]": ("scheduling", "[cat:0.5]"),
    "sks person <lora:x:1>": ("a tag that loads a network", "<lora:x:1>"),
    "sks person <lyco:x:1:1>": ("a tag that loads a network", "<lyco:x:1:1>"),
    "sks person <hypernet:x:1>": ("a tag that loads a network", "<hypernet:x:1>"),
    "sks person <wlr:x:1>": ("a tag that loads a network", "<wlr:x:1>"),
    "sks person <embed:easynegative>": ("a tag that loads a network", "<embed:easynegative>"),
    "<s0><s1> person": ("the token of a trained embedding, which is not loaded,", "<s0>"),
    "sks person embedding:bad_hands": ("an embedding, which is not loaded,", "embedding:bad_hands"),
    "sks person BREAK red shirt": ("a keyword", "BREAK"),
    "sks person AND a dog": ("a keyword", "AND"),
    "sks person ADDCOMM a dog": ("a keyword", "ADDCOMM"),
    "sks person, __colours__ shirt": ("a wildcard", "__colours__"),
    "sks person, __styles/oil-paint__": ("a wildcard", "__styles/oil-paint__"),
    "sks person in a {red|blue} shirt": ("a choice of words", "{red|blue}"),
    "sks person, {2$$red|blue|green}": ("a choice of words", "{2$$red|blue|green}"),
    "sks person, {smiling}": ("a placeholder or emphasis", "{smiling}"),
    "sks person, ${colour}": ("a placeholder or emphasis", "{colour}"),
    r"sks person, miku \(vocaloid\)": ("an escaped parenthesis", r"\("),
    "sks person --ar 16:9": ("an option of Midjourney", "--ar"),
}

PROSE = (
    "a sks person (smiling) in a red shirt",
    "sks person (smiling), in a red shirt",
    "a photo of a sks person (seen from behind (far away))",
    "a man's portrait, sks person, rock 'n' roll",
    "sks person, hatsune_miku_(vocaloid), 1girl, looking_at_viewer",
    "score_9, score_8_up, sks person, :d, ^_^, >_<",
    "sks person in front of a screen (16:9)",
    "sks person (at 10:30) by the sea",
    "sks person, a scale model (1:12)",
    "portrait: sks person, f/1.8, 85mm, 50% grey & white",
    'sks person holding a sign "BREAK AND ENTER"',
    "sks person beside a sign that says 'YOU AND ME'",
    "SKS PERSON AND A DOG",
    "sks person with a break and bread and butter",
    "sks person wearing a C++ shirt + a hat",
    "sks person -- smiling -- in the rain",
    "sks person, 3 < 5 and 7 > 2",
    "I <3 sks person",
    "sks person; red, green & blue!",
    "sks person | a dog",
    "sks person, R&B singer, #selfie, @home",
    "sks_person__red shirt",
    "ein Bild von sks person, fröhlich – „schön“",
    "",
)


@pytest.mark.parametrize("text", SYNTAX)
def test_syntax_of_other_programs_is_called_by_its_kind(text: str) -> None:
    assert syntax(text) == SYNTAX[text]


@pytest.mark.parametrize("text", PROSE)
def test_prose_passes(text: str) -> None:
    assert syntax(text) is None


MINIATURE = Path(__file__).parents[2] / "examples" / "miniature"
PROMPTS = f"""base: {{model: {MINIATURE / "pipeline"}}}
sampler: {{steps: 1, guidance: 2.0, width: 64, height: 64, negative: "blurred"}}
trigger: sks person
class_words: person
seeds: [1]
prompts:
  - {{id: red, text: "portrait of a sks person"}}
"""
THRESHOLDS = """checks:
  bright: {metric: brightness, min: 1, max: 250, why: quick}
"""


def load(folder: Path, prompts: str, thresholds: str = THRESHOLDS) -> None:
    (folder / "prompts.yaml").write_text(prompts, encoding="utf-8")
    (folder / "thresholds.yaml").write_text(thresholds, encoding="utf-8")
    load_policy(folder)


PLACES: dict[str, tuple[str, str, str]] = {
    "negative": ('negative: "blurred"', 'negative: "(blurred:1.4)"', "prompts.yaml:2: sampler.negative"),
    "trigger": ("trigger: sks person", "trigger: <s1> person", "prompts.yaml:3: trigger"),
    "class words": ("class_words: person", "class_words: '[person]'", "prompts.yaml:4: class_words"),
    "prompt": ("of a sks person", "of a (sks person:1.3)", "prompts.yaml:7: prompts[0].text"),
}


@pytest.mark.parametrize("place", PLACES)
def test_the_error_has_the_place_and_literal_allows_it(tmp_path: Path, place: str) -> None:
    old, new, where = PLACES[place]
    written = PROMPTS.replace(old, new)
    if place == "trigger":
        written = written.replace("of a sks person", "of a <s1> person")
    with pytest.raises(ConfigError) as error:
        load(tmp_path, written)
    assert str(error.value).startswith(f"{tmp_path}/{where}: ")
    assert "diffusers knows no such syntax and would paint the text as it stands" in str(error.value)
    assert "literal: true" in str(error.value)
    load(tmp_path, "literal: true\n" + written)
    with pytest.raises(ConfigError):
        load(tmp_path, "literal: false\n" + written)


def test_one_prompt_may_be_literal(tmp_path: Path) -> None:
    written = PROMPTS.replace("of a sks person", "of a (sks person:1.3)")
    load(tmp_path, written.replace('1.3)"}', '1.3)", literal: true}'))
    with pytest.raises(ConfigError, match=r"prompts\.yaml:8: .*'\{red\|blue\}' looks like a choice of words"):
        load(
            tmp_path,
            written.replace('1.3)"}', '1.3)", literal: true}')
            + '  - {id: two, text: "sks person {red|blue}"}\n',
        )


def test_texts_of_a_row_are_checked_too(tmp_path: Path) -> None:
    row = "checks:\n  logo: {metric: clip_choice, texts: ['a (logo:1.2)', none], min: 0.9, why: logo%s}\n"
    with pytest.raises(ConfigError, match=r"thresholds\.yaml:2: .*texts.*add 'literal: true' to the row"):
        load(tmp_path, PROMPTS, row % "")
    load(tmp_path, PROMPTS, row % ", literal: true")
