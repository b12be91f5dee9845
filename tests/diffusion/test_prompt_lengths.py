"""What a base would cut off a prompt is known from its tokenizers, before any weight is loaded."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import transformers
from sampled import FolderOf, copied, prompts

from lora_checks.core.errors import ConfigError
from lora_checks.diffusion.base import ResolvedBase
from lora_checks.diffusion.base.prompt_lengths import check_prompt_lengths, counter, readers

TEXTS = (
    "photo of  sks person, 50%",
    "",
    "café ‘quoted’ naïve",
    "line\n\tbreak",
    "don't <|endoftext|> 你好 😀",
    "x" * 90,
)


def check(folder: Path, *texts: str, **sampler: Any) -> tuple[str, ...]:
    return check_prompt_lengths(ResolvedBase(folder, "id", "label"), prompts(*texts, **sampler))


@pytest.mark.parametrize("family", ["SD 1.x", "SDXL", "SD3", "FLUX"])
def test_tokens_are_those_of_the_library_that_diffusers_uses(family_folder: FolderOf, family: str) -> None:
    for reader in readers(family_folder(family), None):
        count = counter(reader)
        theirs = getattr(transformers, reader.tokenizer).from_pretrained(reader.folder)
        assert [count(text) for text in TEXTS] == [len(theirs(text).input_ids) for text in TEXTS]


def test_without_tokenizer_json_they_are_the_same(family_folder: FolderOf, tmp_path: Path) -> None:
    """As SD 1.5 and SDXL lie on the hub: vocab.json and merges.txt."""
    folder = Path(shutil.copytree(family_folder("SD 1.x"), tmp_path / "base"))
    (before,) = [[counter(reader)(text) for text in TEXTS] for reader in readers(folder, None)]
    (folder / "tokenizer" / "tokenizer.json").unlink()
    (after,) = [[counter(reader)(text) for text in TEXTS] for reader in readers(folder, None)]
    assert after == before


@pytest.mark.parametrize("family", ["SD 1.x", "SD 2.x", "SDXL"])
def test_clip_reads_77_tokens(family_folder: FolderOf, family: str) -> None:
    """Every letter is a token here, and two mark beginning and end."""
    assert check(family_folder(family), "a" * 75) == ()
    with pytest.raises(ConfigError) as error:
        check(family_folder(family), "short", "a" * 76)
    assert str(error.value) == (
        "prompts.yaml:10: prompt 'p1' has 78 tokens, and this base reads only the first 77; shorten it"
    )


def test_a_negative_prompt_is_cut_alike(family_folder: FolderOf) -> None:
    with pytest.raises(ConfigError, match=r"^prompts\.yaml:2: sampler\.negative: the negative prompt has 92"):
        check(family_folder("SDXL"), negative="b" * 90)


@pytest.mark.parametrize(("family", "limit"), [("SD3", 256), ("FLUX", 512), ("FLUX schnell", 512)])
def test_where_t5_reads_the_rest_clip_s_cut_is_a_warning(
    family_folder: FolderOf, family: str, limit: int
) -> None:
    folder = family_folder(family)
    assert check(folder, "a" * (limit - 1)) == (
        f"prompts.yaml:9: prompt 'p0' has {limit + 1} tokens, and CLIP reads only the first 77; T5 reads all",
    )  # once, though SD 3 has two CLIPs
    with pytest.raises(
        ConfigError, match=rf"has {limit + 1} tokens, and this base reads only the first {limit}"
    ):
        check(folder, "a" * limit)


def test_the_policy_may_ask_t5_to_read_further(family_folder: FolderOf) -> None:
    with pytest.raises(ConfigError, match="or raise 'max_sequence_length' under sampler:"):
        check(family_folder("SD3"), "a" * 300)
    assert len(check(family_folder("SD3"), "a" * 300, max_sequence_length=320)) == 1
    with pytest.raises(ConfigError, match="reads only the first 100"):
        check(family_folder("FLUX"), "a" * 120, max_sequence_length=100)


def test_sd3_without_its_t5_has_only_clip(family_folder: FolderOf, tmp_path: Path) -> None:
    """As it is loaded on small machines: `text_encoder_3` is null in its index."""
    index = {"text_encoder_3": [None, None]}
    folder = copied(family_folder("SD3"), tmp_path / "base", model_index=index)
    with pytest.raises(ConfigError, match="reads only the first 77; shorten it"):
        check(folder, "a" * 100)


def test_a_tokenizer_without_a_limit_has_that_of_its_encoder(family_folder: FolderOf, tmp_path: Path) -> None:
    """transformers writes 1e30 where none is known."""
    folder = Path(shutil.copytree(family_folder("SD 1.x"), tmp_path / "base"))
    path = folder / "tokenizer" / "tokenizer_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"model_max_length": 1e30}))
    with pytest.raises(ConfigError, match="reads only the first 77"):
        check(folder, "a" * 100)


def test_a_tokenizer_that_is_damaged(family_folder: FolderOf, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(family_folder("SD 1.x"), tmp_path / "base"))
    (folder / "tokenizer" / "tokenizer.json").write_text("{")
    with pytest.raises(ConfigError, match="tokenizer: the tokenizer does not load: "):
        check(folder)


@pytest.mark.parametrize("family", ["SD 1.x", "FLUX"])
def test_neither_torch_nor_transformers_is_needed(family_folder: FolderOf, family: str) -> None:
    code = (
        "import sys; sys.path.insert(0, sys.argv[1]); from pathlib import Path\n"
        "from lora_checks.diffusion.base.memory import Memory\n"
        "from lora_checks.diffusion.base.pipeline import preflight\n"
        "from lora_checks.diffusion.base import ResolvedBase\n"
        "from lora_checks.core.records import *\n"
        "said = PromptSet(Base('x'), Sampler(2, 3.0, 32, 32), (Prompt('p', 'a'),), (1,), 't', 'c')\n"
        "preflight(ResolvedBase(Path(sys.argv[2]), '', ''), said, Memory())\n"
        "print(*{'torch', 'transformers', 'diffusers'} & set(sys.modules))"
    )
    root = str(Path(__file__).parents[2])
    command = [sys.executable, "-c", code, root, str(family_folder(family))]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.split() == []
