"""Every way bilbs ends: the exit table and the tree of errors.

    BilbsError
    ├── UsageProblem          2   a flag or an argument is wrong
    ├── LoginNeeded           4   no token, or one that the desk does not take
    ├── NotFound              5
    ├── Conflict              6   the desk says: not in this state, or it has changed
    ├── PlanRequired          7   the plan does not include it; never for tickets and the pager
    ├── BundleIncomplete     20
    ├── VerificationFailed    1   a bundle is not what it says
    ├── SecretFound           1   the seal gate found a secret of this host in a finished archive
    ├── Unavailable          69   the desk cannot be reached, or cannot answer now
    ├── OutputUnwritable     73   disk full, read-only, no permission on the output
    ├── Queued               75   it is safe in the outbox, and not delivered
    ├── PermissionNeeded     77
    ├── ConfigProblem        78
    └── Interrupted         130

An error says what happened, a stable code, what is safe, and the next command to type.
"""

from __future__ import annotations

from enum import IntEnum


class Exit(IntEnum):
    """Exit status of every command (sysexits(3) numbers where one fits)."""

    OK = 0
    FAILED = 1
    USAGE = 2
    CONDITION = 3
    LOGIN = 4
    NOT_FOUND = 5
    CONFLICT = 6
    PLAN_REQUIRED = 7
    WARNINGS = 10
    CRITICAL = 11
    INCOMPLETE = 20
    UNAVAILABLE = 69
    CANNOT_WRITE = 73
    QUEUED = 75
    PERMISSION = 77
    CONFIG = 78
    INTERRUPTED = 130


EXIT_MEANING: dict[Exit, str] = {
    Exit.OK: "ok",
    Exit.FAILED: "failed",
    Exit.USAGE: "usage: a flag or an argument is wrong",
    Exit.CONDITION: "the condition asked for does not hold (--exit-status, breached, unacked)",
    Exit.LOGIN: "login needed",
    Exit.NOT_FOUND: "not found",
    Exit.CONFLICT: "conflict",
    Exit.PLAN_REQUIRED: "plan required",
    Exit.WARNINGS: "warnings found",
    Exit.CRITICAL: "critical found",
    Exit.INCOMPLETE: "bundle incomplete: something timed out or failed",
    Exit.UNAVAILABLE: "service unavailable",
    Exit.CANNOT_WRITE: "cannot write the output",
    Exit.QUEUED: "queued, not delivered",
    Exit.PERMISSION: "permission",
    Exit.CONFIG: "config",
    Exit.INTERRUPTED: "interrupted",
}


class BilbsError(Exception):
    """An expected failure: `str(error)` says what happened.

    Attributes: `code` (stable, kebab-case, cited in scripts and tickets), `exit` (status of the process),
    `safe` (what was not lost or changed; may be empty), `next` (the command to type; may be empty).
    """

    code = "failed"
    exit = Exit.FAILED

    def __init__(self, message: str, *, code: str = "", safe: str = "", next: str = "") -> None:  # noqa: A002 - the word users read
        super().__init__(message)
        self.code = code or self.code
        self.safe = safe
        self.next = next


class UsageProblem(BilbsError):
    """A flag or an argument is wrong."""

    code = "usage"
    exit = Exit.USAGE


class LoginNeeded(BilbsError):
    """There is no token, or the desk does not take it."""

    code = "login"
    exit = Exit.LOGIN


class Conflict(BilbsError):
    """The desk says that the thing is not in a state for this, or has changed."""

    code = "conflict"
    exit = Exit.CONFLICT


class PlanRequired(BilbsError):
    """The plan does not include this."""

    code = "plan-required"
    exit = Exit.PLAN_REQUIRED


class Unavailable(BilbsError):
    """The desk cannot be reached, or cannot answer now; the same may succeed later."""

    code = "unavailable"
    exit = Exit.UNAVAILABLE


class Queued(BilbsError):
    """What was written is safe in the outbox, and not delivered."""

    code = "queued"
    exit = Exit.QUEUED


class NotFound(BilbsError):
    """A thing named by the user does not exist."""

    code = "not-found"
    exit = Exit.NOT_FOUND


class BundleIncomplete(BilbsError):
    """A bundle was written and something in it timed out or failed."""

    code = "bundle-incomplete"
    exit = Exit.INCOMPLETE


class VerificationFailed(BilbsError):
    """A bundle is not what it says it is."""

    code = "verification-failed"


class SecretFound(BilbsError):
    """The seal gate found a secret of this host in a finished archive."""

    code = "secret-in-bundle"


class OutputUnwritable(BilbsError):
    """The output cannot be written: disk full, read-only, no permission."""

    code = "cannot-write"
    exit = Exit.CANNOT_WRITE


class PermissionNeeded(BilbsError):
    """The operation needs rights that this user does not have."""

    code = "permission"
    exit = Exit.PERMISSION


class ConfigProblem(BilbsError):
    """A setting is broken; the message names file, line or key."""

    code = "config"
    exit = Exit.CONFIG


class Interrupted(BilbsError):
    """Ctrl-C, SIGTERM or SIGHUP ended the work; what was finished is kept."""

    code = "interrupted"
    exit = Exit.INTERRUPTED
