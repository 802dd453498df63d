"""What `bilbs diag rma` prints: the part, how sure it is, what is missing, and where the packet lies."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from bilbs_cli import files, terminal
from bilbs_cli.diag import rma
from bilbs_cli.diag.bundle import members
from bilbs_cli.diag.checked import Checked
from bilbs_cli.diag.rma import Packet, Source, Written
from bilbs_cli.errors import BilbsError
from bilbs_cli.escape import visible
from bilbs_cli.tables import wrapped

KIND = "diag.rma"
WIDEST = 100
CHUNK = 1 << 20


def make(checked: Checked, bundle: Path, part: str, oem: str | None, output: Path) -> Written:
    """Build the packet of a part from a checked bundle, write it, and print where it lies.

    Raises what `rma.build` and `rma.write` raise.
    """
    packet = rma.build(checked, part, oem, lambda names: _members(bundle, names), _source(bundle))
    written = rma.write(packet, output)
    show(packet, written)
    return written


def _members(bundle: Path, names: Collection[str]) -> dict[str, bytes]:
    """Return the members that can be had: a facts.json alone has none, a damaged archive those before the damage."""
    found: dict[str, bytes] = {}
    if bundle.suffix != ".json":
        with suppress(BilbsError):  # the facts were read already: a packet without a member is a packet
            found.update(members.read(bundle, names, rma.MEMBER_BYTES))
    return found


def _source(bundle: Path) -> Source:
    """Return the name and hash of a bundle; a folder, or one that went away, has no hash."""
    digest, size = hashlib.sha256(), 0
    try:
        with files.open_regular(bundle) as stream:
            while data := stream.read(CHUNK):
                digest.update(data)
                size += len(data)
    except (OSError, ValueError, files.NotReadable):
        return Source(bundle.name)
    return Source(bundle.name, digest.hexdigest(), size)


def show(packet: Packet, written: Written | None = None) -> None:
    """Print a packet, as JSON or as a page; with `written` where it lies and the hash of its tarball."""
    width = min(terminal.width(), WIDEST)
    terminal.emit(KIND, as_json(packet, written), text=lambda: terminal.out("\n".join(page(packet, written, width))))


def as_json(packet: Packet, written: Written | None = None) -> dict[str, Any]:
    """Return the JSON form of a packet without the contents of its files."""
    return {
        "name": packet.name,
        "part": packet.part.id,
        "kind": packet.part.kind,
        "title": packet.part.title,
        "oem": packet.oem.name,
        "oem_from": packet.oem_from,
        "rma_candidate": packet.worthy,
        "sure": packet.sure,
        "pseudonymized": packet.disguised,
        "identifiers": {one.key: one.value or None for one in packet.identifiers},
        "checklist": [
            {"id": one.id, "what": one.what, "state": "have" if one.have else "missing"} for one in packet.items
        ],
        "files": list(packet.files),
        "case": packet.files["case.txt"].decode("utf-8", "replace"),
        "folder": str(written.folder) if written else None,
        "tarball": str(written.tarball) if written else None,
        "sha256": written.sha256 if written else None,
    }


def page(packet: Packet, written: Written | None = None, width: int = 80) -> list[str]:
    """Return the page as lines of plain text; none is wider than `width`, save for paths and hashes."""
    width = max(width, 40)
    lines = [*wrapped(packet.sure, "", width), *wrapped(packet.part.title, "part    ", width)]
    lines += wrapped(f"{packet.oem.title} ({packet.oem_from})", "maker   ", width)
    have = len(packet.items) - len(packet.missing)
    lines += ["", f"{packet.oem.title} wants {len(packet.items)} things, {have} are here"]
    for one in packet.items:
        lines += wrapped(one.what, "  [x] " if one.have else "  [ ] ", width)
    if packet.disguised:
        lines += [
            "",
            *wrapped("Names and serial numbers are stand-ins: bilbs diag reveal case.txt on that box.", "", width),
        ]
    return [*lines, *(_where(written) if written else ())]


def _where(written: Written) -> Iterator[str]:
    """Yield the places, each on one line: they are to be copied."""
    yield ""
    yield f"folder   {visible(str(written.folder))}"
    yield f"tarball  {visible(str(written.tarball))}"
    yield f"sha256   {written.sha256}"
    yield ""
    yield "Next"
    yield f"  {visible(str(written.folder / 'checklist.txt'))}"
    yield "      how to get what is missing"
    yield f"  {visible(str(written.folder / 'case.txt'))}"
    yield "      the text to paste into the case"
