"""`bilbs diag list` and `collect --dry-run`: what would be read, from where, how large, and what cannot be had here."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from bilbs_cli import terminal
from bilbs_cli.diag.bundle.frames import Compression, Frame
from bilbs_cli.diag.bundle.manifest import Item
from bilbs_cli.diag.collect import Run
from bilbs_cli.diag.job import Collector, Options
from bilbs_cli.diag.model import Status
from bilbs_cli.diag.redaction import Redactor
from bilbs_cli.quantities import show_size

if TYPE_CHECKING:
    from bilbs_cli.diag.requests import Request

DRY_DEADLINE_S = 10.0


@dataclass(slots=True)
class _Nowhere:
    """A sink that keeps nothing."""

    items: list[Item] = field(default_factory=list)

    def write(self, member: str, frame: Frame) -> None:
        """Drop a frame."""

    def finish(self, item: Item) -> Item:
        """Keep the item."""
        self.items.append(item)
        return item

    def fact(self, path: Sequence[str], leaf: object) -> None:
        """Drop a fact."""


def rehearse(request: Request) -> list[Item]:
    """Return what the collectors of `request` would read, in children, without reading it.

    `raw_bytes` of an item is the size it has now (0 for a command: not known before it runs).
    """
    sink = _Nowhere()
    Run(
        request.collectors,
        request.options,
        sink=sink,
        redactor=Redactor(),
        compression=Compression.ZSTD,
        deadline_s=min(request.deadline_s, DRY_DEADLINE_S),
        dry=True,
    ).run()
    order = {one.name: number for number, one in enumerate(request.collectors)}
    return sorted(sink.items, key=lambda item: order[item.collector])


def show(request: Request) -> None:
    """Print the rehearsal of a run."""
    items = rehearse(request)
    known = sum(item.raw_bytes for item in items)
    data = {
        "collectors": [one.name for one in request.collectors],
        "deadline_s": request.deadline_s,
        "known_bytes": known,
        "items": [_as_json(item) for item in items],
    }
    terminal.emit("diag.plan", data, text=lambda: _show(request, items, known))


def _as_json(item: Item) -> dict[str, Any]:
    return {
        "name": item.path,
        "collector": item.collector,
        "source": item.source,
        "status": item.status.value,
        "reason": item.reason,
        "size_bytes": item.raw_bytes,
    }


def _show(request: Request, items: Sequence[Item], known: int) -> None:
    rows = [
        (
            item.collector,
            show_size(item.raw_bytes) if item.raw_bytes else "-",
            item.source if item.status is Status.OK else f"{item.source} ({item.status.value}: {item.reason})",
        )
        for item in items
    ]
    terminal.table(("collector", "size", "source"), rows)
    for one in request.collectors:
        if one.reads:
            terminal.note(f"{one.name}: and readings of {', '.join(one.reads)}")
    terminal.note(
        f"Nothing was written. {len(items)} items, {show_size(known)} in files; commands have no size before they run. "
        f"Deadline {request.deadline_s:g} s."
    )


def list_collectors(request: Request) -> None:
    """Print the collectors: what each reads, and whether it can run here."""
    items, chosen = rehearse(request), request.collectors
    states = {one.name: _state(one, request.options, items) for one in chosen}
    data = [
        {
            "name": one.name,
            "title": one.title,
            "reads": list(one.reads),
            "timeout_s": one.timeout_s,
            "available": states[one.name][0],
            "why": states[one.name][1],
        }
        for one in chosen
    ]
    rows = [
        (one.name, states[one.name][0], f"{one.title}{_bracketed(states[one.name][1])}. " + "; ".join(one.reads))
        for one in chosen
    ]
    terminal.emit("diag.collectors", {"collectors": data}, text=lambda: terminal.table(("name", "here", "what"), rows))
    if sys.stdout.isatty() and not request.options.root:
        terminal.note("As root more can be read: sudo bilbs diag list")


def _bracketed(why: str) -> str:
    return f" ({why})" if why else ""


def _state(collector: Collector, options: Options, items: Sequence[Item]) -> tuple[str, str]:
    """Return yes, partly, no, and the first reason."""
    if obstacle := collector.obstacle(options):
        return "no", obstacle
    own = [item for item in items if item.collector == collector.name]
    bad = [item for item in own if item.status not in {Status.OK, Status.SKIPPED}]
    good = len(own) - len(bad)
    reason = str(bad[0].reason) if bad else ""
    if bad and not good:
        return "no", reason
    return ("partly", f"{reason}" + (f", and {len(bad) - 1} more" if len(bad) > 1 else "")) if bad else ("yes", "")
