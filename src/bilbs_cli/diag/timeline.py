"""What happened, in order: kernel, BMC event log (corrected by its clock's offset), PCIe errors, services, boots."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from bilbs_cli.diag.findings import Severity


@dataclass(frozen=True, slots=True)
class Moment:
    """One line of the timeline.

    `at` is aware, in UTC; `source` one of `kernel`, `sel`, `aer`, `service`, `boot`, `check`; `member` and `line` say
    where it stands in the bundle. `count` folds repeats, `last_at` is then the time of the last. `first_cause` marks the
    event that the rest followed. `corrected` says that the BMC's clock was set right by its offset; `guessed` that the
    time was worked out (a year, a zone or a boot time was not in the line).
    """

    at: datetime
    source: str
    text: str
    part: str = ""
    severity: Severity | None = None
    rule: str = ""
    member: str = ""
    line: int | None = None
    count: int = 1
    last_at: datetime | None = None
    first_cause: bool = False
    corrected: bool = False
    guessed: bool = False
