"""The RMA packet of one part: built from a checked bundle, written as a folder and a tarball, whole or not at all."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import os
import re
import shutil
import tarfile
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bilbs_cli import files
from bilbs_cli.diag import checked_json, rma_evidence, rma_packet
from bilbs_cli.diag.checked import Checked
from bilbs_cli.diag.diff import disguised as is_disguised
from bilbs_cli.diag.rma_checklist import BUG_REPORT, Item, Known, checklist
from bilbs_cli.diag.rma_evidence import Lines, ReadMember
from bilbs_cli.diag.rma_identifiers import Identifier, identifiers
from bilbs_cli.diag.rma_oems import Oem, choose
from bilbs_cli.diag.rma_packet import Source, Told
from bilbs_cli.diag.rma_parts import Part, resolve
from bilbs_cli.diag.swaps import Follows
from bilbs_cli.errors import OutputUnwritable

__all__ = ["Packet", "Source", "Written", "build", "write"]

MEMBER_BYTES = 8 << 20  # of one member that is copied, or looked up: callers read no more of it
COPIED: Mapping[str, tuple[str, ...]] = {  # members that a maker asks for, by the kind of the part; `*` for all
    "*": ("ipmi/sel.txt", "ipmi/fru.txt"),
    "gpu": ("gpu/nvidia-smi-q.xml", BUG_REPORT),
    "nvswitch": (BUG_REPORT,),
    "psu": ("ipmi/sensors.txt",),
    "fan": ("ipmi/sensors.txt",),
    "disk": ("storage/lsblk.json",),
}
RECEIPT = "redaction.json"
NAMES = 100  # packets of one name in one folder
FOLDER_MODE, FILE_MODE = 0o700, 0o600


@dataclass(frozen=True, slots=True)
class Packet:
    """What goes to the maker. `files` are the contents by name, `members/...` those copied from the bundle.

    `sure` is the sentence on how sure it is, `worthy` says whether any finding supports an RMA at all. `made_at` is the
    time of the bundle: the same bundle gives the same packet, byte by byte.
    """

    name: str
    made_at: datetime
    part: Part
    oem: Oem
    oem_from: str
    sure: str
    worthy: bool
    disguised: bool
    identifiers: tuple[Identifier, ...]
    items: tuple[Item, ...]
    files: Mapping[str, bytes]

    @property
    def missing(self) -> tuple[Item, ...]:
        """Return what the maker wants and is not here."""
        return tuple(one for one in self.items if not one.have)


@dataclass(frozen=True, slots=True)
class Written:
    """Where a packet was written: its folder, the tarball beside it, and the tarball's hash."""

    folder: Path
    tarball: Path
    sha256: str


def build(
    checked: Checked, part: str, oem: str | None, read_member: ReadMember, source: Source | None = None
) -> Packet:
    """Return the packet for a part as a person names it; `oem` None asks the bundle who made the box.

    `read_member` returns the first `MEMBER_BYTES` of a member, None where the bundle has none of that name.
    Raises `NotFound` or `UsageProblem` for a part that is not there or not clear, `UsageProblem` for an unknown maker.
    """
    found = resolve(checked, part)
    maker, maker_from = choose(checked, oem)
    case = rma_evidence.case_of(checked, found)
    entry = rma_evidence.swap_entry(checked, found, case)
    members = dict(_members(found, read_member))
    lines = Lines(lambda name: members.get(name) or read_member(name))
    disguised = is_disguised(checked)
    ids = identifiers(checked, found)
    known = Known(
        checked,
        found,
        ids,
        case.all,
        entry.follows if entry else Follows.UNKNOWN,
        disguised,
        lambda name: name in members,
    )
    told = Told(
        name=packet_name(checked.host, found.id, checked.collected_at),
        checked=checked,
        part=found,
        oem=maker,
        oem_from=maker_from,
        identifiers=ids,
        case=case,
        items=checklist(maker, known),
        swap=rma_evidence.swap_words(found, case, entry),
        disguised=disguised,
        source=source or Source(Path(checked.source).name or "this box"),
    )
    sentence = rma_packet.sure(case, sum(one.part in found.spoken for one in checked.judgement.not_evaluated))
    contents = _contents(told, sentence, lines, members, _receipt(read_member))
    return Packet(
        told.name,
        checked.collected_at,
        found,
        maker,
        maker_from,
        sentence,
        told.worthy,
        disguised,
        ids,
        told.items,
        contents,
    )


def packet_name(host: str, part: str, at: datetime) -> str:
    """Return `bilbs-rma-<host>-<part>-<UTC time>` in letters that every file system and shell takes.

    >>> packet_name("gpu01", "gpu:0000:3b:00.0", datetime(2026, 11, 21, 4, tzinfo=UTC))
    'bilbs-rma-gpu01-gpu-0000-3b-00.0-20261121T040000Z'
    """
    plain = [re.sub(r"[^A-Za-z0-9.]+", "-", text[:200]).strip("-.")[:48].rstrip("-.") for text in (host, part)]
    return f"bilbs-rma-{plain[0] or 'box'}-{plain[1] or 'part'}-{at.astimezone(UTC):%Y%m%dT%H%M%SZ}"


def _members(part: Part, read_member: ReadMember) -> Iterator[tuple[str, bytes]]:
    """Yield the members to copy. Their names are from this file, never from the bundle."""
    for name in dict.fromkeys((*COPIED["*"], *COPIED.get(part.kind, ()))):
        data = read_member(name)
        if data is not None:
            yield name, data[:MEMBER_BYTES]


def _receipt(read_member: ReadMember) -> Any:
    """Return what the bundle's receipt of redaction says, None where it has none that can be read."""
    try:
        found = json.loads((read_member(RECEIPT) or b"")[:MEMBER_BYTES])
    except (ValueError, RecursionError):
        return None
    if not isinstance(found, dict):
        return None
    version, total = found.get("rules_version"), found.get("total")
    return {
        "rules_version": str(version)[:80] if isinstance(version, str | int) else None,
        "replaced": total if isinstance(total, int) and 0 <= total < 1 << 62 else None,
    }


def _contents(
    told: Told, sentence: str, lines: Lines, members: Mapping[str, bytes], receipt: Any
) -> Mapping[str, bytes]:
    cut = [name for name, data in members.items() if len(data) >= MEMBER_BYTES]
    named = [f"{name} (its first {MEMBER_BYTES >> 20} MiB)" if name in cut else name for name in members]
    texts = {
        "README.txt": rma_packet.guide(told, sentence, named),
        "case.txt": rma_packet.case_text(told, sentence, lines),
        "checklist.txt": rma_packet.checklist_text(told, sentence),
        "checklist.json": _json(rma_packet.checklist_json(told, sentence)),
        "identifiers.txt": rma_packet.identifiers_text(told),
        "identifiers.json": _json(rma_packet.identifiers_json(told)),
        "evidence.txt": rma_evidence.evidence_text(told.checked, told.part, told.case, lines),
        "findings.json": _json(_findings(told)),
    }
    found = {name: text.encode("utf-8", "backslashreplace") for name, text in texts.items()}
    found |= {f"members/{name}": data for name, data in members.items()}
    found["custody.json"] = _json(_custody(told, found, cut, receipt)).encode()
    sums = "".join(f"{hashlib.sha256(data).hexdigest()}  {name}\n" for name, data in sorted(found.items()))
    return dict(sorted((found | {"SHA256SUMS": sums.encode()}).items()))


def _json(document: Any) -> str:
    return json.dumps(document, indent=1, allow_nan=False) + "\n"


def _findings(told: Told) -> Any:
    """Return the part's findings, their roots and what followed, in the form of findings.json."""
    checked, case = told.checked, told.case
    kept = {one.key for one in (*case.all, *case.followed)}
    judgement = replace(
        checked.judgement,
        findings=tuple(one for one in checked.judgement.findings if one.key in kept),
        not_evaluated=tuple(one for one in checked.judgement.not_evaluated if one.part in told.part.spoken),
    )
    gpus = tuple(one for one in checked.gpus if told.part.gpu is None or one.part == told.part.gpu.part)
    moments = tuple(one for one in checked.timeline if one.first_cause or one.part in told.part.spoken)
    return checked_json.as_json(replace(checked, judgement=judgement, gpus=gpus, timeline=moments))


def _custody(told: Told, found: Mapping[str, bytes], cut: Sequence[str], receipt: Any) -> Any:
    checked, source = told.checked, told.source
    return {
        "schema_version": 1,
        "packet": told.name,
        "bundle": {
            "name": source.name,
            "sha256": source.sha256 or None,
            "size_bytes": source.size_bytes,
            "host": checked.host,
            "collected_at": checked.collected_at.astimezone(UTC).isoformat(timespec="seconds"),
            "collected_by": checked.tool,
        },
        "catalogue": checked.catalogue,
        "pseudonymized": told.disguised,
        "real_names": rma_packet.STAND_INS if told.disguised else None,
        "redaction": receipt,
        "cut_members": list(cut),
        "files": {name: hashlib.sha256(data).hexdigest() for name, data in sorted(found.items())},
    }


def write(packet: Packet, out_dir: Path) -> Written:
    """Write a packet's folder (0700, files 0600) and tarball into `out_dir`; a name that is taken gets a number.

    Nothing is overwritten. Raises `OutputUnwritable`, and leaves nothing half-written behind.
    """
    if not out_dir.exists():
        files.private_dir(out_dir)
    work: Path | None = None
    try:
        work = Path(tempfile.mkdtemp(prefix=".bilbs-rma-", dir=out_dir))
        folder, tarball = work / "folder", work / "tarball"
        _write_folder(folder, packet)
        data = tar_bytes(packet)
        _write_file(tarball, data)
        placed = _place(out_dir, packet.name, folder, tarball)
        files.sync_dir(out_dir)
    except OSError as error:
        raise files.cannot_write(out_dir / packet.name, error) from error
    finally:
        if work is not None:
            shutil.rmtree(work, ignore_errors=True)
    return Written(*placed, hashlib.sha256(data).hexdigest())


def _write_folder(folder: Path, packet: Packet) -> None:
    folder.mkdir(mode=FOLDER_MODE)
    for name, data in packet.files.items():
        path = folder / name
        for parent in reversed(path.relative_to(folder).parents[:-1]):
            (folder / parent).mkdir(mode=FOLDER_MODE, exist_ok=True)
        _write_file(path, data)


def _write_file(path: Path, data: bytes) -> None:
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, FILE_MODE)
    with os.fdopen(handle, "wb") as stream:
        stream.write(data)
        stream.flush()
        os.fsync(stream.fileno())


def tar_bytes(packet: Packet) -> bytes:
    """Return the tarball: names, order, times and owners depend on the packet alone, so its bytes do too."""
    buffer = io.BytesIO()
    with (
        gzip.GzipFile("", "wb", 9, buffer, mtime=0) as packed,
        tarfile.open(fileobj=packed, mode="w", format=tarfile.USTAR_FORMAT) as archive,
    ):
        folders = {
            packet.name,
            *(f"{packet.name}/{parent}" for name in packet.files for parent in Path(name).parents if parent.name),
        }
        for name in sorted(folders):
            archive.addfile(_entry(name, packet, tarfile.DIRTYPE, FOLDER_MODE))
        for name, data in packet.files.items():
            entry = _entry(f"{packet.name}/{name}", packet, tarfile.REGTYPE, FILE_MODE)
            entry.size = len(data)
            archive.addfile(entry, io.BytesIO(data))
    return buffer.getvalue()


def _entry(name: str, packet: Packet, kind: bytes, mode: int) -> tarfile.TarInfo:
    entry = tarfile.TarInfo(name)
    entry.type, entry.mode = kind, mode
    entry.mtime = max(int(packet.made_at.timestamp()), 0)
    return entry


def _place(out_dir: Path, name: str, folder: Path, tarball: Path) -> tuple[Path, Path]:
    """Give folder and tarball their names, the first pair that is free: both are reserved before either is moved."""
    for number in range(1, NAMES):
        plain = name if number == 1 else f"{name}-{number}"
        home, packed = out_dir / plain, out_dir / f"{plain}.tar.gz"
        if not _reserve(home, packed):
            continue
        try:
            os.replace(folder, home)  # noqa: PTH105 - onto the empty folder that was just made
            os.replace(tarball, packed)  # noqa: PTH105
        except BaseException:  # a name that was reserved is given back, on Ctrl-C too
            _give_back(home, packed)
            raise
        return home, packed
    raise OutputUnwritable(
        f"{out_dir} has {NAMES - 1} packets called {name} already", next="choose another folder with -o"
    )


def _reserve(home: Path, packed: Path) -> bool:
    try:
        home.mkdir(mode=FOLDER_MODE)
    except FileExistsError:
        return False
    try:
        os.close(os.open(packed, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, FILE_MODE))
    except FileExistsError:
        home.rmdir()
        return False
    except OSError:
        home.rmdir()
        raise
    return True


def _give_back(home: Path, packed: Path) -> None:
    shutil.rmtree(home, ignore_errors=True)
    with suppress(OSError):
        packed.unlink()
