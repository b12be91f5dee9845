"""Every kind of LoRA file on every family of base, really inspected, loaded and applied.

With an applied file each layer must act as its family's weights do with the file merged into them by the
independent reference of tests/merging.py, and some kinds must paint what these paint; a refused one must say
by which part.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import kind_table
import kinds
import layouts
import merging
import numpy as np
import pytest
from acting import acts, adapted, differing
from bench import EFFECT, PROMPT, TOLERANCE, Bench, check_images, check_layers
from families import FAMILIES, load, paint
from safetensors.torch import load_file, save_file

from lora_checks.core.errors import GenerationError, LoraFileError
from lora_checks.diffusion import apply
from lora_checks.lora.file import inspect

FolderOf = Callable[[str], Path]
# "The following rank_pattern keys did not match": not every model has every layer of the pattern.
pytestmark = pytest.mark.filterwarnings("ignore:The following .*_pattern keys:RuntimeWarning")
# Kinds that are painted with too; of the others each layer is compared, which no picture sees more of.
PAINTED = ("diffusers (PEFT)", "kohya LoRA, all layers", "LyCORIS DoRA, columns")


BenchOf = Callable[[str], Bench]


def by_family(cells: Sequence[tuple[str, str]]) -> Any:
    return pytest.mark.parametrize(
        ("kind", "family"), sorted(cells, key=lambda cell: FAMILIES.index(cell[1]))
    )


@pytest.fixture(scope="module")
def bench(family_folder: FolderOf) -> BenchOf:
    benches: dict[str, Bench] = {}

    def of(family: str) -> Bench:
        if family not in benches:
            benches.clear()  # the tests come family by family
            benches[family] = Bench(family_folder(family))
        return benches[family]

    return of


def outcome(bench: Bench, kind: str, path: Path) -> str:
    """`applied`, or `refused: ` and the sentence."""
    try:
        with bench.pipeline() as pipe:
            check_layers(bench, pipe, path)
            if kind in PAINTED:
                check_images(bench, pipe, path)
    except (LoraFileError, GenerationError) as error:
        return f"refused: {error}"
    return "applied"


def test_the_comparison_sees_a_strength_of_one_per_cent_less(bench: BenchOf, tmp_path: Path) -> None:
    for family in FAMILIES:
        path = bench(family).build("kohya LoRA", tmp_path / f"{family}.safetensors")
        images = [bench(family).picture(path, strength) for strength in (1.0, 0.99)]
        assert np.abs(images[0] - images[1]).max() > 3 * TOLERANCE


def test_the_comparison_sees_every_single_layer(bench: BenchOf, tmp_path: Path) -> None:
    """Of all layers of FLUX; with one left out the picture is another."""
    path = bench("FLUX").build("kohya LoRA, all layers", tmp_path / "lora.safetensors")
    whole = bench("FLUX").picture(path)
    tensors = load_file(path)
    names = list(dict.fromkeys(merging.split(key)[0] for key in tensors))
    assert len(names) > 40
    for name in names:
        rest = {key: value for key, value in tensors.items() if merging.split(key)[0] != name}
        save_file(rest, path)
        assert np.abs(bench("FLUX").picture(path) - whole).max() > 3 * TOLERANCE, name


@pytest.mark.parametrize("family", ["SDXL", "FLUX"])
def test_the_comparison_of_layers_sees_every_weight_and_bias(bench: BenchOf, family: str) -> None:
    """With one number of each weight a hundredth more, then of each bias."""
    of = bench(family)
    for kind in ("weight", "bias"):
        changed = []
        for component, part in layouts.parts(of.plain).items():
            for name, value in part.named_parameters():
                if name.endswith(f".{kind}"):
                    changed.append(f"{component}.{name}".replace("Conv2d_0", "conv"))
                    value.data.view(-1)[-1] += 1e-2 * float(value.detach().abs().max())
        seen = differing(acts(of.plain, of.plain), of.acts)
        of.restore()
        assert len(changed) > 30
        assert [name for name in changed if not seen & {name, name.rpartition(".")[0]}] == []


def test_the_table_has_every_kind() -> None:
    assert list(kind_table.EXPECTED) == list(kinds.KINDS)


@by_family(kind_table.CELLS)
def test_a_cell_of_the_table(bench: BenchOf, tmp_path: Path, kind: str, family: str) -> None:
    of = bench(family)
    found = outcome(of, kind, of.build(kind, tmp_path / "lora.safetensors"))
    word, _, reason = kind_table.expected(kind, family).partition(": ")
    assert found.split(":")[0] == word, found
    assert reason in found
    assert "\n" not in found


# Kinds that diffusers' own loader (0.42) applies in full: a second witness beside the reference.
# Without an error it leaves the base as it is for LoKr, LoHa and full differences of FLUX and SD3, for
# SD3's kohya names, for `diffusion_model.` and BFL's names; it loses per-layer alphas ("resized"), the
# DoRA magnitudes of LyCORIS and OneTrainer, and with transformers 5 those of PEFT's text encoders.
# kohya's FLUX names it knows at the real width only.
WITNESSED = {
    "diffusers (PEFT)": FAMILIES,
    "diffusers, ranks and alphas by layer": ("SD 1.x", "FLUX"),
    "diffusers, rsLoRA": ("SDXL", "SD3"),
    "diffusers, `.lora.down`": ("SDXL",),
    "diffusers, attention processors": ("SD 1.x",),
    "kohya LoRA": ("SD 1.x", "SD 2.x", "SDXL"),
    "LyCORIS LoCon": ("SD 1.x", "SDXL"),
    "ai-toolkit LoRA": ("SD3", "FLUX"),
    "XLabs": ("FLUX",),
}


@by_family([(kind, family) for kind, families in WITNESSED.items() for family in families])
def test_plain_kinds_are_applied_as_diffusers_applies_them(
    bench: BenchOf, family_folder: FolderOf, tmp_path: Path, kind: str, family: str
) -> None:
    of = bench(family)
    path = of.build(kind, tmp_path / "lora.safetensors")
    witness = load(family_folder(family))
    witness.load_lora_weights(tmp_path, weight_name=path.name, local_files_only=True)
    with of.pipeline() as pipe:
        apply.load(pipe, inspect(path, "lora"), "lora")
        apply.activate(pipe, {"lora": 1.0})
        image = paint(pipe, PROMPT)
        apply.remove(pipe, "lora")
    assert np.abs(image - of.base).max() > EFFECT
    assert np.abs(paint(witness, PROMPT) - image).max() <= TOLERANCE


STRANGERS = [
    (kind, trained, base)
    for kind in ("diffusers (PEFT)", "kohya LoRA", "LyCORIS LoKr")
    for trained in FAMILIES
    for base in FAMILIES
    if trained != base and not (trained.startswith("FLUX") and base.startswith("FLUX"))
]


@pytest.fixture(scope="module")
def file_of(family_folder: FolderOf, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str, str], Path]:
    folder = tmp_path_factory.mktemp("files")

    @functools.cache
    def made(kind: str, family: str) -> Path:
        place = folder / f"{kind} {family}".replace(" ", "-")
        place.mkdir()
        return kinds.build(kind, load(family_folder(family)), place / "lora.safetensors")

    return made


@pytest.mark.parametrize(("kind", "trained", "base"), sorted(STRANGERS, key=lambda cell: cell[2]))
def test_a_file_of_another_family_is_refused_in_one_sentence(
    bench: BenchOf, file_of: Callable[[str, str], Path], kind: str, trained: str, base: str
) -> None:
    """Before anything of the base is touched."""
    of, path = bench(base), file_of(kind, trained)
    with pytest.raises(GenerationError) as error:
        apply.load(of.plain, inspect(path, "lora"), "lora")
    assert "\n" not in str(error.value)
    assert len(str(error.value)) < 250
    assert "lora.safetensors" in str(error.value)
    assert adapted(of.plain) == []


@pytest.mark.parametrize(
    ("kind", "trained", "base", "fits"),
    [
        ("kohya LoRA", "FLUX", "FLUX schnell", True),
        ("kohya LoRA", "FLUX schnell", "FLUX", True),
        ("kohya LoRA, all layers", "FLUX schnell", "FLUX", True),
        ("kohya LoRA, all layers", "FLUX", "FLUX schnell", False),  # schnell has no layers for the guidance
    ],
)
def test_a_file_of_flux_dev_fits_schnell_but_for_the_guidance(
    family_folder: FolderOf, tmp_path: Path, kind: str, trained: str, base: str, fits: bool
) -> None:
    path = kinds.build(kind, load(family_folder(trained)), tmp_path / "lora.safetensors")
    pipe = load(family_folder(base))
    if fits:
        apply.load(pipe, inspect(path, "lora"), "lora")
    else:
        with pytest.raises(GenerationError, match="guidance"):
            apply.load(pipe, inspect(path, "lora"), "lora")
