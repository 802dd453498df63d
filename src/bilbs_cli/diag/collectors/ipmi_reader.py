"""The hand of the BMC collector: a job and an open session, and what becomes of a fact when the BMC stops answering."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from bilbs_cli.diag.collectors.ipmi_sdr import FruLocator, Sensor
from bilbs_cli.diag.collectors.ipmi_session import Bmc
from bilbs_cli.diag.job import Job
from bilbs_cli.diag.model import NotCollected, Value

EXCHANGE_S = 6.0  # a little more than the interface itself waits for one answer
READING_S = 12.0  # several exchanges that make one fact


@dataclass(slots=True)
class Reader:
    """One pass over an open BMC; `sensors` and `frus` are what its sensor data records describe."""

    job: Job
    bmc: Bmc
    started: float
    sensors: list[Sensor] = field(default_factory=list)
    frus: list[FruLocator] = field(default_factory=list)

    def by(self, share: float) -> float:
        """Return the time (monotonic) at which `share` of the budget is used up: a slow BMC's next part begins then."""
        return self.started + (self.bmc.until - self.started) * share

    def late(self, share: float) -> bool:
        """Say whether `share` of the budget is used up."""
        return time.monotonic() > self.by(share)

    def read(self, path: Sequence[str], call: Callable[[], Any], timeout_s: float = EXCHANGE_S) -> Any:
        """Read one fact; once the BMC is not asked any more it is "not collected", with the reason."""

        def asked() -> Any:
            reason = self.bmc.why_not()
            return NotCollected(reason) if reason else call()

        found = self.job.read(path, asked, timeout_s=timeout_s)
        return None if isinstance(found, NotCollected) else found

    def attempt(self, key: str, call: Callable[[], Any], timeout_s: float = EXCHANGE_S) -> Any:
        """Ask for something that is not a fact by itself; None when it failed or the BMC is not asked any more."""
        return None if self.bmc.why_not() else self.job.attempt(key, call, timeout_s=timeout_s)

    def group(self, name: str, first: str, call: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        """Read the facts below `name` that one exchange tells; its failure becomes the fact `first`."""
        if reason := self.bmc.why_not():
            self.job.record((name, first), NotCollected(reason))
            return {}
        found: dict[str, Any] = self.attempt(f"{name}/{first}", call) or {}
        for field_name, value in found.items():
            self.job.record((name, field_name), Value(value))
        return found
