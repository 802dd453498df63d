"""The text of a ticket: where it comes from, what is missing in it, and where it must not go."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bilbs_cli import files
from bilbs_cli.errors import BilbsError, NotFound, UsageProblem
from bilbs_cli.providers.model import Provider, Severity

SUBJECT, BODY = 200, 100_000  # as in openapi.yaml


@contextmanager
def given(message: str | None, file: str | None) -> Iterator[str]:
    """Give what was written: as `text`, or typed in an editor where a person sits at a terminal and gave nothing.

    What was typed is kept on the disk when the block does not end well. Raises as `text`, and `BilbsError`.
    """
    if message is None and file is None:
        from bilbs_cli.support import editor

        if editor.wanted():
            with editor.typed() as typed:
                yield checked(typed)
            return
    yield text(message, file)


def text(message: str | None, file: str | None) -> str:
    """Return what was written: `-m`, `-F FILE`, or stdin where it is no terminal. Raises `UsageProblem`."""
    if message is not None and file is not None:
        raise UsageProblem("-m and -F do not go together", safe="nothing was sent")
    if message is not None:
        found = message
    elif file is not None and file != "-":
        found = _file(Path(file))
    elif file == "-" or (sys.stdin is not None and not sys.stdin.isatty()):
        found = sys.stdin.buffer.read(4 * BODY + 1).decode("utf-8", "replace")
    else:
        raise UsageProblem(
            "what happened?", code="needs-answer", safe="nothing was sent", next='-m "TEXT", -F FILE, or a pipe'
        )
    return checked(found)


def checked(found: str) -> str:
    """Return a text without the blanks around it. Raises `UsageProblem` for one that is empty or too long."""
    if not found.strip():
        raise UsageProblem("the text is empty", safe="nothing was sent", next='-m "TEXT", -F FILE, or a pipe')
    if len(found) > BODY:
        raise UsageProblem(
            f"the text has {len(found)} characters, {BODY} at most",
            safe="nothing was sent",
            next="attach the rest as a file",
        )
    return found.strip()


def _file(path: Path) -> str:
    try:
        with files.open_regular(path) as stream:
            return stream.read(4 * BODY + 1).decode("utf-8", "replace")
    except FileNotFoundError as error:
        raise NotFound(f"there is no file {path}", code="no-such-file", safe="nothing was sent") from error
    except (OSError, files.NotReadable) as error:
        raise BilbsError(f"cannot read {path}: {error}", code="unreadable", safe="nothing was sent") from error


def subject_of(given: str | None, body: str) -> str:
    """Return the subject: given, else the first line of the text. Raises `UsageProblem` for one that is too long."""
    found = " ".join((given if given is not None else body.split("\n", maxsplit=1)[0]).split())
    if given is not None and (not found or len(found) > SUBJECT):
        raise UsageProblem(f"--subject: a line of at most {SUBJECT} characters", safe="nothing was sent")
    return found if len(found) <= SUBJECT else f"{found[: SUBJECT - 3]}..."


def require_impact(provider: Provider, severity: Severity, impact: str | None) -> None:
    """Raise `UsageProblem` where the plan wants an impact statement for that level and there is none."""
    if severity.impact_statement and not (impact or "").strip():
        raise UsageProblem(
            f"{provider.name} wants an impact statement for {severity.name}: what is hit, how many people, is production down",
            code="needs-impact",
            safe="nothing was sent",
            next='--impact "..."',
        )


def refuse_elsewhere(provider: Provider, category: str | None) -> None:
    """Raise `UsageProblem` with the right address for a category that support does not take."""
    if category is None:
        return
    wanted = category.strip().lower().replace("-", "_")
    found = next((one for one in provider.elsewhere if one.id == wanted), None)
    if found is not None:
        raise UsageProblem(
            f"{found.what}: not for support ({found.source})",
            code="wrong-channel",
            safe="nothing was sent",
            next=f"write to {found.address}",
        )
