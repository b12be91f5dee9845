"""Recognise files that are not safetensors files by their first bytes, to explain common mistakes."""

from __future__ import annotations

_PICKLE = (
    "is a pickle and could run code: safetensors only; if you trust it, convert it with "
    "safetensors.torch.save_file(torch.load(OLD, map_location='cpu', weights_only=True), NEW)"
)
_PICKLES = (".bin", ".pt", ".pth", ".ckpt", ".pkl")
_STARTS = {
    b"version https://git-lfs": "is a git-LFS pointer, not the file itself; run `git lfs pull`",
    b"\x80": _PICKLE,
    b"GGUF": "is a GGUF file; only safetensors LoRAs are read",
    b"PK": "is a zip archive, not a LoRA; unpack it and gate the .safetensors file in it",
    b"\x1f\x8b": "is a gzip archive, not a LoRA; unpack it and gate the .safetensors file in it",
    b"7z\xbc\xaf": "is a 7z archive, not a LoRA; unpack it and gate the .safetensors file in it",
    b"Rar!": "is a RAR archive, not a LoRA; unpack it and gate the .safetensors file in it",
    b"\x28\xb5\x2f\xfd": "is a zstd archive, not a LoRA; unpack it and gate the .safetensors file in it",
    b"\xfd7zXZ": "is an xz archive, not a LoRA; unpack it and gate the .safetensors file in it",
    b"\x93NUMPY": "is a NumPy array; only safetensors LoRAs are read",
    b"\x89HDF": "is an HDF5 file; only safetensors LoRAs are read",
    b"\x89PNG": "is a picture (PNG), not a LoRA; name the .safetensors file beside it",
    b"\xff\xd8\xff": "is a picture (JPEG), not a LoRA; name the .safetensors file beside it",
    b"RIFF": "is a picture or sound (RIFF), not a LoRA; name the .safetensors file beside it",
    b"%PDF": "is a PDF, not a LoRA; name the .safetensors file",
    b"\x7fELF": "is a program (ELF), not a LoRA; name the .safetensors file",
}
_PRINTABLE = frozenset(range(32, 127)) | frozenset(b"\t\r\n")


def known_format(head: bytes, suffix: str) -> str | None:
    """Return a sentence about a file that starts with these bytes (up to 512), or None if it is unknown.

    Call it only for files that are not safetensors files: 3 % of those start like a pickle.
    """
    if not head:
        return "is empty (0 bytes); copy or export it again"
    if len(head) < 9:
        return f"is truncated to {len(head)} bytes; copy it again"
    if not any(head):
        return "holds zeros where its header belongs; the download or copy was broken off, repeat it"
    if b"data.pkl" in head and head.startswith(b"PK"):
        return _PICKLE
    if head[257:262] == b"ustar":
        return "is a tar archive, not a LoRA; unpack it and gate the .safetensors file in it"
    for start, sentence in _STARTS.items():
        if head.startswith(start):
            return sentence
    return _message(head) or (_PICKLE if suffix in _PICKLES else _text(head))


def _message(head: bytes) -> str | None:
    """Recognise an error page that was downloaded instead of the file."""
    text = head.lstrip(b"\xef\xbb\xbf \r\n\t")
    if text[:32].lower().startswith((b"<!doctype html", b"<html", b"<?xml", b"<head", b"<error")):
        return "is a web page, not a LoRA; the download failed (a login page?), download it again"
    return None


def _text(head: bytes) -> str | None:
    if not _PRINTABLE.issuperset(head):
        return None
    if b'"weight_map"' in head:
        return "is an index of shards, not the weights; merge the shards into one file and gate that"
    kind = "JSON text" if head[:1] in (b"{", b"[") else "text"
    start = ascii(head[:40].decode())
    return f"is {kind}, not a LoRA, and starts {start}; name the .safetensors file, or download it again"
