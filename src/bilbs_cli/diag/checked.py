"""What one check of one box came to: the one value that every report, page and format is made from."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from bilbs_cli.diag.findings import Facts, Judgement, Severity
from bilbs_cli.diag.identity import GpuIdentity
from bilbs_cli.diag.timeline import Moment


@dataclass(frozen=True, slots=True)
class Checked:
    """A box at one moment, judged.

    `source` is the bundle's path, `live`, or the mounted system's root; `header` is what the run knew of itself
    (profile, options, root: see `assembly._header`); `catalogue` the version of the Xid data; `gpus` every GPU that
    anything knows of, in PCI order, missing ones included; `timeline` oldest first.
    """

    host: str
    collected_at: datetime
    source: str
    tool: str
    header: Facts
    facts: Facts
    judgement: Judgement
    gpus: tuple[GpuIdentity, ...]
    timeline: tuple[Moment, ...]
    catalogue: str

    @property
    def worst(self) -> Severity | None:
        """Return the worst severity found."""
        return self.judgement.worst
