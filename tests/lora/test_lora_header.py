"""The header reader against the safetensors library, which is the reference for what a file means.

Whatever the library refuses is refused here; what is read here, the library reads alike. The other way round
does not hold on purpose: `STRICTER` has what the library takes and no trainer writes.
"""

from __future__ import annotations

import io
import json
import struct
from collections.abc import Callable
from typing import Any

import pytest
import safetensors
from corpus.entry import GOOD, described, layer, raw
from hypothesis import example, given, settings
from hypothesis import strategies as st
from safetensors import SafetensorError
from safetensors.numpy import save

from lora_checks.core.errors import LoraFileError
from lora_checks.lora import header as lora_header
from lora_checks.lora import header_json as lora_json
from lora_checks.lora.header import DTYPES, Header, read_header


def read(data: bytes) -> Header | None:
    """None where the reader refuses; any error but `LoraFileError` fails the test."""
    try:
        return read_header(io.BytesIO(data), len(data), ".safetensors")
    except LoraFileError:
        return None


def reference(data: bytes) -> dict[str, dict[str, Any]] | None:
    try:
        return dict(safetensors.deserialize(data))
    except SafetensorError:
        return None


def compare(data: bytes) -> None:
    """What the fuzzer calls, too."""
    ours, theirs = read(data), reference(data)
    if ours is None:
        return
    assert theirs is not None, "read here, refused by safetensors"
    assert ours.tensors.keys() == theirs.keys()
    for name, tensor in ours.tensors.items():
        assert (tensor.dtype, list(tensor.shape)) == (theirs[name]["dtype"], theirs[name]["shape"])
        assert data[tensor.begin : tensor.end] == bytes(theirs[name]["data"])
    for text in ours.metadata.values():
        text.encode()


@st.composite
def whole(draw: st.DrawFn) -> tuple[dict[str, Any], bytes]:
    """A valid header and its data: tensors of any dtype end to end, named in any order."""
    header: dict[str, Any] = {}
    end = 0
    for name in draw(st.lists(st.text(max_size=6), unique=True, max_size=4)):
        if name == "__metadata__":
            continue
        dtype = draw(st.sampled_from(sorted(DTYPES)))
        shape = draw(st.lists(st.integers(0, 3), max_size=3))
        values = 1
        for side in shape:
            values *= side
        size = -(-values * DTYPES[dtype] // 8)
        header[name] = described(end, end + size, dtype=dtype, shape=shape)
        end += size
    if draw(st.booleans()):
        header["__metadata__"] = draw(st.dictionaries(st.text(max_size=4), st.text(max_size=4), max_size=2))
    data = draw(st.binary(min_size=end, max_size=end))
    return dict(draw(st.permutations(list(header.items())))), data


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**65), 2**65) | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
ODD = st.sampled_from(
    [
        "-0",
        "1e0",
        "1.0",
        "01",
        "+1",
        "NaN",
        "-1",
        "18446744073709551615",
        "true",
        "null",
        '"\\ud800"',
        "{}",
        "[]",
    ]
)


@st.composite
def mutated(draw: st.DrawFn) -> bytes:
    """A valid file with one value of its header replaced, then some bytes of its JSON changed."""
    header, data = draw(whole())
    for name in header:
        if name != "__metadata__" and draw(st.booleans()):
            field = draw(st.sampled_from(["dtype", "shape", "data_offsets", "extra"]))
            header[name][field] = draw(JSON)
    text = json.dumps(header, ensure_ascii=draw(st.booleans()))
    numbers = [i for i, letter in enumerate(text) if letter.isdigit()]
    if numbers and draw(st.booleans()):
        place = draw(st.sampled_from(numbers))
        text = text[:place] + draw(ODD) + text[place + 1 :]
    bytes_ = bytearray(text.encode("utf-8", "surrogatepass"))
    for place in draw(st.lists(st.integers(1, max(1, len(bytes_) - 1)), max_size=2)):
        if place < len(bytes_):
            bytes_[place] = draw(st.integers(0, 255) | st.sampled_from(b' "\\,:{}[]0-u'))
    return raw(bytes(bytes_), data)


@st.composite
def damaged(draw: st.DrawFn) -> bytes:
    """A LoRA with a few bytes changed, cut or added anywhere."""
    data = bytearray(GOOD)
    for place in draw(st.lists(st.integers(0, len(GOOD) - 1), min_size=1, max_size=4)):
        data[place] = draw(st.integers(0, 255))
    return (
        bytes(data[: draw(st.integers(0, len(GOOD)))])
        if draw(st.booleans())
        else bytes(data) + draw(st.binary())
    )


@given(whole())
@settings(max_examples=300, deadline=None)
def test_what_is_read_is_what_safetensors_reads(file: tuple[dict[str, Any], bytes]) -> None:
    """... and a whole header with plain names is always read, unless half a byte is left over."""
    header, data = file
    compare(raw(header, data))
    plain = all(name.isascii() and name.isprintable() and name for name in header)
    if plain and reference(raw(header, data)) is not None:
        assert read(raw(header, data)) is not None


@given(
    mutated()
    | damaged()
    | st.builds(raw, st.binary(max_size=60), st.binary(max_size=16))
    | st.binary(max_size=60)
)
@example(raw(b'{"a":{"dtype":"F32","shape":[-0],"data_offsets":[0,0]}}'))
@example(raw(b'{"a":{"dtype":"F32","shape":[1],"data_offsets":[-0,4]}}', b"0000"))
@example(raw(rb'{"\ud800":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}', b"0000"))
@example(raw(rb'{"__metadata__":{"a":"\ude00"}}'))
@example(raw(b'{"a":{"dtype":"F4","shape":[3],"data_offsets":[0,1]}}', b"0"))
@settings(max_examples=1500, deadline=None)
def test_what_safetensors_refuses_is_refused(data: bytes) -> None:
    compare(data)


A = json.dumps(described()).encode()
STRICTER = {
    "a name twice": b'{"a":%s,"a":%s}' % (A, A),
    "a text of metadata twice": b'{"__metadata__":{"b":"","b":""},"a":%s}' % A,
    "metadata null": b'{"__metadata__":null,"a":%s}' % A,
    "a field more": b'{"a":%s}' % json.dumps(described(extra=1)).encode(),
    "an array for an entry": b'{"a":["F32",[1],[0,4]]}',
    "nine axes": b'{"a":%s}' % json.dumps(described(shape=[1] * 9)).encode(),
    "a name in no alphabet of models": '{"é":%s}'.encode() % A,
    "an entry of 1,001 bytes": b'{"a":%s}' % A.replace(b" ", b" " * 300),
    "a name of 1,001 bytes": b'{"%s":%s}' % (b"a" * 1001, A),
}


@pytest.mark.parametrize("text", STRICTER.values(), ids=STRICTER)
def test_what_no_trainer_writes_is_refused_though_safetensors_reads_it(text: bytes) -> None:
    assert reference(raw(text, b"0000")) is not None
    assert read(raw(text, b"0000")) is None


@pytest.mark.parametrize(
    ("change", "kept"),
    [
        (lambda text: text + b" \n\t\r", True),
        (lambda text: text.replace(b":", b" : ").replace(b",", b"\n,\t"), True),
        (lambda text: text.replace(b"unet", rb"\u0075net"), True),
        (lambda text: text.replace(b"/", rb"\/"), True),
        (lambda text: text + b"\x0b", False),
    ],
)
def test_json_may_be_spelt_as_json_may(change: Callable[[bytes], bytes], kept: bool) -> None:
    end = 8 + int.from_bytes(GOOD[:8], "little")
    data = raw(change(GOOD[8:end]), GOOD[end:])
    assert (read(data) is not None, reference(data) is not None) == (kept, kept)
    compare(data)


def test_metadata_is_decoded_when_asked_for() -> None:
    said = {"a": 'quote " slash \\ é \U0001f600', "tags": json.dumps({"1girl": 3}), "": ""}
    found = read(save(layer(), said))
    assert found is not None
    assert dict(found.metadata) == said


def test_a_header_with_the_tags_of_a_large_training_set_is_read() -> None:
    """sd-scripts' ss_tag_frequency, 10 MB of it: more commas and quotes than any bound on entries allows."""
    tags = json.dumps({"10_person": {f"caption number {i}, with a comma": 1 for i in range(200_000)}})
    found = read(save(layer(), {"ss_tag_frequency": tags}))
    assert found is not None
    assert found.metadata["ss_tag_frequency"] == tags


def test_as_many_tensors_as_the_limit_allows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lora_header, "MAX_TENSORS", 4)
    assert read(GOOD) is not None
    monkeypatch.setattr(lora_header, "MAX_TENSORS", 3)
    with pytest.raises(LoraFileError, match="holds more tensors than any LoRA"):
        read_header(io.BytesIO(GOOD), len(GOOD), "")


def test_utf8_is_checked_across_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    data = save(layer(), {"a": "é€\U0001f600" * 9})
    for step in range(1, 12):
        monkeypatch.setattr(lora_json, "STEP", step)
        assert read(data) is not None
        assert read(data.replace("€".encode(), b"\xe2\x82x")) is None


def test_a_file_that_shrinks_while_it_is_read() -> None:
    with pytest.raises(LoraFileError, match="became shorter while it was read; it is still being written"):
        read_header(io.BytesIO(GOOD[:60]), len(GOOD), "")


def test_a_valid_header_may_start_like_any_other_format() -> None:
    """Its first byte is the length's lowest: 0x80 (a pickle), "P", "{", "<" ... in one file of 256 each."""
    starts = set()
    for filler in range(300):
        data = save(layer(), {"note": "x" * filler})
        starts.add(data[0])
        assert read(data) is not None
    assert len(starts) >= 32  # the library pads headers to 8 bytes
    assert {0x80, 0x50, 0x28, 0x38} <= starts


def test_every_length_that_a_header_claims() -> None:
    for bits in range(64):
        for length in (2**bits - 1, 2**bits, 2**bits + 1):
            compare(struct.pack("<Q", length % 2**64) + GOOD[8:])
