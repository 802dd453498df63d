"""What `bilbs diag check` prints: the page for a person, JSON, a plugin's line, a textfile collector's page."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from bilbs_cli import terminal
from bilbs_cli.diag import check_formats, check_lines, checked_json
from bilbs_cli.diag.checked import Checked
from bilbs_cli.errors import Exit

KIND = "diag.check"
WIDEST = 100  # longer lines are hard to read


class Answered(Protocol):
    """What a run of `diag check` came to (`check_run.Done`)."""

    @property
    def checked(self) -> Checked:
        """Return the verdict."""

    @property
    def remembered(self) -> str:
        """Return in words what was remembered of it."""


def show(done: Answered, output_format: str = "text", fail_on: str = "warning") -> int:
    """Print the answer in one of the formats of `diag check` and return the exit status."""
    checked = done.checked
    if output_format == "nagios":
        text, status = check_formats.nagios(checked, fail_on)
        terminal.out(text)
        return status
    if output_format == "prometheus":
        terminal.out(check_formats.prometheus(checked).removesuffix("\n"))
    else:
        terminal.emit(KIND, checked_json.as_json(checked), text=lambda: show_text(checked, done.remembered))
    return exit_of(checked, fail_on)


def write_prometheus(checked: Checked, path: Path) -> None:
    """Write the textfile-collector page whole or not at all, for everyone to read. Raises `OutputUnwritable`."""
    from bilbs_cli import files

    files.write_private(path, check_formats.prometheus(checked).encode(), mode=0o644)


def tell_change(checked: Checked, place: Path, command: str | None, *, aloud: bool) -> None:
    """Say on one line, and by a hook, how the verdict has changed; it is told again where that fails. Raises `BilbsError`."""
    from bilbs_cli.diag import changes

    change = changes.noticed(checked, place)
    if change is None:
        return
    if aloud:
        terminal.out(str(change))
    if command is not None:
        changes.tell(change, command)
    changes.keep(checked, place)


def show_text(checked: Checked, remembered: str = "") -> None:
    """Print the page for a person, as wide as the terminal but no wider than a line can be read."""
    terminal.out("\n".join(check_lines.page(checked, remembered, min(terminal.width(), WIDEST))))


def exit_of(checked: Checked, fail_on: str = "warning") -> Exit:
    """Return the exit status: 0, 10 for warnings (0 with `fail_on` `critical`), 11, 20 where the state is unknown."""
    warned = Exit.WARNINGS if fail_on == "warning" else Exit.OK
    statuses = {"healthy": Exit.OK, "warning": warned, "critical": Exit.CRITICAL, "unknown": Exit.INCOMPLETE}
    return statuses[checked_json.status(checked)]
