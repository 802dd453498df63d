"""What a person sees while a collection or a transfer runs; without a thread, because the parent of a collection forks."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Self, TextIO

from bilbs_cli import terminal
from bilbs_cli.errors import UsageProblem
from bilbs_cli.escape import visible
from bilbs_cli.quantities import show_size, show_span
from bilbs_cli.tables import clip

if TYPE_CHECKING:
    from rich.live import Live

REDRAW_S = 0.2
PLAIN_S = 1.0
STILL_S = 5.0  # a plain line that says nothing new comes only so often
ROWS = 8

Running = Sequence[tuple[str, float, str]]  # name, seconds, what it is reading now


class Kind(StrEnum):
    """How progress is shown."""

    AUTO = "auto"  # rich on a terminal, plain on a dumb one, nothing in a pipe
    RICH = "rich"
    PLAIN = "plain"
    NONE = "none"


def kind_named(name: str) -> Kind:
    """Return the kind `name`. Raises `UsageProblem`."""
    try:
        return Kind(name)
    except ValueError:
        raise UsageProblem(
            f"--progress {name} is unknown; expected {', '.join(Kind)}", safe="nothing was done"
        ) from None


class _Display:
    """Something that is shown on a stream, in the kind that fits there."""

    def __init__(
        self, kind: Kind | str = Kind.AUTO, *, stream: TextIO | None = None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._stream = stream or sys.stderr
        self.kind = _settled(kind_named(kind), self._stream)
        self._clock = clock
        self._started = self._shown = clock()

    def _write(self, text: str) -> None:
        encoding = self._stream.encoding or "utf-8"
        self._stream.write(text.encode(encoding, "backslashreplace").decode(encoding))
        self._stream.flush()

    def _guarded(self, call: Callable[..., Any], *arguments: Any) -> None:
        try:
            call(*arguments)
        except ImportError:  # rich is damaged or missing
            self._degraded(Kind.PLAIN)
        except (OSError, ValueError):  # the terminal is gone (SSH), or its stream is closed: the work goes on
            self._degraded(Kind.NONE)

    def _degraded(self, kind: Kind) -> None:
        self.kind = kind


class Progress(_Display):
    """The display of one collection; `with` ends it on every way out. A terminal that went away is no error."""

    _live: Live | None = None
    _last: tuple[int, tuple[str, ...]] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self, names: Sequence[str]) -> None:
        """Begin: say what will be collected."""
        self._started = self._clock()
        self._shown = self._started - STILL_S
        if self.kind is Kind.PLAIN:
            self.line(f"bilbs: collecting {', '.join(names)}")
        elif self.kind is Kind.RICH:
            self._guarded(self._open)

    def update(self, running: Running, done: int, total: int, size_bytes: int) -> None:
        """Show the state of now, as often as makes sense: call it as often as you like."""
        passed = self._clock() - self._shown
        slowest = sorted(running, key=lambda item: -item[1])
        if self.kind is Kind.RICH and passed >= REDRAW_S:
            self._shown = self._clock()
            self._guarded(self._draw, slowest, self._headline(done, total, size_bytes))
        elif self.kind is Kind.PLAIN and passed >= PLAIN_S:
            state = (done, tuple(sorted(name for name, _, _ in running)))
            if state != self._last or passed >= STILL_S:
                self._shown, self._last = self._clock(), state
                parts = [self._headline(done, total, size_bytes), *(f"{_row(*item)}" for item in slowest[:3])]
                self.line("bilbs: " + "; ".join(parts))

    def line(self, text: str) -> None:
        """Print a line that stays, above the moving part."""
        if self._live:
            self._guarded(self._print, visible(text))
        elif self.kind is not Kind.NONE:
            self._guarded(self._write, visible(text) + "\n")

    def stop(self) -> None:
        """End the display and leave the terminal as it was."""
        if self._live:
            self._guarded(self._live.stop)
            self._live = None

    def _headline(self, done: int, total: int, size_bytes: int) -> str:
        return f"{done}/{total} done, {show_size(size_bytes)}, {self._clock() - self._started:.0f} s"

    def _open(self) -> None:
        from rich.console import Console
        from rich.live import Live

        console = Console(file=self._stream, markup=False, highlight=False, emoji=False)
        self._live = Live(
            console=console, auto_refresh=False, transient=True, redirect_stdout=False, redirect_stderr=False
        )
        self._live.start()
        console.show_cursor(True)  # a SIGKILL must not leave a terminal without one

    def _draw(self, slowest: Running, headline: str) -> None:
        from rich.text import Text

        if self._live is None:
            return
        width = self._live.console.width - 1
        lines = [Text(clip(f"collecting: {headline}", width), style="bold", no_wrap=True)]
        lines += [Text(clip(f"  {_row(*item)}", width), no_wrap=True) for item in slowest[:ROWS]]
        self._live.update(Text("\n").join(lines), refresh=True)

    def _print(self, text: str) -> None:
        from rich.text import Text

        if self._live:
            self._live.console.print(Text(text))

    def _degraded(self, kind: Kind) -> None:
        self.kind, self._live = kind, None


def _settled(kind: Kind, stream: TextIO | None) -> Kind:
    """Return what `auto` means here, and plain lines where a moving display cannot work."""
    if stream is None:
        return Kind.NONE
    if kind is Kind.AUTO:
        kind = Kind.RICH if stream.isatty() else Kind.NONE
    return Kind.PLAIN if kind is Kind.RICH and not terminal.is_rich(stream) else kind


def _row(name: str, seconds: float, what: str) -> str:
    return f"{clip(visible(name), 40)}: {seconds:.0f} s{', ' if what else ''}{clip(visible(what), 60)}"


class Transfer(_Display):
    """The display of one file that is read or sent: how much, how fast, how long it still takes."""

    _what, _from, _open = "", 0, False

    def __call__(self, what: str, done: int, total: int) -> None:
        """Show how far it is, as often as makes sense: call it as often as you like."""
        now = self._clock()
        if what != self._what:
            self._end()
            self._what, self._from, self._started, self._shown = what, done, now, 0.0
        every = REDRAW_S if self.kind is Kind.RICH else STILL_S
        if self.kind is Kind.NONE or (now - self._shown < every and done < total):
            return
        self._shown = now
        text = self._line(done, total, now)
        if self.kind is Kind.RICH:
            self._guarded(self._write, f"\r{clip(text, terminal.width(self._stream) - 1)}\x1b[K")
            self._open = True
        else:
            self._guarded(self._write, f"bilbs: {text}\n")
        if done >= total:
            self._end()

    def _line(self, done: int, total: int, now: float) -> str:
        passed = now - self._started
        rate = (done - self._from) / passed if passed > 0.2 else 0.0
        share = 100 * done // total if total else 100
        text = f"{self._what}: {share} % of {show_size(total)}"
        if rate > 0 and done < total:
            text += f", {show_size(rate)}/s, {show_span((total - done) / rate)} left"
        return text

    def _end(self) -> None:
        if self._open:
            self._open = False
            self._guarded(self._write, "\n")
