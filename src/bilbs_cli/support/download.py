"""A file from the desk: under a name that can do no harm, whole with the right digest or not at all."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from bilbs_cli import digest_field, files
from bilbs_cli.errors import BilbsError, OutputUnwritable, Unavailable, VerificationFailed
from bilbs_cli.support.api import Desk, Taken, failure, meaning
from bilbs_cli.support.ids import is_id
from bilbs_cli.support.transport import LIMIT, PIECE, NoAnswer, Raw

MOST_NAMES = 100
LONGEST_NAME = 160


def fetch(desk: Desk, attachment: dict[str, Any], folder: Path) -> Path:
    """Save an attachment in a folder and return its path; a file that is there is never replaced.

    Raises `VerificationFailed` for a wrong digest, `Unavailable`, `OutputUnwritable`, and what `api.failure` makes.
    """
    identity, sha256 = str(attachment.get("id")), str(attachment.get("sha256"))
    if not is_id(identity) or not re.fullmatch(r"[0-9a-f]{64}", sha256):
        raise BilbsError("the desk names no file that can be fetched", code="unexpected-answer")
    name = safe_name(str(attachment.get("filename") or ""))
    try:
        folder.mkdir(parents=True, exist_ok=True)
        temporary = folder / f".{name[:100]}.{os.getpid()}.part"
        handle = os.open(temporary, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise files.cannot_write(folder, error) from error
    try:
        with os.fdopen(handle, "wb") as target:
            _fill(desk, identity, sha256, attachment.get("size"), target)
        return _named(temporary, folder, name)
    except OSError as error:
        raise files.cannot_write(folder, error) from error
    finally:
        with suppress(OSError):
            temporary.unlink()


def _fill(desk: Desk, identity: str, sha256: str, size: Any, target: Any) -> None:
    digest, has = hashlib.sha256(), 0
    most = size if isinstance(size, int) and size >= 0 else None
    try:
        with desk.opened(f"/attachments/{identity}/content") as reply:
            if reply.status_code != 200:
                raise _refused(reply)
            for piece in reply.iter_raw(PIECE):
                has += len(piece)
                if most is not None and has > most:
                    raise VerificationFailed(
                        f"the desk sends more than the {most} bytes that it announced",
                        code="digest",
                        safe="nothing was kept",
                    )
                digest.update(piece)
                target.write(piece)
            announced = reply.headers.get("repr-digest", "")
    except NoAnswer as error:
        raise Unavailable(
            f"the file did not come: {error}", safe="nothing was kept", next="the same command later"
        ) from error
    target.flush()
    os.fsync(target.fileno())
    theirs = digest_field.parse(announced)
    same = theirs is None or theirs.hex() == sha256
    if digest.hexdigest() != sha256 or not same:
        raise VerificationFailed(
            "the file is not what its digest says",
            code="digest",
            safe="nothing was kept",
            next="the same command again",
        )


def _refused(reply: Any) -> BilbsError:
    data = b"".join(_first(reply.iter_raw(PIECE)))
    kind = reply.headers.get("content-type", "").partition(";")[0].strip().lower()
    answer = meaning(Raw(reply.status_code, reply.headers, kind, data))
    return Unavailable("the desk's answer is not a file") if isinstance(answer, Taken) else failure(answer)


def _first(pieces: Iterator[bytes]) -> Iterator[bytes]:
    size = 0
    for piece in pieces:
        size += len(piece)
        if size > LIMIT:
            return
        yield piece


def _named(temporary: Path, folder: Path, name: str) -> Path:
    """Give a finished file its name without ever replacing another (link(2) fails where there is one)."""
    stem, dot, suffix = name.partition(".")
    for number in range(MOST_NAMES):
        target = folder / (name if not number else f"{stem}-{number}{dot}{suffix}")
        try:
            os.link(temporary, target)
        except FileExistsError:
            continue
        files.sync_dir(folder)
        return target
    raise OutputUnwritable(
        f"{folder / name} and {MOST_NAMES} more are there already", next="choose another folder with -o"
    )


def safe_name(text: str) -> str:
    r"""Return a bare file name: no folder, no control character, no leading dot or dash, nothing that a shell expands.

    >>> safe_name("../../etc/cron.d/x"), safe_name("a\x1b[2Jb.pdf"), safe_name("-rf"), safe_name("..")
    ('x', 'a_2Jb.pdf', 'rf', 'download')
    """
    bare = text.replace("\\", "/").rpartition("/")[2]
    plain = re.sub(r"[^A-Za-z0-9._+@=-]+", "_", bare).lstrip(".-_")
    return plain[:LONGEST_NAME] or "download"
