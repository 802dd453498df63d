"""The text of a ticket from an editor; what was typed stays on the disk until it is committed somewhere else."""

from __future__ import annotations

import os
import shlex
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from bilbs_cli import files, paths, process
from bilbs_cli.errors import BilbsError, Interrupted, UsageProblem

CUT = "# ------ everything below this line is left out ------"
HELP = """
{cut}
# What happened, since when, what is hit, what you have tried.
# The first line is the subject (unless --subject gives one). An empty text opens nothing.
"""


def wanted() -> bool:
    """Say whether a person sits at a terminal that an editor can use."""
    return all(stream is not None and stream.isatty() for stream in (sys.stdin, sys.stdout))


@contextmanager
def typed(env: Mapping[str, str] = os.environ) -> Iterator[str]:
    """Run the editor and give what was typed; the draft is deleted when the block ends well, else kept and named.

    Raises `UsageProblem` for an empty text, `BilbsError` where there is no editor.
    """
    folder = files.private_dir(paths.state_dir() / "drafts")
    draft = folder / f"ticket-{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime())}-{os.getpid()}.md"
    files.write_private(draft, HELP.format(cut=CUT).encode())
    _edit(draft, env)
    text = draft.read_text(encoding="utf-8", errors="replace").partition(CUT)[0].strip()
    if not text:
        draft.unlink(missing_ok=True)
        raise UsageProblem("the text is empty", code="empty-text", safe="nothing was sent")
    try:
        yield text
    except BilbsError as error:
        error.safe = f"{error.safe}; what you typed is {draft}".removeprefix("; ")
        error.next = error.next or f"the same command with -F {draft}"
        raise
    except KeyboardInterrupt as error:
        safe = f"what you typed is {draft}"
        raise Interrupted("interrupted before it was stored", safe=safe, next=f"-F {draft}") from error
    draft.unlink(missing_ok=True)


def _edit(draft: Path, env: Mapping[str, str]) -> None:
    command = env.get("VISUAL") or env.get("EDITOR") or "vi"
    try:
        status = process.interactive([*shlex.split(command), str(draft)])
    except (OSError, ValueError) as error:
        raise BilbsError(
            f"the editor {command} cannot be started: {error}",
            code="no-editor",
            safe="nothing was sent",
            next='-m "TEXT", -F FILE, or EDITOR=nano',
        ) from error
    if status:
        raise BilbsError(
            f"the editor {command} ended with {status}",
            code="editor-failed",
            safe=f"nothing was sent; what you typed is {draft}",
            next=f"-F {draft}",
        )
