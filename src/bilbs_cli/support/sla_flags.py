"""The command line of `bilbs support sla`, as it was typed."""

from typing import NamedTuple  # no __future__ annotations: each text would be compiled anew at every start


class Flags(NamedTuple):
    """What stood on the command line; None where a flag was not given."""

    provider: str | None = None
    tier: str | None = None
    severity: str | None = None
    kind: str | None = None
    channel: str | None = None
    opened: str | None = None
    events: str | None = None
    ticket: str | None = None
    tz: str | None = None
    country: str | None = None
    now: str | None = None
