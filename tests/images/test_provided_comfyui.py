"""LoRAs in ComfyUI's graphs, as many extensions spell them; what is not understood is unknown."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from test_provided_images import LORA, PROMPTS, RED, draw, every, graph

from lora_checks.core.errors import MeasureError
from lora_checks.core.records import Prompt
from lora_checks.images.provided.origin import Origin, read_origin
from lora_checks.images.provided.pictures import GivenImages, read
from lora_checks.images.provided.uses import Use

Nodes = dict[str, Any]
ON, OFF, VAGUE = Use("good", 0.8, 0.8), Use("good", 0.0, 0.0), Use("good")
MODEL, CLIP = ["4", 0], ["4", 1]


def node(kind: str, **inputs: Any) -> dict[str, Any]:
    return {"class_type": kind, "inputs": inputs}


def chain(loader: dict[str, Any] | None, more: Nodes | None = None, text: str = RED.text) -> Nodes:
    """ComfyUI's default graph with this node between the checkpoint and both its users."""
    nodes = graph(text, 1, **(more or {}))
    del nodes["10"]
    if loader:
        nodes["10"] = loader
        loader["inputs"] |= {"model": MODEL, "clip": CLIP} if "ckpt_name" not in loader["inputs"] else {}
    source = "10" if loader else "4"
    nodes["3"]["inputs"]["model"] = [source, 0]
    nodes["6"]["inputs"]["clip"] = nodes["7"]["inputs"]["clip"] = [source, 1]
    return nodes


def told(tmp_path: Path, nodes: Nodes) -> Origin:
    return read_origin(draw(tmp_path / "a.png", {"prompt": json.dumps(nodes)}))


def folder(path: Path, nodes: Nodes) -> Path:
    """Write a picture for each prompt and seed, from one graph."""

    def text(prompt: Prompt, seed: int) -> dict[str, str]:
        written = json.dumps(nodes).replace(RED.text, prompt.text)
        return {"prompt": written.replace('"seed": 1', f'"seed": {seed}')}

    return every(path, "{n}.png", text)


def lora(strength: object, **more: Any) -> dict[str, Any]:
    return node(
        "LoraLoader", lora_name="good.safetensors", strength_model=strength, strength_clip=strength, **more
    )


def power(**more: Any) -> dict[str, Any]:
    entry = {"on": True, "lora": "x\\good.safetensors", "strength": 0.8} | more
    header = {"PowerLoraLoaderHeaderWidget": {"type": "PowerLoraLoaderHeaderWidget"}, "➕ Add Lora": ""}
    return node("Power Lora Loader (rgthree)", **header, lora_1=entry)


def rgthree_stack(strength: float) -> dict[str, Any]:
    others = {f"lora_0{i}": "None" for i in (2, 3, 4)} | {f"strength_0{i}": 1 for i in (2, 3, 4)}
    return node("Lora Loader Stack (rgthree)", lora_01="good.safetensors", strength_01=strength, **others)


def efficient(strength: float, **more: Any) -> dict[str, Any]:
    both = {"lora_model_strength": strength, "lora_clip_strength": strength}
    return node("Efficient Loader", ckpt_name="a", vae_name="Baked VAE", clip_skip=-1) | {
        "inputs": {"ckpt_name": "a", "lora_name": "good.safetensors", **both, "batch_size": 1, **more}
    }


def manager(strength: float, *, active: bool = True) -> dict[str, Any]:
    entry = {"name": "good", "strength": strength, "clipStrength": strength, "active": active}
    return node("Lora Loader (LoraManager)", text="<lora:other:1>", loras={"__value__": [entry]})


LOADERS = {
    "LoraLoader": (lora(0.8), ON),
    "LoraLoader at 0": (lora(0), OFF),
    "with a preview": (lora(0.8) | {"class_type": "LoraLoader|pysssss"}, ON),
    "WAS": (lora(0.8) | {"class_type": "Lora Loader"}, ON),
    "power": (power(), ON),
    "power, off": (power(on=False), OFF),
    "power, at 0": (power(strength=0), OFF),
    "power, two strengths": (power(strengthTwo=0.5), Use("good", 0.8, 0.5)),
    "rgthree's stack": (rgthree_stack(0.8), ON),
    "rgthree's stack at 0": (rgthree_stack(0.0), OFF),
    "efficient": (efficient(0.8), ON),
    "efficient at 0": (efficient(0.0), OFF),
    "Comfyroll, off": (lora(1, switch="Off") | {"class_type": "CR Load LoRA"}, OFF),
    "LoRA Manager": (manager(0.8), ON),
    "LoRA Manager at 0": (manager(0.0), OFF),
    "LoRA Manager, not active": (manager(0.8, active=False), OFF),
    "by tags": (node("LoraTagLoader", text="red <lora:good:0.8>"), ON),
    "by tags, at 0": (node("LoraTagLoader", text="red <lora:good:0>"), OFF),
    "by tags, the model first": (node("LoraTagLoader", text="<lora:good:0.8:0.5>"), Use("good", 0.8, 0.5)),
    "by tags, no strength": (node("LoraTagLoader", text="<lora:good>"), OFF),
    "block weights at 0": (lora(0, block_vector="1,0", preset="x", seed=1), OFF),
}


@pytest.mark.parametrize(("loader", "use"), LOADERS.values(), ids=LOADERS)
def test_loaders(tmp_path: Path, loader: dict[str, Any], use: Use) -> None:
    found = told(tmp_path, chain(loader))
    assert (found.loras, found.unclear) == ((use,), "")
    assert found.is_without == use.is_off


def stacker(mode: str, both: float, model: float = 1, clip: float = 1, count: int = 1) -> dict[str, Any]:
    """efficiency-nodes stores the values of both modes."""
    values = {
        "lora_name_1": "x/good.safetensors",
        "lora_wt_1": both,
        "model_str_1": model,
        "clip_str_1": clip,
    }
    return node("LoRA Stacker", input_mode=mode, lora_count=count, **values)


def comfyroll(strength: float, switch: str = "On", name: str = "good.safetensors") -> dict[str, Any]:
    values = {"switch_1": switch, "lora_name_1": name, "model_weight_1": strength, "clip_weight_1": strength}
    return node("CR LoRA Stack", **values, switch_2="Off", lora_name_2="None", model_weight_2=1)


def easy(mode: str, both: float, model: float = 1, clip: float = 1, **more: Any) -> dict[str, Any]:
    values = {"lora_1_strength": both, "lora_1_model_strength": model, "lora_1_clip_strength": clip}
    values |= {"toggle": True, "mode": mode, "num_loras": 1, "lora_1_name": "good.safetensors"}
    return node("easy loraStack", **(values | more))


STACKS = {
    "efficiency, simple": (stacker("simple", 0.8), (ON,)),
    "efficiency, simple at 0": (stacker("simple", 0), (OFF,)),
    "efficiency, advanced": (stacker("advanced", 0, 0.8, 0.5), (Use("good", 0.8, 0.5),)),
    "efficiency, advanced at 0": (stacker("advanced", 1, 0, 0), (OFF,)),
    "efficiency, beyond the count": (stacker("simple", 0.8, count=0), (OFF,)),
    "Comfyroll": (comfyroll(0.8), (ON,)),
    "Comfyroll at 0": (comfyroll(0), (OFF,)),
    "Comfyroll, off": (comfyroll(0.8, "Off"), (OFF,)),
    "Easy-Use": (easy("simple", 0.8), (ON,)),
    "Easy-Use, advanced at 0": (easy("advanced", 1, 0, 0), (OFF,)),
    "Easy-Use, off": (easy("simple", 0.8, toggle=False), (OFF,)),
    "none chosen": (comfyroll(1, name="None"), ()),
}


@pytest.mark.parametrize(("stack", "uses"), STACKS.values(), ids=STACKS)
@pytest.mark.parametrize("apply", ["CR Apply LoRA Stack", "easy loraStackApply"])
def test_stacks(tmp_path: Path, stack: dict[str, Any], uses: tuple[Use, ...], apply: str) -> None:
    found = told(tmp_path, chain(node(apply, lora_stack=["30", 0]), {"30": stack}))
    assert (found.loras, found.unclear) == (uses, "")
    into_loader = efficient(1.0, lora_stack=["30", 0])
    into_loader["inputs"]["lora_name"] = "None"
    assert told(tmp_path, chain(into_loader, {"30": stack})).loras == uses


VALUES = {
    "a primitive": ({"40": node("PrimitiveFloat", value=0.8)}, ON),
    "a primitive of 0": ({"40": node("PrimitiveFloat", value=0.0)}, OFF),
    "an integer": ({"40": node("INTConstant", value=0)}, OFF),
    "Easy-Use": ({"40": node("easy float", value=0.8)}, ON),
    "a constant": ({"40": node("Constant Number", number_type="float", number=0.0)}, OFF),
    "a reroute": ({"40": node("Reroute", **{"": ["41", 0]}), "41": node("PrimitiveFloat", value=0.0)}, OFF),
    "an expression": ({"40": node("MathExpression|pysssss", expression="a*0", a=["41", 0])}, VAGUE),
    "a sum": ({"40": node("SimpleMath+", value="0", a=1)}, VAGUE),
    "a random number": (
        {"40": node("Random Number", number_type="float", minimum=0, maximum=1, seed=1)},
        VAGUE,
    ),
    "nothing": ({}, VAGUE),
    "a loop": ({"40": node("Reroute", **{"": ["40", 0]})}, VAGUE),
    "a word": ({"40": node("PrimitiveString", value="much")}, VAGUE),
}


@pytest.mark.parametrize(("more", "use"), VALUES.values(), ids=VALUES)
def test_strengths_behind_links(tmp_path: Path, more: Nodes, use: Use) -> None:
    found = told(tmp_path, chain(lora(["40", 0]), more))
    assert (found.loras, found.unclear) == ((use,), "")


def test_a_name_behind_a_link(tmp_path: Path) -> None:
    name = node("PrimitiveString", value="good.safetensors")
    loader = node("LoraLoader", lora_name=["40", 0], strength_model=0.8, strength_clip=0.8)
    assert told(tmp_path, chain(loader, {"40": name})).loras == (ON,)
    assert told(tmp_path, chain(loader, {"40": node("Loader Cycler", n=1)})).loras == (Use("", 0.8, 0.8),)


UNKNOWN = {
    "a node of nobody": (chain(node("SuperPatch", amount=1)), "node 10 (SuperPatch)"),
    "block weights": (chain(lora(0.8, block_vector="1,0")), "node 10 (LoraLoader): its input 'block_vector'"),
    "blocks behind a link": (
        chain(node("DiTBlockLoraLoader", lora_name="good", strength_model=1, blocks=["40", 0])),
        "node 10 (DiTBlockLoraLoader): its input 'blocks'",
    ),
    "a random strength": (
        chain(
            node("CR Apply LoRA Stack", lora_stack=["30", 0]),
            {
                "30": node(
                    "CR Random Weight LoRA",
                    stride=1,
                    lora_name="good",
                    switch="On",
                    weight_min=0,
                    weight_max=1,
                    clip_weight=1,
                )
            },
        ),
        "node 30 (CR Random Weight LoRA): its input 'stride'",
    ),
    "a LoRA of a face": (
        chain(node("IPAdapterUnifiedLoaderFaceID", preset="FACEID", lora_strength=0.6, provider="CPU")),
        "node 10 (IPAdapterUnifiedLoaderFaceID): its input 'preset'",
    ),
    "wildcards": (
        chain(node("ImpactWildcardEncode", wildcard_text="<lora:good:1>")),
        "node 10 (ImpactWildcard",
    ),
    "a loader without a name": (
        chain(node("SuperLoraLoader", text="<lora:good:1>")),
        "node 10 (SuperLoraLoader)",
    ),
    "a subgraph": (chain(node("c7b0a9f2-3c1e-4e9a-8f1d-2f9f0c6f8d11")), "node 10 (c7b0a9f2"),
}


@pytest.mark.parametrize(("nodes", "why"), UNKNOWN.values(), ids=UNKNOWN)
def test_an_unknown_node_makes_the_lora_unknown_and_is_named(tmp_path: Path, nodes: Nodes, why: str) -> None:
    found = told(tmp_path, nodes)
    assert found.unclear.startswith(why)
    assert not any(use.is_known for use in found.on)
    text = GivenImages(folder(tmp_path / "all", nodes), PROMPTS).described(LORA)
    assert f"LoRA or strength of 4 of 4 pictures unknown (0.png: {why}" in text
    assert "by their metadata" not in text


def test_strength_0_beside_what_is_not_understood_is_refused(tmp_path: Path) -> None:
    nodes = chain(lora(0, opt_lora_path="other.safetensors"))
    assert (
        told(tmp_path, nodes).unclear == "node 10 (LoraLoader): its input 'opt_lora_path' is not understood"
    )
    with pytest.raises(MeasureError, match=r"4 are stale \(0.png: made with 'good' at strength 0\)"):
        read(folder(tmp_path / "all", nodes), "candidate", PROMPTS, None, LORA)


KNOWN = [
    node("ModelSamplingDiscrete", sampling="eps", zsnr=False),
    node("FreeU_V2", b1=1, b2=1, s1=1, s2=1),
    node("RescaleCFG", multiplier=0.7),
    node("CheckpointLoaderSimple", ckpt_name="a.safetensors"),
    node("SuperCheckpointLoader", ckpt_name="a.safetensors", vae_name="b"),
    lora(0.8) | {"mode": 4},
]


@pytest.mark.parametrize("patch", KNOWN, ids=lambda patch: patch["class_type"])
def test_nodes_that_leave_loras_alone(tmp_path: Path, patch: dict[str, Any]) -> None:
    nodes = chain(patch)
    nodes["6"]["inputs"]["clip"] = ["20", 0]
    nodes["20"] = node("CLIPSetLastLayer", stop_at_clip_layer=-2, clip=CLIP)
    assert told(tmp_path, nodes).is_without


def test_a_lora_on_one_way_only(tmp_path: Path) -> None:
    nodes = chain(lora(0.8))
    nodes["3"]["inputs"]["model"] = MODEL
    assert told(tmp_path, nodes).loras == (Use("good", 0.0, 0.8),)
    nodes = chain(lora(0.8))
    nodes["6"]["inputs"]["clip"] = CLIP
    assert told(tmp_path, nodes).loras == (Use("good", 0.8, 0.0),)
    nodes["3"]["inputs"]["model"] = MODEL
    assert told(tmp_path, nodes).is_without


def test_a_loader_of_the_model_only(tmp_path: Path) -> None:
    only = node("LoraLoaderModelOnly", lora_name="good.safetensors", strength_model=0.8)
    assert told(tmp_path, chain(only)).loras == (Use("good", 0.8, 0.0),)
    only["inputs"]["strength_model"] = 0
    assert told(tmp_path, chain(only)).is_without


def test_hooks_reach_the_network_from_the_text(tmp_path: Path) -> None:
    hooks = {
        "20": node("SetClipHooks", clip=CLIP, hooks=["21", 0], apply_to_conds=True, schedule_clip=False),
        "21": node("CreateHookLora", lora_name="good.safetensors", strength_model=0.8, strength_clip=0.8),
    }
    nodes = chain(None, hooks)
    nodes["6"]["inputs"]["clip"] = ["20", 0]
    assert told(tmp_path, nodes).loras == (ON,)


def test_merged_models(tmp_path: Path) -> None:
    merge = node("ModelMergeSimple", model1=MODEL, model2=["11", 0], ratio=0.5)
    nodes = chain(None, {"20": merge, "11": node("UNETLoader", unet_name="b", weight_dtype="default")})
    nodes["3"]["inputs"]["model"] = ["20", 0]
    assert told(tmp_path, nodes).is_without
    nodes["12"] = lora(0.8, model=MODEL)
    merge["inputs"]["model1"] = ["12", 0]
    assert told(tmp_path, nodes).unclear == "node 20 (ModelMergeSimple) merges models"


def test_a_graph_with_and_without_the_lora_tells_nothing_of_one_picture(tmp_path: Path) -> None:
    nodes = chain(lora(0.8))
    plain = node("KSampler", **{**nodes["3"]["inputs"], "model": MODEL})
    found = told(tmp_path, nodes | {"13": plain})
    assert found.unclear == "the samplers of its graph have different LoRAs"


def test_a_second_pass_without_the_lora_is_unknown(tmp_path: Path) -> None:
    nodes = chain(lora(0.8))
    nodes["13"] = node("KSampler", **{**nodes["3"]["inputs"], "latent_image": ["3", 0]})
    assert told(tmp_path, nodes).unclear == ""
    nodes["13"]["inputs"]["model"] = MODEL
    assert told(tmp_path, nodes).unclear == "a later pass of its graph has other LoRAs"


def test_the_pipes_of_easy_use(tmp_path: Path) -> None:
    nodes = {
        "1": efficient(0.0, positive=RED.text, negative="") | {"class_type": "easy fullLoader"},
        "2": node("easy preSampling", steps=20, cfg=7, sampler_name="euler", seed=5, pipe=["1", 0]),
        "3": node("easy kSampler", pipe=["2", 0], image_output="Save"),
    }
    found = told(tmp_path, nodes)
    assert (found.prompt, found.seed, found.loras, found.unclear) == (RED.text, 5, (OFF,), "")


def test_the_tuples_of_efficiency_nodes(tmp_path: Path) -> None:
    refiner = {"refiner_model": ["9", 0], "refiner_positive": ["9", 1], "refiner_negative": ["9", 2]}
    base = {
        "base_model": ["10", 0],
        "base_clip": ["10", 1],
        "base_positive": ["6", 0],
        "base_negative": ["7", 0],
    }
    nodes = chain(lora(0.8))
    nodes["3"] = node("KSampler SDXL (Eff.)", sdxl_tuple=["20", 0], noise_seed=1, latent_image=["5", 0])
    nodes["20"] = node("Pack SDXL Tuple", **base, **refiner)
    found = told(tmp_path, nodes)
    assert (found.seed, found.loras, found.unclear) == (1, (ON,), "")


def test_the_text_of_a_node_that_saves_does_not_overrule_the_graph(tmp_path: Path) -> None:
    """The text copies the prompt with its tags, which ComfyUI ignored."""
    text = f"{RED.text} <lora:good:1>\nSteps: 20, Seed: 1, Version: ComfyUI"
    path = draw(tmp_path / "a.png", {"parameters": text, "prompt": json.dumps(chain(None))})
    assert read_origin(path).is_without
    assert read_origin(draw(tmp_path / "b.png", {"parameters": text})).unclear


@pytest.mark.parametrize(
    "nodes",
    [
        chain(None, text=f"{RED.text} <lora:good:0.8>"),
        chain(lora(["40", 0]), {"40": node("PrimitiveFloat", value=0.0)}),
        chain(efficient(0.0)),
        chain(rgthree_stack(0.0)),
        chain(power(on=False)),
    ],
)
def test_known_bad_pictures_are_refused(tmp_path: Path, nodes: Nodes) -> None:
    with pytest.raises(MeasureError, match=r"4 are stale .*: made without a LoRA"):
        read(folder(tmp_path, nodes), "candidate", PROMPTS, None, LORA)
