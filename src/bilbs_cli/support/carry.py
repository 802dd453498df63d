"""The outbox in one encrypted file, for a laptop that has a network: written, read, and never doubled.

    bilbs outbox 1
    BASE64 of the key of what follows, encrypted with a passphrase (age, scrypt); - where it is for a recipient
    an age file (X25519) of a tar: outbox.json (the entries, and the key that the answer is encrypted to), then files/ENTRY
    for each attachment

The entries keep their idempotency keys: sent from the laptop and later from the box they are the same at the desk.
"""

from __future__ import annotations

import base64
import io
import json
import os
import re
import shutil
import tarfile
import threading
from collections.abc import Iterable
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

from bilbs_cli import files
from bilbs_cli.errors import BilbsError, UsageProblem
from bilbs_cli.support.ids import is_id
from bilbs_cli.support.outbox import Entry

MAGIC = b"bilbs outbox 1\n"
LINE, JSON_LIMIT, MOST = 8192, 256 << 20, 100_000


class Carried(NamedTuple):
    """What an export holds: the entries, and the age recipient of the box for the answer (empty: it wants none)."""

    entries: list[Entry]
    reply_to: str


def write(
    entries: Iterable[Entry],
    target: Path,
    *,
    recipients: tuple[str, ...] = (),
    passphrase: str = "",
    reply_to: str = "",
) -> int:
    """Write entries and the files that belong to them; return how many. Nothing plain reaches the disk.

    The answer comes back encrypted to the age recipient `reply_to`.

    Raises `OutputUnwritable`, `UsageProblem` for a key that is none, `BilbsError` for a file that is gone.
    """
    import pyrage

    found = list(entries)
    if recipients:
        try:
            keys = [pyrage.x25519.Recipient.from_str(one) for one in recipients]
        except pyrage.RecipientError as error:
            raise UsageProblem(
                f"that is no age recipient: {error}", next="age-keygen -o key.txt, on the laptop"
            ) from error
        wrapped = b"-"
    else:
        own = pyrage.x25519.Identity.generate()
        keys = [own.to_public()]
        wrapped = base64.b64encode(pyrage.passphrase.encrypt(str(own).encode(), passphrase))
    part = target.with_name(f".{target.name}.{os.getpid()}.part")
    try:
        handle = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with os.fdopen(handle, "wb") as out:
            out.write(MAGIC + wrapped + b"\n")
            _encrypt(found, out, keys, reply_to)
            out.flush()
            os.fsync(out.fileno())
        os.replace(part, target)  # noqa: PTH105 - beside os.open
        files.sync_dir(target.parent)
    except OSError as error:
        raise files.cannot_write(target, error) from error
    finally:
        part.unlink(missing_ok=True)
    return len(found)


def _encrypt(entries: list[Entry], out: BinaryIO, keys: list[Any], reply_to: str) -> None:
    """Encrypt the tar while it is made: a thread fills a pipe."""
    import pyrage

    receive, send = os.pipe()
    problems: list[Exception] = []

    def fill() -> None:
        try:
            with os.fdopen(send, "wb") as pipe, tarfile.open(fileobj=pipe, mode="w|") as tar:
                _add_all(entries, tar, reply_to)
        except (OSError, BilbsError, files.NotReadable) as error:
            problems.append(error)

    thread = threading.Thread(target=fill)
    thread.start()
    with os.fdopen(receive, "rb") as plain:
        pyrage.encrypt_io(plain, out, keys)
    thread.join()
    if problems:
        raise BilbsError(
            f"the outbox could not be packed: {problems[0]}", code="not-packed", safe="nothing was written"
        )


def _add_all(entries: list[Entry], tar: tarfile.TarFile, reply_to: str) -> None:
    rows = [one._asdict() | {"answer": None, "progress": None, "state": "queued"} for one in entries]
    _add(tar, "outbox.json", json.dumps({"reply_to": reply_to, "entries": rows}).encode())
    for one in entries:
        if one.kind == "ticket.attach":
            with files.open_regular(Path(one.body["path"])) as stream:
                info = tarfile.TarInfo(f"files/{one.id}")
                info.size = os.fstat(stream.fileno()).st_size
                tar.addfile(info, stream)


def _add(tar: tarfile.TarFile, name: str, data: bytes) -> None:
    info = tarfile.TarInfo(name)
    info.size = len(data)
    tar.addfile(info, io.BytesIO(data))


def read(source: Path, folder: Path, *, identity: str = "", passphrase: str = "") -> Carried:
    """Return the entries of a file; what belongs to them is put into `folder`, their paths lead there.

    Raises `UsageProblem` for a wrong key, `BilbsError` for what is no such file.
    """
    import pyrage

    try:
        with files.open_regular(source) as raw, os.fdopen(os.dup(raw.fileno()), "rb") as stream:
            if stream.readline(LINE) != MAGIC:
                raise BilbsError(f"{source} is no file of bilbs support outbox export", code="not-an-export")
            wrapped = stream.readline(LINE).strip()
            try:
                if wrapped != b"-":
                    identity = pyrage.passphrase.decrypt(base64.b64decode(wrapped), passphrase).decode()
                key = pyrage.x25519.Identity.from_str(identity.strip())
                return _decrypted(stream, folder, key)
            except (pyrage.DecryptError, pyrage.IdentityError, ValueError) as error:
                raise UsageProblem(
                    "the passphrase or key does not open it", code="wrong-key", safe="nothing was sent"
                ) from error
    except (OSError, files.NotReadable) as error:
        raise BilbsError(f"cannot read {source}: {error}", code="unreadable") from error


def _decrypted(stream: BinaryIO, folder: Path, key: Any) -> Carried:
    import pyrage

    plain = folder / ".plain.tar"
    handle = os.open(plain, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(handle, "w+b") as out:
            pyrage.decrypt_io(stream, out, [key])
            out.seek(0)
            return _unpacked(out, folder)
    finally:
        plain.unlink(missing_ok=True)


def _unpacked(out: BinaryIO, folder: Path) -> Carried:
    """Take out what belongs there and nothing else: no path of the archive is ever used."""
    entries: list[Entry] = []
    reply_to = ""
    try:
        with tarfile.open(fileobj=out, mode="r:") as tar:
            for number, member in enumerate(tar):
                data = tar.extractfile(member) if member.isreg() else None
                if number > MOST or data is None:
                    raise BilbsError("the export holds what does not belong there", code="not-an-export")
                if number == 0 and member.name == "outbox.json" and member.size <= JSON_LIMIT:
                    found = json.loads(data.read())
                    entries, reply_to = [_checked(Entry(**row)) for row in found["entries"]], str(found["reply_to"])
                    continue
                owner = next((one for one in entries if member.name == f"files/{one.id}"), None)
                if owner is None:
                    raise BilbsError("the export holds what does not belong there", code="not-an-export")
                entries[entries.index(owner)] = _placed(owner, data, folder)
    except (tarfile.TarError, ValueError, TypeError, KeyError, EOFError) as error:
        raise BilbsError(f"the export is damaged: {error}", code="not-an-export", safe="nothing was sent") from error
    return Carried(entries, reply_to)


def _checked(entry: Entry) -> Entry:
    """Return an entry of another box. Raises `ValueError` for one that no bilbs has written."""
    texts = (entry.id, entry.kind, entry.key, entry.ticket, entry.after, entry.occurred_at)
    known = all(isinstance(one, str) for one in texts) and isinstance(entry.body, dict)
    if (
        not known
        or not re.fullmatch(r"ob_[0-9a-f]{12}", entry.id)
        or not re.fullmatch(r"[A-Za-z0-9_-]{16,128}", entry.key)
    ):
        raise ValueError("an entry is none")
    if (entry.ticket and not is_id(entry.ticket)) or not re.fullmatch(r"(ob_[0-9a-f]{12})?", entry.after):
        raise ValueError("an entry belongs to no ticket")
    return entry


def _placed(owner: Entry, data: Any, folder: Path) -> Entry:
    target = folder / owner.id
    with target.open("wb") as copy:
        shutil.copyfileobj(data, copy, 1 << 20)
    info = target.stat()
    return owner._replace(body=owner.body | {"path": str(target), "size": info.st_size, "mtime_ns": info.st_mtime_ns})
