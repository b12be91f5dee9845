"""Paths at which there is no regular file, or none that may be read."""

# ruff: noqa: E501  # a table: one row for each file
from __future__ import annotations

import os
import socket
from pathlib import Path

from .entry import GOOD, Entry

NOT_REGULAR = "not a regular file; name a .safetensors file"


def dangling(path: Path) -> None:
    path.symlink_to("gone.safetensors")


def loop(path: Path) -> None:
    path.symlink_to("b.safetensors")
    path.with_name("b.safetensors").symlink_to(path.name)


def itself(path: Path) -> None:
    path.symlink_to(path.name)


def listening(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as server:  # its file stays
        here = Path.cwd()
        os.chdir(path.parent)  # the path of a socket has 107 bytes at most
        try:
            server.bind(path.name)
        finally:
            os.chdir(here)


def link_to_fifo(path: Path) -> None:
    os.mkfifo(path.with_name("pipe"))
    path.symlink_to("pipe")


def file_for_a_folder(path: Path) -> None:
    path.parent.parent.mkdir(exist_ok=True)
    path.parent.write_bytes(GOOD)


ENTRIES = (
    Entry("nothing", lambda _: None, "cannot be read: No such file or directory"),
    Entry("directory", Path.mkdir, f"is a directory, {NOT_REGULAR}"),
    Entry("FIFO", os.mkfifo, f"is a pipe (FIFO), {NOT_REGULAR}"),
    Entry("socket", listening, f"is a socket, {NOT_REGULAR}"),
    Entry("dangling link", dangling, "is a link to gone.safetensors, which does not exist"),
    Entry("two links in a circle", loop, "is a link to b.safetensors that cannot be followed: Too many levels of symbolic links"),
    Entry("link to itself", itself, "is a link to a.safetensors that cannot be followed: Too many levels of symbolic links"),
    Entry("link to a directory", lambda path: path.symlink_to("."), f"is a link to a directory, {NOT_REGULAR}"),
    Entry("link to a FIFO", link_to_fifo, f"is a link to a pipe (FIFO), {NOT_REGULAR}"),
    Entry("link to /dev/zero", lambda path: path.symlink_to("/dev/zero"), f"is a link to a character device, {NOT_REGULAR}"),
    Entry("link to /dev/stdin", lambda path: path.symlink_to("/dev/null"), f"is a link to a character device, {NOT_REGULAR}"),
    Entry("file for a folder", file_for_a_folder, "cannot be read: Not a directory", "folder/a.safetensors"),
    Entry("name too long", lambda _: None, "cannot be read: File name too long", "x" * 300),
)  # fmt: skip
