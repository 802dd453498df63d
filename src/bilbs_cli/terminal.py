"""All text that leaves bilbs: results on stdout, the rest on stderr, the JSON envelope, questions; all made safe."""

from __future__ import annotations

import errno
import json
import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import Annotated, Any, BinaryIO, TextIO

import typer

from bilbs_cli.errors import BilbsError, Interrupted, OutputUnwritable, UsageProblem
from bilbs_cli.escape import visible
from bilbs_cli.tables import NARROWEST, cells, plain_table

SCHEMA_VERSION = 1
COLUMN_GAP = 3  # of rich's tables

# For the signature of every command that prints data. The value is read from the command line by `begin`, before
# anything can fail, so that a usage error is an envelope too.
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document on stdout.", show_default=False)]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Answer yes to every question.", show_default=False)]


class _Run:
    """What this run of the program has decided and said so far."""

    json = False
    emitted = False
    warnings: tuple[str, ...] = ()


def begin(arguments: Sequence[str]) -> None:
    """Start a run: decide between text and JSON (`--json` before any `--`)."""
    options = arguments[: arguments.index("--")] if "--" in arguments else arguments
    _Run.json, _Run.emitted, _Run.warnings = "--json" in options, False, ()


def choose_json() -> None:
    """Print JSON as with `--json` (a command's own `--format json`)."""
    _Run.json = True


def wants_json() -> bool:
    """Say whether `--json` was given."""
    return _Run.json


def out(text: str = "") -> None:
    """Print a line (or lines) of the result on stdout. A reader that went away (`| head`) is no error.

    Raises `OutputUnwritable` when stdout is a file on a full disk.
    """
    _write(sys.stdout, visible(text, multiline=True) + "\n")


def note(text: str) -> None:
    """Print for the person on stderr; one that cannot be written is dropped."""
    with suppress(OutputUnwritable):
        _write(sys.stderr, visible(text, multiline=True) + "\n")


def warn(text: str) -> None:
    """Print a warning on stderr and keep it for the JSON envelope."""
    if text not in _Run.warnings:
        _Run.warnings += (text,)
        note(f"bilbs: warning: {visible(text)}")


def emit(
    kind: str,
    data: Any,
    *,
    text: str | Callable[[], None],
    warnings: Sequence[str] = (),
    errors: Sequence[BilbsError] = (),
) -> None:
    """Print the result of a command: the envelope with `--json`, else `text` (printed, or called to print).

    `data` must be JSON: anything else is a bug and raises `TypeError` or `ValueError`.
    """
    for warning in warnings:
        warn(warning)
    if _Run.json:
        _Run.emitted = True
        _write(sys.stdout, envelope(kind, data, _Run.warnings, errors) + "\n")
    elif callable(text):
        text()
    else:
        out(text)


def stream(
    kind: str,
    name: str,
    items: Iterator[Any],
    *,
    text: Callable[[Any], None],
    more: Callable[[], dict[str, Any]] = dict,
) -> int:
    """Print a list of any length as it comes, and return how many there were; with `--json` one document, an item a line.

    `more` gives further members of `data`, asked for at the end. An error in the middle closes the document and is raised.
    """
    count = 0
    if not _Run.json:
        for item in items:
            text(item)
            count += 1
        return count
    head = {"schema_version": SCHEMA_VERSION, "kind": kind}
    start = json.dumps(head)[:-1] + f', "data": {{{json.dumps(name)}: ['
    problem: BilbsError | None = None
    try:
        for item in items:
            _write(sys.stdout, f"{',' if count else start}\n{_compact(item)}")
            _Run.emitted = True  # from here on no second document may follow
            count += 1
    except BilbsError as error:
        if not count:
            raise
        problem = error
    except KeyboardInterrupt as signalled:  # a watch is ended with Ctrl-C: what was shown is a whole document still
        problem = Interrupted(str(signalled) or "interrupted")
    members = "".join(f", {json.dumps(key)}: {_compact(value)}" for key, value in more().items())
    errors = _compact([as_json(problem)] if problem else [])
    end = f']{members}}}, "warnings": {_compact(list(_Run.warnings))}, "errors": {errors}}}'
    _Run.emitted = True
    _write(sys.stdout, ("" if count else start) + end + "\n")
    if problem:
        raise problem
    return count


def _compact(value: Any) -> str:
    return json.dumps(value, ensure_ascii=True, allow_nan=False)


def envelope(kind: str, data: Any, warnings: Sequence[str] = (), errors: Sequence[BilbsError] = ()) -> str:
    """Return the one JSON document of a command: pure ASCII, so that no terminal and no encoding is harmed by it."""
    document = {
        "schema_version": SCHEMA_VERSION,
        "kind": kind,
        "data": data,
        "warnings": list(warnings),
        "errors": [as_json(error) for error in errors],
    }
    return json.dumps(document, ensure_ascii=True, allow_nan=False)


def as_json(error: BilbsError) -> Mapping[str, Any]:
    """Return the JSON form of an error."""
    return {"code": error.code, "message": str(error), "safe": error.safe, "next": error.next, "exit": int(error.exit)}


def fail(error: BilbsError) -> None:
    """Print an error: what happened, its code, what is safe, what to type; with `--json` the envelope too."""
    lines = [f"bilbs: {visible(str(error))} [{error.code}]"]  # each on one line: no text from outside forges another
    lines += [f"  {name}: {visible(said)}" for name, said in (("safe", error.safe), ("next", error.next)) if said]
    note("\n".join(lines))
    if _Run.json and not _Run.emitted:
        _Run.emitted = True
        with suppress(OutputUnwritable):  # already failing, and the person was told on stderr
            _write(sys.stdout, envelope("error", None, _Run.warnings, [error]) + "\n")


def raw(data: bytes) -> None:
    """Print the bytes of a whole file of ours (a calendar) on stdout as they are. Raises as `out` does."""
    if sys.stdout is not None:
        with _guarded(sys.stdout):
            sys.stdout.flush()
            sys.stdout.buffer.write(data)
            sys.stdout.flush()


def _write(stream: TextIO | None, text: str) -> None:
    if stream is None:  # closed before we started
        return
    encoding = getattr(stream, "encoding", None) or "utf-8"
    with _guarded(stream):
        stream.write(text.encode(encoding, "backslashreplace").decode(encoding))
        stream.flush()


@contextmanager
def _guarded(stream: TextIO) -> Iterator[None]:
    try:
        yield
    except BrokenPipeError:
        _silence(stream)
    except OSError as error:
        _silence(stream)
        code = "disk-full" if error.errno in {errno.ENOSPC, errno.EDQUOT} else ""
        raise OutputUnwritable(
            f"cannot write the result to stdout: {error.strerror}",
            code=code,
            next="send it somewhere else, or free some space",
        ) from error


def finish() -> None:
    """End a run: what the streams still hold is written, or dropped where its reader went away."""
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:
            try:
                stream.flush()
            except (OSError, ValueError):
                _silence(stream)


def _silence(stream: TextIO) -> None:
    """Point a broken stream at /dev/null, so that what it still holds cannot fail again when Python exits."""
    with suppress(OSError, ValueError):
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, stream.fileno())
        os.close(null)


def binary_stdout(flag: str) -> BinaryIO:
    """Return stdout for bytes. Raises `UsageProblem` naming `flag` when it is a terminal or closed."""
    if sys.stdout is None or sys.stdout.isatty():
        state = "closed" if sys.stdout is None else "a terminal"
        raise UsageProblem(f"{flag} writes binary data, and stdout is {state}", next="redirect it to a file or a pipe")
    sys.stdout.flush()
    return sys.stdout.buffer


def confirm(question: str, *, flag: str = "--yes") -> bool:
    """Ask a yes/no question on the terminal; anything but `y` or `yes` is no.

    Raises `UsageProblem` naming the flag that answers it when stdin is not a terminal.
    """
    if sys.stdin is None or not sys.stdin.isatty():
        raise UsageProblem(
            f"{question} needs an answer, and stdin is not a terminal",
            code="needs-answer",
            safe="nothing was changed",
            next=f"the same command with {flag}",
        )
    with suppress(OutputUnwritable):
        _write(sys.stderr, f"{visible(question)} [y/N] ")
    return sys.stdin.readline().strip().lower() in {"y", "yes"}


def width(stream: TextIO | None = None) -> int:
    """Return the columns to fill: `COLUMNS`, else the terminal's, else 80 (never under 20 or above 500)."""
    given = os.environ.get("COLUMNS", "")
    columns = int(given) if given.isascii() and given.isdigit() and len(given) < 6 else 0
    if columns <= 0:
        try:
            columns = os.get_terminal_size((stream or sys.stdout).fileno()).columns
        except (OSError, ValueError, AttributeError):
            columns = 0
    return min(max(columns or 80, 20), 500)


def is_rich(stream: TextIO | None) -> bool:
    """Say whether `stream` is a terminal that moves its cursor (`TERM=dumb` does not)."""
    return stream is not None and stream.isatty() and os.environ.get("TERM", "") not in {"", "dumb", "unknown"}


def table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print a table on stdout: with rich on a terminal, else plain text for pipes and files."""
    safe = [[visible(cell) for cell in row] for row in rows]
    if is_rich(sys.stdout) and safe:
        _write(sys.stdout, _rich_table(columns, safe))
    else:
        out(plain_table(columns, safe, width()))


def _rich_table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    grid = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
    sizes = [max(cells(line[index]) for line in (columns, *rows)) + COLUMN_GAP for index in range(len(columns))]
    whole = sum(sizes[:-1]) + NARROWEST <= width()  # then only the last one is folded: an id stays whole, to be copied
    for index, name in enumerate(columns):
        grid.add_column(name, overflow="fold", no_wrap=whole and index < len(columns) - 1)
    for row in rows:
        grid.add_row(*map(Text, row))
    console = Console(file=sys.stdout, width=width(), markup=False, highlight=False, emoji=False)
    with console.capture() as captured:
        console.print(grid)
    return captured.get()
