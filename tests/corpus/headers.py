"""Damaged and deceiving headers. What safetensors 0.8 does with each is told where it accepts it."""

# ruff: noqa: E501  # a table: one row for each file
from __future__ import annotations

import json
import struct

from safetensors.numpy import save

from .entry import GOOD, Entry, K, Q, described, layer, one, raw, typed

NOT_JSON = "has a damaged header (not JSON: …); export it again"
AT = "has a damaged header (not JSON: {} at byte {}, where {} belongs); export it again"
NO_ENTRY = "has a damaged header: tensor 'a' is not described by dtype, shape and offsets"
VALUES = "has a damaged header: shape or offsets of tensor 'a'"
GAP = "has a damaged header: a gap or an overlap before tensor '{}'"
TWICE = "names {} twice in its header; readers disagree on which one counts"
NO_MODEL = "has a tensor named {}, which no model has; export it again"
NO_HEADER = "is not a safetensors file (no JSON header at byte 8); export it again"
INSIDE = "is truncated: it ends after … bytes, inside its header; copy it again"
MALICIOUS = "claims a header of {:,} bytes; the file is damaged or malicious"


def text(changes: dict[str, object]) -> bytes:
    return json.dumps(described(**changes)).encode()


def claims(length: int, behind: bytes = b"{}") -> bytes:
    return struct.pack("<Q", length) + behind


def named(name: str) -> bytes:
    """A file with one whole tensor of this name."""
    return raw({name: described()}, b"0000")


LENGTHS = (
    Entry("length 0", claims(0), "has a damaged header (not JSON: it ends at byte 8, where { belongs); export it again"),
    Entry("length 1", claims(1), AT.format("it ends", 9, "a name of at most 1,000 bytes")),
    Entry("length 2^63", claims(2**63), MALICIOUS.format(2**63)),
    Entry("length 2^64 - 1", claims(2**64 - 1), MALICIOUS.format(2**64 - 1)),
    Entry("length 10^15", claims(10**15), MALICIOUS.format(10**15)),
    Entry("length 10^8 + 1", claims(10**8 + 1), MALICIOUS.format(10**8 + 1)),
    Entry("length one too much", claims(3), INSIDE),
    Entry("length one too little", claims(len(GOOD) - 1, GOOD[8:]), INSIDE),
    Entry("cut inside the header", GOOD[:40], INSIDE),
    Entry("cut at the header's end", GOOD[: 8 + GOOD[0] + 256 * GOOD[1]], "is truncated: … bytes are there; copy it again"),
    Entry("cut inside a tensor", GOOD[:-9], "is truncated: … bytes are there; copy it again"),
    Entry("one byte short", GOOD[:-1], "is truncated: … bytes are there; copy it again"),
    Entry("one byte more", GOOD + b"\0", "has 1 bytes behind its last tensor; export it again"),
    Entry("another file behind it", GOOD + GOOD, "has … bytes behind its last tensor; export it again"),
)  # fmt: skip

SYNTAX = (
    Entry("not UTF-8", raw(b'{"\xff": 1}'), "has a damaged header (not JSON: invalid start byte); export it again"),
    Entry("UTF-8 of a surrogate", raw(b'{"\xed\xa0\x80": 1}'), NOT_JSON),
    Entry("UTF-8 cut at the end", raw(b'{"\xe2\x82'), NOT_JSON),
    Entry("overlong UTF-8", raw(b'{"\xc0\xaf": 1}'), NOT_JSON),
    Entry("byte order mark", raw(b"\xef\xbb\xbf{}"), NO_HEADER),
    Entry("UTF-16", raw('{"a":1}'.encode("utf-16-le")), NOT_JSON),
    Entry("white space first", raw(b" {}"), NO_HEADER),
    Entry("an array", raw(b"[]"), NO_HEADER),
    Entry("brackets open", raw(b'{"a":' + text({})), NOT_JSON),
    Entry("garbage behind", raw(json.dumps({"a": described()}).encode() + b"}", b"0000"), NOT_JSON),
    Entry("zeros behind", raw(json.dumps({"a": described()}).encode() + b"\0\0", b"0000"), NOT_JSON),
    Entry("two objects", raw(json.dumps({"a": described()}).encode() * 2, b"0000"), NOT_JSON),
    Entry("comma at the end", raw(b'{"a":' + text({}) + b",}", b"0000"), NOT_JSON),
    Entry("no comma", raw(b'{"a":' + text({}) + b' "b":' + text({}) + b"}", b"0000"), NOT_JSON),
    Entry("no colon", raw(b'{"a"' + text({}) + b"}", b"0000"), NOT_JSON),
    Entry("single quotes", raw(b"{'a':" + text({}) + b"}", b"0000"), NOT_JSON),
    Entry("comment", raw(b'{/**/"a":' + text({}) + b"}", b"0000"), NOT_JSON),
    Entry("form feed for white space", raw(b'{\x0c"a":' + text({}) + b"}", b"0000"), NOT_JSON),
    Entry("no-break space for white space", raw(b'{\xc2\xa0"a":' + text({}) + b"}", b"0000"), NOT_JSON),
    Entry("line break in a name", one(text({}), b"a\n"), NOT_JSON),
    Entry("escape that is none", one(text({}), rb"a\x41"), NOT_JSON),
    Entry("half an escape", one(text({}), rb"a\u00e"), NOT_JSON),
    Entry("lone high surrogate", one(text({}), rb"a\ud83d"), NOT_JSON),  # json.loads accepts it
    Entry("lone low surrogate", one(text({}), rb"a\ude00"), NOT_JSON),
    Entry("surrogates in the wrong order", one(text({}), rb"a\ude00\ud83d"), NOT_JSON),
    Entry("a NaN", one(b"NaN"), NO_ENTRY),
)  # fmt: skip

ENTRIES_OF_A_TENSOR = (
    Entry("a number", one(b"1"), NO_ENTRY),
    Entry("null", one(b"null"), NO_ENTRY),
    Entry("an array for an entry", one(b'["F32",[1],[0,4]]'), NO_ENTRY),  # safetensors accepts it
    Entry("nothing in it", one(b"{}"), NO_ENTRY),
    Entry("no dtype", one(b'{"shape":[1],"data_offsets":[0,4]}'), NO_ENTRY),
    Entry("no shape", one(b'{"dtype":"F32","data_offsets":[0,4]}'), NO_ENTRY),
    Entry("no offsets", one(b'{"dtype":"F32","shape":[1]}'), NO_ENTRY),
    Entry("a field more", one(text({"extra": 1})), NO_ENTRY),  # safetensors accepts it
    Entry("an object more", one(text({"extra": {"a": {}}})), NO_ENTRY),
    Entry("endless", one(text({"extra": "x" * 10**6})), NO_ENTRY),
    Entry("deep", one(b"[" * 200_000), NO_ENTRY),
    Entry("deep objects", one(b'{"a":' * 20_000), NO_ENTRY),
    Entry("deep shape", one(b'{"dtype":"F32","shape":' + b"[" * 900 + b"]" * 900 + b',"data_offsets":[0,4]}'), NO_ENTRY),
    Entry("field twice", one(b'{"dtype":"F32","shape":[1],"data_offsets":[0,4],"shape":[1]}'), NO_ENTRY),
    Entry("field twice, in place of another", one(b'{"dtype":"F32","dtype":"F32","shape":[1]}'), NO_ENTRY),
    Entry("NaN in the shape", one(b'{"dtype":"F32","shape":[NaN],"data_offsets":[0,4]}'), NO_ENTRY),
    Entry("leading zero", one(b'{"dtype":"F32","shape":[01],"data_offsets":[0,4]}'), NO_ENTRY),
    Entry("plus sign", one(b'{"dtype":"F32","shape":[+1],"data_offsets":[0,4]}'), NO_ENTRY),
    Entry("unknown dtype", one(text({"dtype": "F7"})), "has tensor 'a' of unknown dtype 'F7'"),
    Entry("lower-case dtype", one(text({"dtype": "f32"})), "has tensor 'a' of unknown dtype 'f32'"),
    Entry("dtype of torch", one(text({"dtype": "torch.float32"})), "has tensor 'a' of unknown dtype 'torch.float32'"),
    Entry("dtype null", one(text({"dtype": None})), "has tensor 'a' of unknown dtype 'None'"),
    Entry("dtype array", one(text({"dtype": ["F32"]})), "has tensor 'a' of unknown dtype …"),
    Entry("six bits a value", typed({"a": ("F6_E2M3", [4], b"000")}), "has tensor 'a' of unknown dtype 'F6_E2M3'"),
    Entry("half a byte", typed({"a": ("F4", [3], b"00")}), "has a damaged header: tensor 'a' F4 [3] does not fit 2 bytes"),
    Entry("negative shape", one(text({"shape": [-1]})), VALUES),
    Entry("two negative axes", one(text({"shape": [-1, -1]})), VALUES),
    Entry("minus zero in the shape", one(text({"shape": "X"}).replace(b'"X"', b"[-0]"), count=0), VALUES),
    Entry("minus zero for an offset", one(b'{"dtype":"F32","shape":[1],"data_offsets":[-0,4]}'), VALUES),
    Entry("float shape", one(text({"shape": [1.0]})), VALUES),
    Entry("exponent in the shape", one(b'{"dtype":"F32","shape":[1e0],"data_offsets":[0,4]}'), VALUES),
    Entry("bool shape", one(text({"shape": [True]})), VALUES),
    Entry("text shape", one(text({"shape": ["1"]})), VALUES),
    Entry("null shape", one(text({"shape": None})), VALUES),
    Entry("nine axes", one(text({"shape": [1] * 9})), VALUES),  # safetensors accepts it
    Entry("huge number in the shape", one(text({"shape": [2**64]})), VALUES),
    Entry("a number of 900 digits", one(text({"shape": [10**900]})), VALUES),
    Entry("a number of 9999 digits", one(b"9" * 9999), NO_ENTRY),
    Entry("shape whose product overflows 64 bits", one(text({"shape": [2**62, 2**62]})), "has a damaged header: tensor 'a' F32 …"),
    Entry("overflow that comes back to 1", one(text({"shape": [2**32 + 1, 2**32 - 1]})), "has a damaged header: tensor 'a' F32 …"),
    Entry("negative offset", one(text({"data_offsets": [-4, 0]})), VALUES),
    Entry("float offset", one(text({"data_offsets": [0.0, 4.0]})), VALUES),
    Entry("one offset", one(text({"data_offsets": [4]})), VALUES),
    Entry("three offsets", one(text({"data_offsets": [0, 4, 8]})), VALUES),
    Entry("offsets backwards", one(text({"data_offsets": [4, 0]})), "has a damaged header: tensor 'a' F32 [1] does not fit -4 bytes"),
    Entry("too large for its bytes", one(text({"shape": [2]})), "has a damaged header: tensor 'a' F32 [2] does not fit 4 bytes"),
    Entry("too small for its bytes", one(text({"shape": []}), count=8).replace(b"[0, 4]", b"[0, 8]"), "has a damaged header: tensor 'a' F32 [] does not fit 8 bytes"),
)  # fmt: skip

EXTENT = (
    Entry("behind the end", one(text({"data_offsets": [2**60, 2**60 + 4]})), GAP.format("a")),
    Entry("gap at the start", one(text({"data_offsets": [4, 8]}), count=8), GAP.format("a")),
    Entry("gap between", raw({"a": described(), "b": described(8, 12)}, b"0" * 12), GAP.format("b")),
    Entry("gap of one byte", raw({"a": described(), "b": described(5, 9)}, b"0" * 9), GAP.format("b")),
    Entry("same bytes twice", raw({"a": described(), "b": described()}, b"0000"), GAP.format("b")),
    Entry("overlap", raw({"a": described(), "b": described(2, 6)}, b"0" * 6), GAP.format("b")),
    Entry("one inside the other", raw({"a": described(0, 8, shape=[2]), "b": described(4, 8)}, b"0" * 8), GAP.format("b")),
    Entry("empty tensor inside another", raw({"a": described(), "b": described(2, 2, shape=[0])}, b"0000"), GAP.format("b")),
    Entry("empty tensor behind the end", raw({"a": described(), "b": described(9, 9, shape=[0])}, b"0000"), GAP.format("b")),
)  # fmt: skip

METADATA = (
    Entry("metadata is null", raw({"__metadata__": None, "a": described()}, b"0000"), NOT_JSON),  # safetensors accepts it
    Entry("metadata is a text", raw({"__metadata__": "pt"}), NOT_JSON),
    Entry("metadata is an array", raw({"__metadata__": []}), NOT_JSON),
    Entry("a number in the metadata", raw({"__metadata__": {"a": 1}}), "has a damaged header: 'a' in its __metadata__ is no text"),
    Entry("an object in the metadata", raw({"__metadata__": {"a": {}}}), "has a damaged header: 'a' in its __metadata__ is no text"),
    Entry("null in the metadata", raw({"__metadata__": {"a": None}}), "has a damaged header: 'a' in its __metadata__ is no text"),
    Entry("lone surrogate in the metadata", raw(rb'{"__metadata__":{"a":"\ud800"}}'), "has a damaged header: 'a' in its __metadata__ is no text"),
    Entry("metadata twice", raw(b'{"__metadata__":{},"__metadata__":{}}'), TWICE.format("'__metadata__'")),
    Entry("metadata twice, spelt differently", raw(rb'{"__metadata__":{},"\u005f_metadata__":{}}'), TWICE.format("'__metadata__'")),
    Entry("an entry of metadata twice", raw(b'{"__metadata__":{"a":"","a":""}}'), TWICE.format("'a'")),  # safetensors accepts it
    Entry("metadata as a tensor", raw({"__metadata__": described()}, b"0000"), "has a damaged header: 'shape' in its __metadata__ is no text"),
)  # fmt: skip

NAMES = (
    # safetensors accepts all but the first four
    Entry("name twice", raw(b'{"a":' + text({}) + b',"a":' + text({}) + b"}", b"0000"), TWICE.format("'a'")),
    Entry("name twice, spelt differently", raw(b'{"a":' + text({}) + rb',"\u0061":' + text({}) + b"}", b"0000"), TWICE.format("'a'")),
    Entry("LoRA with one tensor twice", raw(GOOD[8 : 8 + GOOD[0] + 256 * GOOD[1]].replace(K.encode(), Q.encode()), GOOD[8 + GOOD[0] + 256 * GOOD[1] :]), TWICE.format("'unet.…'")),
    Entry("name of 1 MB", named("x" * 10**6), AT.format("…", 9, "a name of at most 1,000 bytes")),
    Entry("no name", named(""), NO_MODEL.format("''")),
    Entry("NUL in a name", named("a\0b"), NO_MODEL.format(r"'a\x00b'")),
    Entry("line break in a name, escaped", named("a\nFAILED b"), NO_MODEL.format(r"'a\nFAILED b'")),
    Entry("colour of a terminal in a name", named("\x1b[32mPASS\x1b[0m"), NO_MODEL.format(r"'\x1b[32mPASS\x1b[0m'")),
    Entry("right to left in a name", named("a\u202eb"), NO_MODEL.format(r"'a\u202eb'")),
    Entry("Cyrillic a in a name", named("lor\u0430_A"), NO_MODEL.format(r"'lor\u0430_A'")),
    Entry("emoji in a name", named("\U0001f600"), NO_MODEL.format(r"'\U0001f600'")),
    Entry("zero-width space in a name", named("a\u200b"), NO_MODEL.format(r"'a\u200b'")),
    Entry("good LoRA with a foreign letter", save({k.replace("to_q", "to_\u0251"): v for k, v in layer().items()}), NO_MODEL.format("'unet.…'")),
)  # fmt: skip

ENTRIES = LENGTHS + SYNTAX + ENTRIES_OF_A_TENSOR + EXTENT + METADATA + NAMES
