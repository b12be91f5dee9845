"""Read which base a file's metadata names. Nothing verifies it."""

from __future__ import annotations

import re
from collections.abc import Mapping

_KLEIN = ("FLUX.2 klein 4B", "FLUX.2 klein 9B")
# sd-scripts (library/sai_model_spec.py, sdxl_model_util.py, flux_utils.py), musubi-tuner
# (src/musubi_tuner/utils/sai_model_spec.py), ai-toolkit (the `arch` of each model), diffusers' names.
_SAID: tuple[tuple[re.Pattern[str], tuple[str, ...]], ...] = tuple(
    (re.compile(pattern), families)
    for pattern, families in (
        (r"stable-diffusion-v1|sd[-_]?v?1", ("SD 1.x",)),
        (r"stable-diffusion-v2|sd[-_]?v?2", ("SD 2.x",)),
        (r"stable-diffusion-xl|sdxl", ("SDXL",)),
        (r"stable-diffusion-3|sd[-_]?v?3", ("SD3",)),
        (r"flux[-_. ]?2.*klein.*4b", _KLEIN[:1]),
        (r"flux[-_. ]?2.*klein.*9b", _KLEIN[1:]),
        (r"flux[-_. ]?2.*klein", _KLEIN),
        (r"flux[-_. ]?2", ("FLUX.2 dev",)),
        (r"flux[-_. ]?3", ("FLUX.3",)),
        (r"flux", ("FLUX.1",)),
        (r"chroma", ("Chroma",)),
        (r"qwen[-_. ]?image", ("Qwen-Image",)),
        (r"z[-_. ]?image", ("Z-Image",)),
        (r"krea[-_. ]?2", ("Krea 2",)),
        (r"hi[-_. ]?dream", ("HiDream",)),
        (r"lumina[-_. ]?(?:image[-_. ]?)?2", ("Lumina 2",)),
        (r"aura[-_. ]?flow", ("AuraFlow",)),
        (r"cog[-_. ]?view[-_. ]?4", ("CogView4",)),
        (r"sana", ("Sana",)),
        (r"pixart", ("PixArt",)),
        (r"ernie", ("ERNIE-Image",)),
        (r"ideogram[-_. ]?(?:v)?4", ("Ideogram 4",)),
        (r"kandinsky[-_. ]?5", ("Kandinsky 5",)),
        (r"hunyuan[-_. ]?image", ("HunyuanImage 2.1",)),
        (r"hunyuan[-_. ]?video[-_. ]?1[-_. ]?5", ("HunyuanVideo 1.5",)),
        (r"hunyuan[-_. ]?video|framepack", ("HunyuanVideo",)),
        (r"omnigen[-_. ]?2", ("OmniGen2",)),
        (r"wan[-_. ]?2", ("Wan",)),
        (r"ltx[-_. ]?(?:video[-_. ]?)?2", ("LTX-2",)),
        (r"ltx", ("LTX",)),
        (r"anima", ("Anima",)),
        (r"ovis[-_. ]?image", ("Ovis-Image",)),
        (r"cosmos[-_. ]?predict[-_. ]?2", ("Cosmos-Predict2",)),
    )
)


def said_families(metadata: Mapping[str, str]) -> tuple[str, ...]:
    """Return the families that modelspec.architecture or ss_base_model_version names; () if unknown."""
    for key in ("modelspec.architecture", "ss_base_model_version"):
        text = metadata.get(key, "").strip().lower()[:100]
        for pattern, families in _SAID:
            if pattern.match(text):
                return families
    return ()
