"""Tar files of every kind but good ones, made by hand and with the tarfile module."""

from __future__ import annotations

import io
import tarfile
from typing import Any

from bilbs_cli.diag.bundle.frames import BLOCK, END_OF_ARCHIVE, Compression, compress, header, padding

FILE = tarfile.REGTYPE


def member(name: str, content: bytes = b"content", **info: Any) -> bytes:
    """Return one member as tarfile writes it in pax format; `info` sets fields of its TarInfo."""
    one = tarfile.TarInfo(name)
    one.size = len(content)
    for key, value in info.items():
        setattr(one, key, value)
    return one.tobuf(info.get("form", tarfile.PAX_FORMAT), "utf-8", "surrogateescape") + content + padding(len(content))


def raw(block: bytes, **fields: tuple[int, bytes]) -> bytes:
    """Return a header block with bytes replaced at offsets, and a good checksum again."""
    data = bytearray(block[:BLOCK])
    for offset, value in fields.values():
        data[offset : offset + len(value)] = value
    data[148:156] = b" " * 8
    data[148:156] = b"%06o\0 " % sum(data)
    return bytes(data) + block[BLOCK:]


def plain(name: str, content: bytes = b"content") -> bytes:
    """Return one member as a bundle has it."""
    return header(name, len(content), 0) + content + padding(len(content))


def extended(*records: bytes, then: bytes = b"") -> bytes:
    """Return a pax header with these `key=value` records, and what follows it."""
    body = b""
    for record in records:
        length = len(record) + 3
        while len(b"%d %s\n" % (length, record)) != length:
            length += 1
        body += b"%d %s\n" % (length, record)
    return raw(header("pax", len(body), 0), kind=(156, b"x")) + body + padding(len(body)) + then


def pack(*members: bytes, compression: Compression | None = None, end: bytes = END_OF_ARCHIVE) -> bytes:
    """Return the bytes of an archive."""
    data = b"".join(members) + end
    return compress(compression, data) if compression else data


def with_gnu_names(name: str) -> bytes:
    """Return a member with a GNU long name."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w", format=tarfile.GNU_FORMAT) as tar:
        one = tarfile.TarInfo(name)
        one.size = 1
        tar.addfile(one, io.BytesIO(b"x"))
    return stream.getvalue()
