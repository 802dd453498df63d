"""Names in and of the archive: what a hostile host or file name becomes before it is a path."""

from __future__ import annotations

import re
import secrets
from collections.abc import Container
from datetime import UTC, datetime

PREFIX = "bilbs-diag-"
COMPONENT_BYTES = 200  # NAME_MAX is 255, and `.err.txt` and a number may still follow
PARTS = 30
PATH_BYTES = 900  # PATH_MAX is 4096; the folder of the extraction and `bilbs-diag-…/` come before


def bundle_name(host: str, now: datetime, short_id: str = "") -> str:
    """Return `bilbs-diag-<host>-<UTC time>-<short id>`, in letters that every file system and shell takes.

    `now` is aware. Without `short_id` a random one of six hex digits keeps two runs of the same second apart.
    """
    plain = re.sub(r"[^A-Za-z0-9.-]+", "_", host.partition("\0")[0]).strip("._-")[:63].rstrip("._-")
    stamp = now.astimezone(UTC).strftime("%Y%m%dT%H%M%SZ")
    return f"{PREFIX}{plain or 'box'}-{stamp}-{short_id or secrets.token_hex(3)}"


def member_name(name: str) -> str:
    """Return `name` as a relative path that is safe to extract and to print.

    As `safe_path`; and a part over 200 bytes keeps its end (the extension and the number of a log), a path over 900
    bytes or 30 parts loses folders after its first.
    """
    parts = [_shortened(part) for part in safe_path(name).split("/")]
    while len("/".join(parts).encode()) > PATH_BYTES or len(parts) > PARTS:
        del parts[1]
    return "/".join(parts)


def safe_path(name: str) -> str:
    """Return `name` without what makes a path lead elsewhere or a terminal obey.

    `..`, absolute paths and empty parts lose their meaning; control, format and undecodable characters become `%XX` of
    their bytes.
    """
    parts = [_visible(part) for part in name.split("/") if part not in {"", "."}]
    return "/".join(parts) or "unnamed"


def _visible(part: str) -> str:
    return "%2E%2E" if part == ".." else "".join(char if char.isprintable() else _percent(char) for char in part)


def _shortened(part: str) -> str:
    data = part.encode()
    return part if len(data) <= COMPONENT_BYTES else "~" + data[-COMPONENT_BYTES:].decode(errors="ignore")


def _percent(char: str) -> str:
    how = "surrogateescape" if "\udc80" <= char <= "\udcff" else "surrogatepass"  # PEP 383: a byte that was no UTF-8
    return "".join(f"%{byte:02X}" for byte in char.encode("utf-8", how))


def freed_name(name: str, taken: Container[str], folders: Container[str]) -> str:
    """Return a name near `name` that is neither taken nor a folder, and below no file: `x.2`, or `a_b` for `a/b`."""
    while file := next((parent for parent in parents(name) if parent in taken), None):
        name = f"{file}_{name[len(file) + 1 :]}"
    candidate, number = name, 1
    while candidate in taken or candidate in folders:
        number += 1
        candidate = f"{name}.{number}"
    return candidate


def parents(name: str) -> list[str]:
    """Return the folders above a member: `a/b/c` gives `a/b` and `a`."""
    parts = name.split("/")
    return ["/".join(parts[:count]) for count in range(len(parts) - 1, 0, -1)]
