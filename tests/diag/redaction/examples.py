"""Examples of secrets, written so that no scanner takes them for live keys: the token itself is made when a test runs."""

from __future__ import annotations

import random
import re
import string
from pathlib import Path
from typing import NamedTuple

DATA = Path(__file__).parents[2] / "data" / "redaction"
_ALPHABETS = {
    "": string.ascii_letters + string.digits,
    "h": "0123456789abcdef",
    "U": "0123456789ABCDEF",
    "d": string.digits,
    "u": string.ascii_uppercase + "234567",
    "l": string.ascii_lowercase + string.digits,
    "b": string.ascii_letters + string.digits + "+/",
}
_PLACE = re.compile(r"<(\d+)([hUdulb]?)>")
_MARKED = re.compile(r"«(.*?)»", re.DOTALL)


class Example(NamedTuple):
    """A text, and the secrets in it: of each, the pieces that stand on one line."""

    text: bytes
    secrets: list[bytes]


def expand(example: str, seed: int = 0) -> Example:
    """Return an example with `<36>` made random, and its secrets: what stands between « and »."""
    source = random.Random(f"{example}{seed}")

    def made(place: re.Match[str]) -> str:
        return _random(source, int(place[1]), _ALPHABETS[place[2]])

    full = _PLACE.sub(made, example)
    secrets = [piece for marked in _MARKED.findall(full) for piece in re.split(r"\n\s*|\\n", marked)]
    return Example(full.replace("«", "").replace("»", "").encode(), [secret.encode() for secret in secrets if secret])


def _random(source: random.Random, length: int, alphabet: str) -> str:
    """Return random characters, with capitals, small letters and digits where the alphabet has all."""
    if length >= 6 and {"a", "Z", "7"} <= set(alphabet):
        lead = source.choice(string.ascii_lowercase) + "7" + source.choice(string.ascii_uppercase) + "4"
        return lead + "".join(source.choice(alphabet) for _ in range(length - 4))
    return "".join(source.choice(alphabet) for _ in range(length))


def forms() -> dict[str, str]:
    """Return the corpus of planted secrets: name to example."""
    text = (DATA / "forms.txt").read_text(encoding="utf-8")
    found: dict[str, str] = {}
    for entry in text.split("\n== ")[1:]:
        name, _, body = entry.partition("\n")
        assert name not in found, f"{name} stands there twice"
        found[name] = re.sub(r"\\r(?=\n|$)", "\r", body).replace("\\0", "\0").replace("\\e", "\x1b")
    return found
