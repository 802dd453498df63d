"""What `bilbs diag show` prints: a bundle's verdict, box and timeline as one page; or its report as an HTML file."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from bilbs_cli import files, terminal
from bilbs_cli.diag import box_lines, check_lines, checked_json, report
from bilbs_cli.diag.checked import Checked
from bilbs_cli.diag.timeline import Moment
from bilbs_cli.errors import OutputUnwritable
from bilbs_cli.tables import wrapped

WIDEST = 100  # longer lines are hard to read
MOMENTS = 40  # of the timeline; the first cause and the newest are kept
STDOUT = "-"


def show(checked: Checked, html: Path | None) -> None:
    """Print the page, or write the report to `html` (`-`: stdout). Raises `OutputUnwritable`; overwrites nothing."""
    if html is not None:
        _write(report.page(checked), html)
        return
    terminal.emit("diag.check", checked_json.as_json(checked), text=lambda: terminal.out("\n".join(_page(checked))))


def _write(page: str, target: Path) -> None:
    if str(target) == STDOUT:
        terminal.out(page.removesuffix("\n"))
        return
    if target.exists() or target.is_symlink():
        raise OutputUnwritable(f"{target} exists already", code="exists", next=f"move {target} away, or name another")
    files.write_private(target, page.encode())
    terminal.emit("diag.report", {"path": str(target)}, text=str(target))


def _page(checked: Checked) -> Iterator[str]:
    width = min(terminal.width(), WIDEST)
    yield box_lines.name(checked.header, checked.facts)
    yield ""
    yield from check_lines.page(checked, width=width)
    for section in box_lines.sections(checked.facts):
        yield ""
        yield from section
    yield ""
    yield from _timeline(checked.timeline, width)


def _timeline(moments: tuple[Moment, ...], width: int) -> Iterator[str]:
    yield "TIMELINE (UTC; *: the first cause, ~: the time was worked out)"
    if not moments:
        yield "  nothing with a time was found"
    shown = moments[-MOMENTS:]
    if len(moments) > len(shown):
        earlier = [one for one in moments[:-MOMENTS] if one.first_cause]
        yield f"  {len(moments) - len(shown) - len(earlier)} earlier events are in findings.json"
        shown = (*earlier, *shown)
    for one in shown:
        mark = "*" if one.first_cause else "~" if one.guessed else " "
        head = f"{mark} {one.at:%Y-%m-%d %H:%M:%S} {one.source:<7} "
        times = f" (x {one.count})" if one.count > 1 else ""
        yield from wrapped(f"{one.text}{times}", head, width)
