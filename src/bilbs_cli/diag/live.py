"""The facts of this box now, or of a mounted system, without an archive: what `diag check` judges."""

from __future__ import annotations

import platform
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from bilbs_cli import __version__
from bilbs_cli.diag import collect, guard, run_start
from bilbs_cli.diag.bundle.frames import Compression, Frame
from bilbs_cli.diag.bundle.manifest import Item
from bilbs_cli.diag.checked import Snapshot
from bilbs_cli.diag.redaction import Redactor
from bilbs_cli.diag.requests import Request


@dataclass(slots=True)
class _FactsOnly:
    """A sink that keeps no member: the run itself keeps the facts."""

    def write(self, member: str, frame: Frame) -> None:
        """Drop a frame."""

    def finish(self, item: Item) -> Item:
        """Drop the end of a member."""
        return item

    def fact(self, path: Sequence[str], leaf: object) -> None:
        """Leave a fact to the run."""


def snapshot(request: Request, watcher: collect.Watcher | None = None) -> Snapshot:
    """Collect the facts and return them as a snapshot. Nothing is written; the host is left as it was found."""
    run_start.be_nice(request.nice)
    known = guard.secrets_of_host(request.options)
    redactor = Redactor(known=known.values(), custom=guard.custom_rules(request.custom_rules))
    now = datetime.now(UTC)
    run = collect.Run(
        request.collectors,
        replace(request.options, facts_only=True),
        sink=_FactsOnly(),
        redactor=redactor,
        compression=Compression.ZSTD,
        deadline_s=request.deadline_s,
        watcher=watcher,
    )
    run.run()
    host = platform.node()
    return Snapshot(
        host=host,
        collected_at=now,
        source=str(request.options.sysroot or "live"),
        tool=f"bilbs {__version__}",
        header=run_start.header(request, now, host, redactor),
        facts=run.facts,
    )
