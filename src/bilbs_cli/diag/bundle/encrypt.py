"""Encryption of a finished archive to age recipients (age-encryption.org/v1, X25519): fails closed."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bilbs_cli import files
from bilbs_cli.errors import BilbsError, UsageProblem

SUFFIX = ".age"
LIST_BYTES = 64 << 10  # of a file of recipients
_MAKE_ONE = "make a pair with: age-keygen -o key.txt   (the recipient is the line that starts with age1)"


@dataclass(frozen=True, slots=True)
class Recipients:
    """Public keys that can open a bundle; checked, at least one."""

    keys: tuple[str, ...]


def parse_recipients(values: Iterable[str]) -> Recipients:
    """Return the recipients that `--encrypt-to` names: `age1…` keys, or files with one on each line (`#` is a comment).

    Raises `UsageProblem` for one that cannot be used, `BilbsError` without the library: before anything is collected.
    """
    keys: list[str] = []
    for value in values:
        keys += [value.strip()] if _looks_like_a_key(value) else _from_file(Path(value))
    for key in keys:
        _recipient(key)
    if not keys:
        raise UsageProblem("--encrypt-to names no recipient", next=_MAKE_ONE)
    return Recipients(tuple(dict.fromkeys(keys)))


def _looks_like_a_key(value: str) -> bool:
    return value.strip().lower().startswith(("age1", "age-secret-key-"))


def _from_file(path: Path) -> list[str]:
    try:
        with files.open_regular(path) as stream:
            lines = stream.read(LIST_BYTES).decode("utf-8", "replace").splitlines()
    except (OSError, ValueError, files.NotReadable) as error:
        raise UsageProblem(f"{path} is neither an age recipient nor a file of them: {error}", next=_MAKE_ONE) from None
    found = [line.strip() for line in lines if line.strip() and not line.lstrip().startswith("#")]
    if not found:
        raise UsageProblem(f"{path} holds no age recipient", next=_MAKE_ONE)
    return found


def _recipient(key: str) -> Any:
    try:
        import pyrage
    except ImportError as error:
        raise BilbsError(
            f"encryption is not possible here: {error}",
            code="no-encryption",
            safe="nothing was written unencrypted",
            next="pip install pyrage, or leave --encrypt-to out",
        ) from None
    if key.upper().startswith("AGE-SECRET-KEY-"):  # never shown
        raise UsageProblem("--encrypt-to got a secret key, not the public one that starts with age1", next=_MAKE_ONE)
    try:
        return pyrage.x25519.Recipient.from_str(key)
    except pyrage.RecipientError as error:
        raise UsageProblem(f"{key[:80]!r} is not an age recipient: {error}", next=_MAKE_ONE) from None


@dataclass(slots=True)
class _Output:
    """A file handle that hashes what is written and keeps the error that the library would turn into words."""

    handle: int
    size: int = 0
    error: OSError | None = None
    hash: hashlib._Hash = field(default_factory=hashlib.sha256)

    def write(self, data: bytes) -> int:
        self.hash.update(data)
        view = memoryview(data)
        try:
            while view:
                view = view[os.write(self.handle, view) :]
        except OSError as error:
            self.error = error
            raise
        self.size += len(data)
        return len(data)

    def flush(self) -> None:
        """Do nothing: `write` has no buffer."""


def encrypt(source: int, target: int, keys: Sequence[str]) -> tuple[str, int]:
    """Encrypt everything from file handle `source` to `target`, in flat memory; return sha256 and size of the result.

    Raises `OSError` when `target` takes no more, `UsageProblem` for a bad key, `BilbsError` for anything else.
    """
    recipients = [_recipient(key) for key in keys]
    import pyrage

    output = _Output(target)
    with os.fdopen(os.dup(source), "rb") as plain:
        try:
            pyrage.encrypt_io(plain, output, recipients)
        except pyrage.EncryptError as error:
            if output.error:
                raise output.error from None
            raise BilbsError(f"the bundle could not be encrypted: {error}", code="no-encryption") from None
    return output.hash.hexdigest(), output.size
