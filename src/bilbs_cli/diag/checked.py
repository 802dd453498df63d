"""One box at one moment: the snapshot that is judged, and what the check of it came to."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from bilbs_cli.diag.findings import Facts, Judgement, Severity
from bilbs_cli.diag.identity import GpuIdentity
from bilbs_cli.diag.timeline import Moment

LIVE, THIS_BUNDLE = "live", "this bundle"  # sources without a path: the box now, and the bundle that a page lies in


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The facts of a box at one moment, live, from a mounted system or from a bundle.

    `source` is the bundle's path, `live`, or the mounted system's root; `header` is what the run knew of itself
    (profile, options, root: see `run_start.header`). `text` is facts.json as it was written, empty where there is no
    such file: then readings have no line to cite.
    """

    host: str
    collected_at: datetime
    source: str
    tool: str
    header: Facts
    facts: Facts
    text: str = ""


@dataclass(frozen=True, slots=True)
class Checked:
    """A snapshot, judged.

    Its first fields are the snapshot's; `catalogue` is the version of the Xid data; `gpus` every GPU that anything knows
    of, in PCI order, missing ones included; `timeline` oldest first.
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
