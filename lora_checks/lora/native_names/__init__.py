"""The original models' own names of their layers, where trainers write them and diffusers has others.

A family whose LoRAs use diffusers' names needs nothing here: names are those that the base has. To add one
whose trainers write other names:

1. Write a `Table` (see `table`) in a module of this package: one row for each layer whose name differs. The
   converters of diffusers (loaders/single_file_utils.py, loaders/lora_conversion_utils.py) say which these
   are; cite them.
2. Add it to `TABLES` under the name of the denoiser class in diffusers. Classes that derive from it have
   the table too.
3. Add the family to tests/spellings: there the names stand a second time, written by other code.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from lora_checks.lora.native_names.flux import CHROMA, FLUX, FLUX2
from lora_checks.lora.native_names.hunyuan import HUNYUAN_IMAGE, HUNYUAN_VIDEO
from lora_checks.lora.native_names.krea import KREA2
from lora_checks.lora.native_names.ldm import LDM, LdmUnet
from lora_checks.lora.native_names.lumina import IDEOGRAM4, LUMINA2, Z_IMAGE
from lora_checks.lora.native_names.others import AURAFLOW, COSMOS, LTX, LTX2, QWEN_IMAGE21
from lora_checks.lora.native_names.sana import PIXART, SANA
from lora_checks.lora.native_names.sd3 import SD3
from lora_checks.lora.native_names.table import Native, Table
from lora_checks.lora.native_names.wan import WAN

__all__ = ["FLUX", "LDM", "SD3", "TABLES", "Native", "table_of"]

# Name of diffusers' class -> the native names of its layers.
TABLES: Mapping[str, Table | LdmUnet] = {
    "AnyFlowTransformer3DModel": WAN,
    "AuraFlowTransformer2DModel": AURAFLOW,
    "ChromaTransformer2DModel": CHROMA,
    "ChronoEditTransformer3DModel": WAN,
    "CosmosTransformer3DModel": COSMOS,
    "Flux2Transformer2DModel": FLUX2,
    "FluxTransformer2DModel": FLUX,
    "HeliosTransformer3DModel": WAN,
    "HunyuanImageTransformer2DModel": HUNYUAN_IMAGE,
    "HunyuanVideoFramepackTransformer3DModel": HUNYUAN_VIDEO,
    "HunyuanVideoTransformer3DModel": HUNYUAN_VIDEO,
    "Ideogram4Transformer2DModel": IDEOGRAM4,
    "Krea2Transformer2DModel": KREA2,
    "LTX2VideoTransformer3DModel": LTX2,
    "LTXVideoTransformer3DModel": LTX,
    "Lumina2Transformer2DModel": LUMINA2,
    "PixArtTransformer2DModel": PIXART,
    "QwenImage21Transformer2DModel": QWEN_IMAGE21,
    "SD3Transformer2DModel": SD3,
    "SanaTransformer2DModel": SANA,
    "SanaVideoTransformer3DModel": SANA,
    "SkyReelsV2Transformer3DModel": WAN,
    "UNet2DConditionModel": LDM,
    "UNetMotionModel": LDM,
    "WanAnimateTransformer3DModel": WAN,
    "WanTransformer3DModel": WAN,
    "WanVACETransformer3DModel": WAN,
    "ZImageTransformer2DModel": Z_IMAGE,
}


def table_of(classes: Iterable[str]) -> Table | LdmUnet | None:
    """Return the native names of a denoiser, given the names of its class and of those it derives from."""
    return next((TABLES[name] for name in classes if name in TABLES), None)
