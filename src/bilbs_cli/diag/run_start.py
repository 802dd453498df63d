"""How a run begins, with an archive or without: it steps back behind the box's own work, and notes what it is."""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime
from typing import Any

from bilbs_cli.diag.collectors import COLLECTORS
from bilbs_cli.diag.redaction import Redactor
from bilbs_cli.diag.requests import Request


def header(request: Request, now: datetime, host: str, redactor: Redactor) -> Mapping[str, Any]:
    """Return what a run knows of itself: the front pages of a resumed run need it."""
    options = request.options
    return {
        "host": host,
        "started_at": now.isoformat(timespec="milliseconds"),
        "profile": options.profile.value,
        "root": options.root,
        "rules_version": redactor.rules_version,
        "pseudonymized": request.options.pseudonymize,
        "collectors": [one.name for one in request.collectors],
        "left_out": [one.name for one in request.left_out],
        "titles": {one.name: one.title for one in COLLECTORS},
        "options": {
            "since": options.since.isoformat(timespec="seconds") if options.since else "all",
            "deadline_s": request.deadline_s,
            "sysroot": str(options.sysroot) if options.sysroot else None,
            "max_file_bytes": options.max_file_bytes,
            "services": list(options.services),
            "bmc_host": options.bmc.host if options.bmc else None,
        },
    }


def be_nice(level: int) -> None:
    """Step back behind the box's own work: nice(2), and the lowest best-effort input/output priority (ioprio_set(2))."""
    with suppress(OSError):
        os.nice(level)
    if level:
        with suppress(ImportError, OSError, AttributeError, ValueError):
            import psutil

            with suppress(psutil.Error):
                psutil.Process().ionice(psutil.IOPRIO_CLASS_BE, 7)
