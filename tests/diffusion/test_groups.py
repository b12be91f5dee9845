"""--lora-offload group: blocks of a network take turns on the device, with the LoRAs that are on them."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import kinds
import pytest
import torch
from card import DEVICE, card, size_of
from families import load
from residency import resident, streams
from sampled import FolderOf, guidance, images, loaded, prompts, specs

from lora_checks.core.errors import NoRoomError
from lora_checks.core.records import Base, Lora, Proof
from lora_checks.diffusion.apply import slots
from lora_checks.diffusion.base import groups, resolve, room
from lora_checks.diffusion.base.memory import Memory, fetch_back, place
from lora_checks.diffusion.compiling import why_plain
from lora_checks.diffusion.decoder import Limits
from lora_checks.diffusion.generate import RESIDENT, Studio
from lora_checks.diffusion.proof.module import unhooked
from lora_checks.diffusion.sampling import sample
from lora_checks.lora.file import inspect

GROUP = Memory("group")
KINDS = ("kohya LoRA", "LyCORIS LoHa", "LyCORIS LoKr", "LyCORIS DoRA, rows", "diffusers, DoRA")


@pytest.fixture(scope="module")
def folder(family_folder: FolderOf) -> Path:
    return family_folder("FLUX")


@pytest.fixture(scope="module")
def sdxl(family_folder: FolderOf) -> Path:
    return family_folder("SDXL")


@pytest.fixture(scope="module")
def sizes(sdxl: Path) -> dict[str, int]:
    return size_of(load(sdxl))


@pytest.fixture(scope="module")
def loras(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> list[Lora]:
    """One of each kind that is computed in another way; DoRAs read the base's weight."""
    where = tmp_path_factory.mktemp("loras")
    paths = [kinds.build(kind, load(folder), where / f"{i}.safetensors") for i, kind in enumerate(KINDS)]
    return [inspect(path, path.stem) for path in paths]


def studio(folder: Path, offload: str, device: str = "cpu") -> Studio:
    return Studio(resolve(Base(str(folder))), prompts(), device, "float32", memory=Memory(offload))


# Encoders that read tokens and pictures call a layer of an inner network before that network.
@pytest.mark.parametrize("family", ["SD 1.x", "SDXL", "SD3", "FLUX", "FLUX.2 dev", "Qwen-Image", "Lumina2"])
def test_blocks_take_turns_and_make_the_same_image(family_folder: FolderOf, family: str) -> None:
    where, said = family_folder(family), prompts(guidance=guidance(family))
    (plain,) = images(loaded(where, said), said)
    with resident() as seen:
        pipe = loaded(where, said, memory=GROUP)
        networks = vars(pipe)[groups._STREAMED]
        for network in networks:
            seen.watch(network)
        (made,) = images(pipe, said)
    assert (made.pixels == plain.pixels).all()
    assert seen.missed == []
    assert seen.there == set()
    assert pipe.vae not in networks
    whole = [sum(weight.nbytes for weight in network.parameters()) for network in networks]
    assert len(networks) >= 2
    assert seen.most < sum(whole)
    assert seen.most <= 1 + max(groups.share(one) * size for one, size in zip(networks, whole, strict=True))


def pictures(one: Studio, loras: list[Lora | None]) -> list[bytes]:
    return [image.png() for lora in loras for image in one.render(specs(prompts(), 1), lora)]


def test_loras_of_all_kinds_come_and_go(folder: Path, loras: list[Lora]) -> None:
    """They are swapped, replaced and switched off; proofs and pixels are those of a base that stays."""
    assert len(loras) > RESIDENT
    order = [None, *loras, loras[0], None]
    plain, group = studio(folder, "none"), studio(folder, "group")
    with resident() as seen:
        found: list[Proof] = [group.prove(lora, ()) for lora in loras]
        assert found == [plain.prove(lora, ()) for lora in loras]
        seen.watch(group._pipe.transformer)
        before = seen.most
        assert pictures(group, order) == pictures(plain, order)
    assert seen.there == set()
    assert before < sum(weight.nbytes for weight in group._pipe.transformer.parameters())


def test_layers_of_a_lora_leave_with_their_block(folder: Path, loras: list[Lora]) -> None:
    with resident() as seen:
        one = studio(folder, "group")
        pictures(one, [loras[0]])
        mine = {
            weight
            for held in slots(one._pipe).values()
            for slot in held
            for weight in slot.tuner.parameters()
        }
        on: list[int] = []
        block = one._pipe.transformer.single_transformer_blocks[0]
        block.proj_out.register_forward_pre_hook(lambda *_: on.append(len(mine & seen.there)))
        pictures(one, [loras[0]])
    assert on
    assert 0 < max(on) < len(mine)


def test_taken_apart_and_back(folder: Path) -> None:
    said = prompts()
    pipe = loaded(folder, said, memory=GROUP)
    for _ in range(2):
        fetch_back(pipe, GROUP)
        assert not any(list(groups._of_hooks(module)) for module in pipe.transformer.modules())
        (bare,) = images(pipe, said)
        place(pipe, "cpu", GROUP)
        (made,) = images(pipe, said)
        assert (made.pixels == bare.pixels).all()


def test_a_layer_is_proven_without_hooks() -> None:
    """They would look for the weights that a proof has put in place of the layer's own."""
    network = Network(head=torch.nn.Linear(4, 4, bias=False), inner=Network(layers=blocks()))
    x = torch.ones(1, 4)
    with resident() as seen:
        groups.attach(SimpleNamespace(components={"unet": network}), "cpu")
        with unhooked(network):
            network.head(x)
        assert seen.most == 0
        network.head(x)
        assert seen.most == 64


# --- by a stream, as on CUDA


@pytest.mark.parametrize("family", ["SD 1.x", "SDXL", "FLUX", "FLUX.2 dev", "Lumina2"])
def test_the_next_block_comes_while_one_computes(family_folder: FolderOf, family: str) -> None:
    """None computes before it is there, and no third one is there."""
    where, said = family_folder(family), prompts(guidance=guidance(family))
    plain = images(loaded(where, said), said, 2)
    with streams() as seen:
        pipe = loaded(where, said, memory=GROUP)
        networks = vars(pipe)[groups._STREAMED]
        for network in networks:
            seen.watch(network)
        for _ in range(2):  # the first pass only finds the order
            made = images(pipe, said, 2)
            assert all((a.pixels == b.pixels).all() for a, b in zip(made, plain, strict=True))
    assert seen.missed == []
    assert seen.there == set()
    whole = [sum(weight.nbytes for weight in network.parameters()) for network in networks]
    assert seen.most <= 1 + max(groups.share(one) * size for one, size in zip(networks, whole, strict=True))


@pytest.mark.parametrize("watching", [resident, streams], ids=["resident", "streams"])
def test_what_a_call_that_broke_off_left_behind_goes_home(folder: Path, watching: Any) -> None:
    """A batch that does not fit is halved, and the halves begin on an empty device."""
    said, told = prompts(), list[str]()
    with watching() as seen:
        pipe = loaded(folder, said, memory=GROUP)
        block, held = pipe.transformer.single_transformer_blocks[0], list[int]()
        seen.watch(pipe.transformer)
        forward = block.proj_out.forward

        def short(states: Any, *rest: Any) -> Any:
            held.append(len(seen.there))
            if len(states) > 1:
                raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")
            return forward(states, *rest)

        block.proj_out.forward = short
        made = list(sample(pipe, specs(said, 2), Limits(), told.append))
    assert [one.batch for one in made] == [1, 1]
    assert len(set(held)) == 1
    assert seen.missed == []
    assert seen.there == set()


# --- on a card


@pytest.mark.parametrize(
    ("network", "offload"), [(1.2, "model"), (1.05, "group"), (0.5, "group")], ids=["fits", "barely", "not"]
)
def test_blocks_take_turns_by_themselves_where_no_network_fits(
    sdxl: Path, sizes: dict[str, int], network: float, offload: str
) -> None:
    said = list[str]()
    with card(1 << 40):
        expected = pictures(studio(sdxl, "none", DEVICE), [None])
    with card(network * sizes["unet"]) as there:
        base = resolve(Base(str(sdxl)))
        one = Studio(base, prompts(), DEVICE, "float32", memory=Memory("auto"), say=said.append)
        assert pictures(one, [None]) == expected
        assert one.memory.offload == offload
        assert said[-1].endswith(f"(--lora-offload {offload})")
        if offload == "group":
            assert there.most <= room.Room(base, DEVICE, "float32", GROUP)._on_device < sizes["unet"]
            assert there.held == sizes["vae"]


def test_a_card_that_holds_no_two_blocks_is_refused(sdxl: Path, sizes: dict[str, int]) -> None:
    with (
        card(sizes["unet"] / 10),
        pytest.raises(NoRoomError, match="use --lora-offload sequential, which is"),
    ):
        pictures(studio(sdxl, "group", DEVICE), [None])
    with card(0.5 * sizes["unet"]), pytest.raises(NoRoomError, match="use --lora-offload group, or"):
        pictures(studio(sdxl, "model", DEVICE), [None])


def test_a_move_that_breaks_off_leaves_no_hook(sdxl: Path, sizes: dict[str, int]) -> None:
    pipe = load(sdxl)
    with card(sizes["vae"] / 2) as there:
        with pytest.raises(torch.OutOfMemoryError):
            place(pipe, DEVICE, GROUP)
        assert there.held == 0
    assert not any(list(groups._of_hooks(module)) for module in pipe.unet.modules())


def test_compiled_blocks_are_not_exchanged(sdxl: Path, sizes: dict[str, int]) -> None:
    assert (
        why_plain([], sdxl, "group") == "--lora-offload group exchanges the weights of a block while it runs"
    )
    with card(1.05 * sizes["unet"]):
        asked = room.Room(resolve(Base(str(sdxl))), DEVICE, "float32", Memory("auto"))
        assert asked.settled(lambda _: None, compiled=True).offload == "model"
        assert asked.settled(lambda _: None).offload == "group"


# --- how a network is taken apart


class Block(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = torch.nn.Linear(4, 4, bias=False)


class Network(torch.nn.Module):
    def __init__(self, **parts: Any) -> None:
        super().__init__()
        for name, part in parts.items():
            setattr(self, name, part)


def blocks(count: int = 4) -> torch.nn.ModuleList:
    return torch.nn.ModuleList([Block() for _ in range(count)])


def test_two_blocks_and_what_is_beside_them_are_there() -> None:
    network = Network(first=torch.nn.Linear(4, 4, bias=False), blocks=blocks(), more=blocks(2))
    assert groups.roots(network) == [network]
    assert groups.share(network) == 3 / 7


def test_lists_further_down_are_found() -> None:
    """What is beside nothing has each block come by itself: diffusers' stream would not be waited for."""
    network = Network(head=torch.nn.Linear(4, 4, bias=False), inner=Network(layers=blocks()))
    assert groups.roots(network) == [network.head, *network.inner.layers]
    assert groups.share(network) == 1 / 5


def test_levels_of_a_unet_are_taken_apart(sdxl: Path) -> None:
    """One level of SDXL is a fifth of all."""
    network = load(sdxl).unet
    parts = groups.roots(network)
    assert network.mid_block.attentions[0] in parts
    assert not any(part is level for part in parts for level in (network, *network.down_blocks))
    assert groups.share(network) < 0.1


def test_a_network_with_weights_between_its_blocks_stays_whole() -> None:
    inner = Network(layers=blocks())
    assert groups.roots(Network(inner=inner, scale=torch.nn.Parameter(torch.ones(1)))) == []
    nested = Network(head=Block(), layers=torch.nn.ModuleList([blocks(), Block()]))
    assert groups.roots(nested) == []
    assert groups.share(nested) == 1
