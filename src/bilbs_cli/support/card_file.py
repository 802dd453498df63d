"""The wallet card as files: where they are, in which order they count, and how they are read without any import.

A card is a TOML file of texts: `pager`, `account`, `serial`, `slack`, `email`, `company`, `zone`. Its lines are read here one by one
(`tomllib` costs more than Python itself takes to start); what is unusual goes to tomllib, and a file that is broken
gives what its lines still say.
"""

from __future__ import annotations

import os
import stat

from bilbs_cli import folders

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

FIELDS = ("pager", "account", "serial", "slack", "email", "company", "zone")
VARIABLE = "BILBS_PAGER"
NAME = "card.toml"
LIMIT = 65536


class Card:
    """One card file that was read. `values` are its texts, `warnings` what is wrong with it, with file and line."""

    __slots__ = ("path", "values", "warnings")

    def __init__(self, path: str, values: dict[str, str], warnings: list[str]) -> None:
        self.path, self.values, self.warnings = path, values, warnings


def places(env: Mapping[str, str]) -> list[str]:
    """Return the card files in the order they count: the user's, the machine's, the last one fetched from the desk."""
    user = folders.user(env)
    return [*([f"{user}/{NAME}"] if user else []), f"{folders.SYSTEM}/{NAME}", f"{folders.state(env)}/{NAME}"]


def cards(env: Mapping[str, str]) -> Iterator[Card]:
    """Yield the cards there are; one that cannot be read has only warnings."""
    for path in places(env):
        card = read(path)
        if card is not None:
            yield card


def fields(env: Mapping[str, str] = os.environ) -> dict[str, str]:
    """Return every field of the cards, each from the first place that has it; `BILBS_PAGER` over all."""
    found: dict[str, str] = {}
    for card in cards(env):
        for name, value in card.values.items():
            found.setdefault(name, value)
    own = env.get(VARIABLE, "").strip()
    return found | ({"pager": own} if own else {})


def read(path: str) -> Card | None:
    """Return the card at `path`, None where there is none. Never waits, never reads more than 64 KiB, never raises."""
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValueError) as error:
        return Card(path, {}, [f"{path} cannot be read: {_reason(error)}"])
    try:
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            return Card(path, {}, [f"{path} is not a regular file"])
        data = os.read(handle, LIMIT + 1)
    except OSError as error:
        return Card(path, {}, [f"{path} cannot be read: {_reason(error)}"])
    finally:
        os.close(handle)
    if len(data) > LIMIT:
        return Card(path, {}, [f"{path} is over {LIMIT} bytes: not a card"])
    return parse(data, path)


def _reason(error: Exception) -> str:
    return (error.strerror if isinstance(error, OSError) else "") or str(error)


def parse(data: bytes, path: str) -> Card:
    """Return what a card says. A broken file gives what its lines still say, with a warning that names the line."""
    try:
        text = data.removeprefix(b"\xef\xbb\xbf").decode()
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        return Card(path, _rescued(data.decode("utf-8", "replace")), [f"{path}:{line}: not UTF-8 text"])
    values, plain = _scanned(text)
    return Card(path, _known(values), []) if plain else _by_tomllib(text, path)


def _by_tomllib(text: str, path: str) -> Card:
    """Read a file that is more than plain lines."""
    import tomllib

    try:
        document = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        what, _, place = str(error).rpartition(" (at line ")
        where = f":{place.partition(',')[0]}: {what}" if what else f": {error}"
        return Card(path, _rescued(text), [f"{path}{where}"])
    texts = {name: value for name, value in document.items() if isinstance(value, str)}
    wrong = [name for name in FIELDS if name in document and name not in texts]
    lines = _rescued(text) if wrong else {}
    numbers = [name for name in wrong if isinstance(document[name], int)]  # what `pager = +12015550123` is to TOML
    texts |= {name: lines[name] for name in numbers if name in lines}
    return Card(path, _known(texts), [f"{path}: {name} is not a text; write it in quotes" for name in wrong])


def _known(values: dict[str, str]) -> dict[str, str]:
    return {name: values[name].strip() for name in FIELDS if values.get(name, "").strip()}


def _rescued(text: str) -> dict[str, str]:
    """Return what the lines of a broken file seem to say: the number of a pager is worth more than the grammar of TOML."""
    values: dict[str, str] = {}
    for line in text.split("\n"):
        name, equals, rest = line.strip().partition("=")
        name, rest = name.strip().strip("\"'"), rest.strip()
        if line.lstrip()[:1] == "[":
            break
        if equals and name in FIELDS and name not in values:
            quote = rest[:1] if rest[:1] in {'"', "'"} else "#"
            values[name] = rest.lstrip(quote).partition(quote)[0].strip()
    return _known(values)


def _scanned(text: str) -> tuple[dict[str, str], bool]:
    """Return the top-level `name = "text"` lines, and whether the file is nothing but such lines, blanks and comments."""
    values: dict[str, str] = {}
    plain = True
    for raw in text.split("\n"):
        line = raw.strip(" \t\r")
        if not line or line[0] == "#":
            plain = plain and _printable(line)
            continue
        if line[0] == "[":  # a table: nothing below it is a card's
            plain = False
            break
        name, equals, rest = line.partition("=")
        name, value = name.strip(" \t"), _value(rest.strip(" \t"))
        if not equals or value is None or not _bare(name) or name in values:
            plain = False  # tomllib's to say
            break
        values[name] = value
    return values, plain


def _bare(name: str) -> bool:
    return bool(name) and name.isascii() and name.replace("_", "a").replace("-", "a").isalnum()


def _printable(text: str) -> bool:
    return text.replace("\t", " ").isprintable()


def _value(rest: str) -> str | None:
    """Return the text of `"..."` or `'...'` with nothing but a comment behind it, None for anything else."""
    quote = rest[:1]
    if quote not in {'"', "'"} or rest[:3] == quote * 3:
        return None
    end = rest.find(quote, 1)
    value, behind = rest[1:end], rest[end + 1 :].lstrip(" \t")
    if end < 0 or not _printable(value) or (quote == '"' and "\\" in value):
        return None
    return value if not behind or (behind[0] == "#" and _printable(behind)) else None


def digits(number: str) -> str:
    """Return a number as ITU-T E.164 writes it, `+` and digits; empty for one that does not look like it.

    `+`, then 7 to 15 digits, the first not 0; blanks, `-`, `.`, `(`, `)` and `/` between them are for the reader.
    """
    bare = "".join(char for char in number if char not in " -.()/")
    body = bare[1:]
    good = bare[:1] == "+" and body.isascii() and body.isdigit() and body[0] != "0" and 7 <= len(body) <= 15
    return bare if good else ""


def uri(number: str) -> str:
    """Return the `tel:` URI of a number (RFC 3966); what is no E.164 number is percent-encoded as it stands."""
    good = digits(number)
    if good:
        return f"tel:{good}"
    kept = "+-.()*#;=0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
    encoded = "".join(
        chr(byte) if chr(byte) in kept and chr(byte) != "#" else f"%{byte:02X}"
        for byte in number.encode("utf-8", "replace")
    )
    return f"tel:{encoded}"
