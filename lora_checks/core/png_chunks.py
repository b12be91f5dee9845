"""Verify a PNG's checksums, which Pillow skips for pixels: a flipped bit there decodes to another picture.

This module also seals a PNG: the chunk before the last holds the SHA-256 of everything before it, so that a
stored picture shows by itself whether it was changed.
"""

from __future__ import annotations

import hashlib
import struct
import zlib
from collections.abc import Iterator, Sequence

SIGNATURE = b"\x89PNG\r\n\x1a\n"
END = b"\0\0\0\0IEND\xaeB`\x82"
SEAL = b"ldIG"  # ancillary, private, and not to be copied into an edited picture
_SEAL_BYTES = 12 + hashlib.sha256().digest_size
_PIECE = 1 << 20  # bytes inflated at a time


def is_png(data: bytes) -> bool:
    return data.startswith(SIGNATURE)


def check(data: bytes, most: int) -> None:
    """Raise `ValueError` if a checksum does not match or the end is missing.

    Args:
        data: The whole file.
        most: The largest possible size of its pixels in bytes; a longer stream is refused.
    """
    for _ in _pieces(list(chunks(data)), most):
        pass


def unpacked(data: bytes, most: int) -> bytes:
    """Check a picture and return it with its pixels uncompressed, so that they are inflated only once."""
    parts = list(chunks(data))
    pixels = b"".join(_pieces(parts, most))
    first = next(i for i, (kind, _) in enumerate(parts) if kind == b"IDAT")
    rest = [part for part in parts[first:] if part[0] != b"IDAT"]
    written = [*parts[:first], (b"IDAT", zlib.compress(pixels, 0)), *rest]
    return SIGNATURE + b"".join(_chunk(*part) for part in written)


def _pieces(parts: Sequence[tuple[bytes, bytes]], most: int) -> Iterator[bytes]:
    """Yield the inflated pixels of a picture's chunks, 1 MB at a time."""
    inflate, total = zlib.decompressobj(), 0
    left = b"".join(content for kind, content in parts if kind == b"IDAT")
    try:
        while not inflate.eof:
            piece = inflate.decompress(left, _PIECE)
            left, total = inflate.unconsumed_tail, total + len(piece)
            if not piece and not left and not inflate.eof:
                raise ValueError("its pixels are cut off")
            if total > most:
                raise ValueError("it holds more data than pixels")
            yield piece
    except zlib.error as error:
        raise ValueError(f"the checksum of its pixels does not match ({error})") from error


def chunks(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Yield kind and content of each chunk; raise `ValueError` at the first damaged one."""
    place = len(SIGNATURE)
    while True:
        head = data[place : place + 8]
        if len(head) < 8:
            raise ValueError("it is cut off before its end")
        length, kind = int.from_bytes(head[:4], "big"), head[4:]
        content = data[place + 8 : place + 8 + length]
        crc = data[place + 8 + length : place + 12 + length]
        if len(crc) < 4:
            raise ValueError("it is cut off before its end, or damaged")
        if int.from_bytes(crc, "big") != zlib.crc32(content, zlib.crc32(kind)):
            raise ValueError(f"the checksum of its part {kind!r} at byte {place} does not match")
        yield kind, content
        if kind == b"IEND":
            return
        place += 12 + length


def seal(png: bytes) -> bytes:
    """Return the picture with a seal."""
    if not png.endswith(END):
        raise ValueError("not a whole PNG")
    body = png[: -len(END)]
    return body + _chunk(SEAL, hashlib.sha256(body).digest()) + END


def sealed_sha256(png: bytes) -> str | None:
    """Return the SHA-256 (hex) of the whole file; None if it has no seal or was changed after sealing."""
    seal_at = len(png) - len(END) - _SEAL_BYTES
    if seal_at <= 0:
        return None
    hashed = hashlib.sha256(memoryview(png)[:seal_at])
    if png[seal_at:] != _chunk(SEAL, hashed.digest()) + END:
        return None
    hashed.update(png[seal_at:])
    return hashed.hexdigest()


def _chunk(kind: bytes, content: bytes) -> bytes:
    crc = zlib.crc32(content, zlib.crc32(kind))
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", crc)
