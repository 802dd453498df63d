"""`bilbs diag redact` and `reveal`: the rules of the bundle for any file, folder, tarball or pipe, and the way back."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from bilbs_cli import config, files, paths, terminal
from bilbs_cli.diag import guard
from bilbs_cli.diag.redact import Redacted, redact_path, redact_stream
from bilbs_cli.diag.redaction import Redactor, pseudonyms
from bilbs_cli.errors import NotFound, UsageProblem
from bilbs_cli.quantities import show_size

STREAM = "-"
REVEAL_CHUNK = 1 << 20


def redact(source: str, output: Path | None, *, pseudonymize: bool) -> None:
    """Write a redacted copy of `source` to `output`, or to stdout (a file, a tarball or stdin), and say what was removed."""
    settings = config.load()
    names = guard.names_of_box() if pseudonymize or settings.value("redaction.pseudonymize") else None
    rules = guard.custom_rules(settings.value("redaction.rules"))
    redactor = Redactor(known=guard.secrets_of_host(None).values(), custom=rules, pseudonyms=names)
    done = _redacted(source, output, redactor)
    if names:
        guard.keep_pairs(names.new_pairs())
    _show(done)


def _redacted(source: str, output: Path | None, redactor: Redactor) -> Redacted:
    if source != STREAM and output is not None:
        return redact_path(Path(source), output, redactor)
    if terminal.wants_json():
        raise UsageProblem(
            "the redacted text goes to stdout, and --json wants to write there too", next="name a place for it with -o"
        )
    if source == STREAM:
        if output is not None:
            raise UsageProblem("stdin is redacted to stdout", next="bilbs diag redact - < FILE > COPY")
        return redact_stream(sys.stdin.buffer, terminal.binary_stdout("redact"), redactor)
    path = Path(source)
    if path.is_dir():
        raise UsageProblem(
            f"{path} is a folder and needs a place for its copy", next=f"bilbs diag redact {path} -o {path}.redacted"
        )
    with _opened(path) as stream:
        return redact_stream(stream, terminal.binary_stdout("redact without -o"), redactor, path.name)


def _opened(path: Path) -> IO[bytes]:
    try:
        return files.open_regular(path)
    except FileNotFoundError:
        raise NotFound(f"{path} does not exist") from None
    except (OSError, files.NotReadable) as error:
        raise UsageProblem(f"{path} cannot be read: {getattr(error, 'strerror', None) or error}") from error


def _show(done: Redacted) -> None:
    counts = done.receipt.as_dict()
    data = {"path": str(done.path) if done.path else None, "left_out": done.left_out, **counts}
    summary = f"{counts['total']} values removed by {len(counts['rules'])} rules"
    if counts["not_scanned"]:
        summary += (
            f"; {len(counts['not_scanned'])} members not looked into: {', '.join(list(counts['not_scanned'])[:5])}"
        )
    if done.left_out:
        summary += f"; {len(done.left_out)} left out: {', '.join(list(done.left_out)[:5])}"
    if done.path is None:
        terminal.note(summary)
        return
    size = f" ({show_size(done.path.stat().st_size)})" if done.path.is_file() else ""
    terminal.note(summary + size)
    terminal.emit("diag.redacted", data, text=str(done.path))


def reveal(source: str) -> None:
    """Print text with the stand-ins of this box replaced by what they stand for.

    Raises `NotFound` when this box has made none.
    """
    pairs = pseudonyms.load(paths.state_dir())
    if not pairs:
        raise NotFound(
            f"no pseudonyms were made on this box (looked in {paths.state_dir()})",
            next="run it on the box that made the bundle",
        )
    stream = sys.stdin.buffer if source == STREAM else _opened(Path(source))
    for text in _pieces(stream):
        if text:
            terminal.out(pseudonyms.reveal(text, pairs).removesuffix("\n"))


def _pieces(stream: IO[bytes]) -> Iterator[str]:
    """Yield the text in pieces that end where a line ends."""
    rest = b""
    while data := stream.read(REVEAL_CHUNK):
        whole, newline, rest = (rest + data).rpartition(b"\n")
        yield (whole + newline).decode("utf-8", "replace")
    yield rest.decode("utf-8", "replace")
