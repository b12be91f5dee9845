"""Load quantised networks of a base through diffusers' and transformers' own configurations."""

from __future__ import annotations

import importlib
import logging
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

from lora_checks.core.errors import GenerationError, first_line
from lora_checks.diffusion.device_memory import out_of_memory
from lora_checks.diffusion.quantised import formats
from lora_checks.diffusion.quantised.networks import Network
from lora_checks.diffusion.quantised.weights import format_of, shape, tell, weighted

_TORCHAO = {
    "int8wo": "Int8WeightOnlyConfig",
    "int8dq": "Int8DynamicActivationInt8WeightConfig",
    "fp8wo": "Float8WeightOnlyConfig",
    "fp8dq": "Float8DynamicActivationFloat8WeightConfig",
}
_QUANTO = {"int8": "int8", "fp8": "float8", "int4": "int4", "int2": "int2"}


def load(network: Network, kind: Any, folder: Path, device: str, given: Mapping[str, Any]) -> Any:
    """Load one quantised network, whole and with nothing of its file left over.

    Args:
        network: Which one and how.
        kind: Its class.
        folder: The pipeline's.
        device: Where it will compute; bitsandbytes quantises there.
        given: ``torch_dtype`` and ``local_files_only``.

    Raises:
        GenerationError: Its file has weights that the network does not take, or no layer came out quantised.
    """
    settings = dict(given) | _configuration(network, kind, given["torch_dtype"])
    if network.file is not None:
        found = _of_file(network, kind, folder, settings)
    else:
        with _on(device):
            found = kind.from_pretrained(folder / network.name, **settings)
        if network.library == formats.CASTING:
            _cast(found, network, given["torch_dtype"])
    tell(found, given["torch_dtype"], network.library, network.format)
    if network.file is None:  # a .gguf file may have plain weights alone
        refuse_plain(found, network)
    _refuse_crash(found, network, device, given["torch_dtype"])
    return found


def _of_file(network: Network, kind: Any, folder: Path, settings: Mapping[str, Any]) -> Any:
    try:
        with _nothing_left_over(network):
            return kind.from_single_file(
                str(network.file), config=str(folder), subfolder=network.name, **settings
            )
    except GenerationError:
        raise
    except Exception as error:  # any error of a reader that expects other names
        if out_of_memory(error):
            raise
        raise GenerationError(
            f"{network.file}: diffusers cannot make the base's {network.name} of it ({first_line(error)}); "
            "take a file of the model that 'model:' names"
        ) from error


def _refuse_crash(found: Any, network: Network, device: str, dtype: Any) -> None:
    """Raise `GenerationError` where torch's kernel would end the process without a word.

    On a CPU optimum-quanto takes `torch._weight_int8pack_mm` for bfloat16 and columns that are a multiple of
    4; the kernel reads 16 at a time (torch 2.14).
    """
    if (network.library, network.format, device, str(dtype)) != ("quanto", "int8", "cpu", "torch.bfloat16"):
        return
    odd = [
        name
        for name, module in found.named_modules()
        if getattr(module, "weight", None) is not None and format_of(module) and shape(module)[1] % 16
    ]
    if odd:
        names = ", ".join(dict.fromkeys(name.rpartition(".")[2] for name in odd))
        raise GenerationError(
            f"{network.place}: torch would crash on layers whose columns are no multiple of 16, in bfloat16 "
            f"on the CPU; write `skip: [{names}]` there, or pass --lora-dtype float32"
        )


def refuse_plain(network: Any, asked: Network) -> None:
    """Raise `GenerationError` for a network without a quantised layer."""
    if not any(map(format_of, weighted(network))):
        raise GenerationError(
            f"{asked.place}: the {asked.name} was loaded as {asked.library} {asked.format}, and none of its "
            "layers is quantised; remove the key, or name another network"
        )


def _configuration(network: Network, kind: Any, dtype: Any) -> dict[str, Any]:
    """Return the keyword with the configuration; nothing for what its folder has quantised."""
    if network.saved or network.library == formats.CASTING:
        return {}
    library: Any = importlib.import_module(kind.__module__.partition(".")[0])
    if network.library == formats.GGUF:
        return {"quantization_config": library.GGUFQuantizationConfig(compute_dtype=dtype)}
    skip = {"modules_to_not_convert": list(network.skip)} if network.skip else {}
    if network.library == "bitsandbytes":
        return {"quantization_config": library.BitsAndBytesConfig(**_bitsandbytes(network, dtype))}
    if network.library == "torchao":
        quantization: Any = importlib.import_module("torchao.quantization")
        chosen = getattr(quantization, _TORCHAO[network.format])()
        return {"quantization_config": library.TorchAoConfig(chosen, **skip)}
    name = "weights" if library.__name__ == "transformers" else "weights_dtype"
    return {"quantization_config": library.QuantoConfig(**{name: _QUANTO[network.format]}, **skip)}


def _cast(found: Any, network: Network, dtype: Any) -> None:
    """Have diffusers keep the layers of a denoiser in float8, as its `enable_layerwise_casting` does.

    Raises:
        GenerationError: A weight is beyond float8's 448.
    """
    import torch

    hooks: Any = importlib.import_module("diffusers.hooks.layerwise_casting")
    names = tuple(re.escape(name) for name in network.skip)
    skip = {"skip_modules_pattern": (*hooks.DEFAULT_SKIP_MODULES_PATTERN, *names)} if names else {}
    most = torch.finfo(torch.float8_e4m3fn).max
    large = [name for name, weight in found.named_parameters() if weight.abs().max() > most]
    found.enable_layerwise_casting(storage_dtype=torch.float8_e4m3fn, compute_dtype=dtype, **skip)
    for name in large:  # which torch would clip, or older versions make NaN
        if found.get_parameter(name).dtype == torch.float8_e4m3fn:
            raise GenerationError(
                f"{network.place}: {name} has numbers beyond 448, which float8 does not hold; write "
                f"`skip: [{name.rpartition('.')[0]}]` there, or take torchao fp8wo, which scales them"
            )


def _bitsandbytes(network: Network, dtype: Any) -> dict[str, Any]:
    skip = {"llm_int8_skip_modules": list(network.skip)} if network.skip else {}
    if network.format == "int8":
        return {"load_in_8bit": True, **skip}
    return {
        "load_in_4bit": True,
        "bnb_4bit_quant_type": network.format,
        "bnb_4bit_compute_dtype": dtype,
        **skip,
    }


def _on(device: str) -> Any:
    """Make a card the current one: bitsandbytes puts a network there whatever it is told."""
    import torch

    return torch.cuda.device(device) if device.startswith("cuda") else nullcontext()


class _Said(logging.Handler):
    """Keeps what diffusers says of weights that it did not use."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.unused = ""

    def emit(self, record: logging.LogRecord) -> None:
        text = record.getMessage()
        if "were not used" in text:
            self.unused = text.partition("\n")[2].strip(" []'\n").replace("', '", ", ")


@contextmanager
def _nothing_left_over(network: Network) -> Iterator[None]:
    """Raise `GenerationError` for weights of a file that diffusers leaves out with a warning.

    A file of another model of the family (FLUX dev on schnell's settings) differs in a few weights only.
    """
    logger = logging.getLogger("diffusers.loaders.single_file_model")
    level, said = logger.level, _Said()
    logger.setLevel(logging.WARNING)
    logger.addHandler(said)
    try:
        yield
    finally:
        logger.removeHandler(said)
        logger.setLevel(level)
    if said.unused:
        raise GenerationError(
            f"{network.file}: has weights that the base's {network.name} does not take, such as "
            f"{said.unused.partition(',')[0]}; it is of another model than the base: name that as 'model:'"
        )
