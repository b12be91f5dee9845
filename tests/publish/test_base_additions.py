"""Identities of hub bases against the policy: what is quantised, and another VAE."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from lora_checks.core.records import Base, NetworkFile, Quantization
from lora_checks.diffusion.base.additions import as_asked
from lora_checks.publish.release.wanted import base_difference

HUB = "owner/name@" + "a" * 40
NF4 = {"transformer": Quantization("bitsandbytes", "nf4", ("proj_out",))}
SAYS_NF4 = f"{HUB} transformer bitsandbytes nf4 without proj_out (bitsandbytes 0.50.2)"


@pytest.mark.parametrize(
    ("claimed", "asked", "same"),
    [
        (HUB, Base("owner/name"), True),
        (SAYS_NF4, Base("owner/name"), False),
        (SAYS_NF4, Base("owner/name", quantization=NF4), True),
        (HUB, Base("owner/name", quantization=NF4), False),
        (SAYS_NF4.replace("nf4", "fp4"), Base("owner/name", quantization=NF4), False),
        (SAYS_NF4.replace(" without proj_out", ""), Base("owner/name", quantization=NF4), False),
        (f"{SAYS_NF4} vae {'b' * 64}", Base("owner/name", quantization=NF4), False),
        (f"{SAYS_NF4} vae {'b' * 64}", Base("owner/name", vae="owner/vae", quantization=NF4), True),
        (HUB, Base("owner/name", vae="owner/vae"), False),
    ],
)
def test_a_release_was_judged_on_the_policys_networks(claimed: str, asked: Base, same: bool) -> None:
    assert as_asked(claimed, asked) is same
    assert (base_difference(claimed, asked) == "") is same


def test_a_gguf_file_is_compared_by_its_bytes_or_its_repository(tmp_path: Path) -> None:
    file = tmp_path / "flux.gguf"
    file.write_bytes(b"GGUF")
    here = Base("owner/name", gguf={"transformer": NetworkFile(str(file))})
    assert as_asked(f"{HUB} transformer {hashlib.sha256(b'GGUF').hexdigest()}", here)
    assert not as_asked(f"{HUB} transformer {'c' * 64}", here)
    far = Base("owner/name", gguf={"transformer": NetworkFile("a/b/flux.gguf")})
    assert as_asked(f"{HUB} transformer a/b@{'d' * 40}/flux.gguf", far)
    assert not as_asked(f"{HUB} transformer a/b@{'d' * 40}/other.gguf", far)
    file.unlink()
    assert "the base cannot be compared here" in base_difference(f"{HUB} transformer {'c' * 64}", here)
