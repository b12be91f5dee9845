"""Fields of picture names that are keys in which LoRAs differ: rank, resolution, captions."""

from __future__ import annotations

from pathlib import Path

import pytest

from lora_checks.core.errors import ConfigError
from lora_checks.images.provided.groups import group_of, groups
from lora_checks.images.provided.picture_names import read_names

IDS = ("00", "01")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for rank in ("r4", "r16"):
        for prompt in IDS:
            (tmp_path / f"person_{rank}_000100_{prompt}_20241101.png").touch()
    return tmp_path


def test_another_field_divides_the_pictures_of_a_folder(folder: Path) -> None:
    names = read_names("{lora}_{rank}_{step}_{prompt}_{timestamp}.png", folder, IDS)
    found = groups(folder, names)
    assert [(group.lora, group.step, group.keys) for group in found] == [
        ("person", "000100", (("rank", "r4"),)), ("person", "000100", (("rank", "r16"),))
    ]  # fmt: skip
    assert [group.named(folder) for group in found] == ["person-r4-000100", "person-r16-000100"]
    runs = [group.facts(folder, several=True)["pictures of"] for group in found]
    assert runs == [f"{folder.name}/person-r4", f"{folder.name}/person-r16"]


def test_a_key_alone_is_a_lora(folder: Path) -> None:
    names = read_names("person_{rank}_{timestamp}_{prompt}_*.png", folder, IDS)
    assert {group.named(folder) for group in groups(folder, names)} == {"r4", "r16"}


def test_a_slip_of_the_pen_is_no_key(tmp_path: Path) -> None:
    for spec in ("{prompt}_{sed}.png", "{prompt}_{lorra}.png", "{prompt}_{Rank}.png", "{prompt}_{stap}.png"):
        with pytest.raises(ConfigError, match=r"has an unknown field .* such as \{rank\}"):
            read_names(spec, tmp_path, IDS)
    with pytest.raises(ConfigError, match=r"has \{rank\} twice"):
        read_names("{rank}_{prompt}_{rank}.png", tmp_path, IDS)


def test_a_column_of_a_list_is_a_key_where_it_says_something_of_the_lora(tmp_path: Path) -> None:
    (tmp_path / "list.csv").write_text(
        "file,prompt,lora,step,caption,trainer,clip_score\n"
        "a.png,00,one,100,keyword,kohya,0.31\n"
        "b.png,01,one,100,keyword,kohya,0.29\n"
        "c.png,00,two,100,gpt4o,kohya,0.33\n"
        "d.png,01,two,100,gpt4o,kohya,0.35\n"
    )
    names = read_names("list.csv", tmp_path, IDS)
    keys = {name: group.keys for name in "abcd" if (group := group_of(tmp_path / f"{name}.png", names))}
    assert keys == {
        "a": (("caption", "keyword"),), "b": (("caption", "keyword"),),
        "c": (("caption", "gpt4o"),), "d": (("caption", "gpt4o"),),
    }  # fmt: skip
