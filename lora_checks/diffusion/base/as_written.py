"""Arguments without which a pipeline would make another image than its policy asks for.

Some pipelines rewrite the prompt before they read it: by a language model that draws its words at random, so
that no seed brings an image back, or by a cleaning that depends on what else is installed. Others make one of
a few sizes and scale it, or follow a schedule of guidance of their own that excludes the policy's.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

AS_WRITTEN: Mapping[str, Any] = {
    "clean_caption": False,  # PixArt, IF: lowercased and stripped, but only where bs4 and ftfy are installed
    "enable_prompt_rewrite": False,  # LongCat-Image: by its text encoder
    "guidance_schedule": None,  # Ideogram 4: refuses `guidance_scale` beside it
    "prompt_upsampling": False,  # Ideogram 4
    "use_pe": False,  # ERNIE-Image: by a language model of its own, at random
    "use_resolution_binning": False,  # Sana, PixArt, PRX: made in another size and scaled
}
# Parts of a pipeline that do nothing else than rewrite prompts; they are not loaded.
REWRITERS = (
    "pe",
    "pe_tokenizer",
    "prompt_enhancer_head",
    "prompt_upsampler",
    "prompt_upsampler_processor",
)


def as_written(pipe: Any) -> dict[str, Any]:
    """Return those of the arguments that the call of a pipeline takes."""
    takes = inspect.signature(pipe.__call__).parameters
    return {name: value for name, value in AS_WRITTEN.items() if name in takes}
