"""From a request to a sealed bundle: secrets, spool, collectors, front pages, seal; and finishing interrupted runs."""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bilbs_cli import paths
from bilbs_cli.diag import child, collect, front, guard, memory, run_start
from bilbs_cli.diag.bundle import naming, runs, seal, space
from bilbs_cli.diag.bundle.manifest import Item
from bilbs_cli.diag.bundle.spool import Spool
from bilbs_cli.diag.collectors import COLLECTORS
from bilbs_cli.diag.redaction import Redactor
from bilbs_cli.diag.requests import Request
from bilbs_cli.errors import BilbsError, Interrupted, NotFound, OutputUnwritable

FIRST_PAGES = 2 << 20  # everything that is not a log, compressed
SPARE_PLACES = ("/dev/shm", "/var/tmp", "/tmp")  # noqa: S108 - for the work folder of `-o -`, made 0700
ORDER = ("bilbs", *(collector.name for collector in COLLECTORS))


@dataclass(frozen=True, slots=True)
class Outcome:
    """A bundle that was written. `path` is None when it went to stdout."""

    path: Path | None
    sha256: str
    size_bytes: int
    complete: bool
    duration_s: float
    collectors: tuple[collect.CollectorResult, ...] = ()
    items: tuple[Item, ...] = ()
    abandoned: tuple[str, ...] = ()
    root: bool = True


@dataclass(slots=True)
class Resumed:
    """What `bilbs diag resume` did: bundles finished, runs that still go on, runs that held nothing or failed, and why."""

    finished: list[Outcome] = field(default_factory=list)
    live: list[Path] = field(default_factory=list)
    empty: list[str] = field(default_factory=list)
    failed: list[BilbsError] = field(default_factory=list)


def collect_bundle(
    request: Request, watcher: collect.Watcher | None = None, to_stdout: Callable[[int], None] | None = None
) -> Outcome:
    """Collect and seal a bundle.

    With `request.out_dir` None it is made in a spare place and given to `to_stdout` as an open file. Raises
    `OutputUnwritable` (what was finished is kept), `SecretFound`, `Interrupted` (what was finished is kept).
    """
    began = time.monotonic()
    out_dir = request.out_dir or spare_place()
    space.check_space(out_dir, space.need_bytes(FIRST_PAGES, encrypted=bool(request.recipients)))
    run_start.be_nice(request.nice)
    known = guard.secrets_of_host(request.options)
    pseudonyms = guard.names_of_box() if request.options.pseudonymize else None
    redactor = Redactor(known=known.values(), custom=guard.custom_rules(request.custom_rules), pseudonyms=pseudonyms)
    now = datetime.now(UTC)
    host = redactor.text(platform.node()) if pseudonyms else platform.node()
    spool = Spool.create(
        out_dir,
        naming.bundle_name(host, now),
        run_start.header(request, now, host, redactor),
        request.compression,
        recipients=request.recipients,
        state_dir=paths.state_dir(),
    )
    try:
        run = _run(request, spool, redactor, watcher, max(request.deadline_s - (time.monotonic() - began), 0.1))
        sealed = seal.seal(spool, front.pages, order=ORDER, gate=guard.gate_for(known))
    except KeyboardInterrupt as signalled:
        spool.close()
        raise Interrupted(
            str(signalled) or "interrupted",
            safe=f"what was read so far is kept in {spool.volume.path}",
            next=f"bilbs diag resume -o {spool.out_dir}",
        ) from None
    except BaseException:
        spool.close()
        raise
    outcome = Outcome(
        sealed.path if request.out_dir else None,
        sealed.sha256,
        sealed.size_bytes,
        _complete(spool),
        round(time.monotonic() - began, 2),
        tuple(run.results()),
        tuple(spool.items),
        tuple(run.abandoned),
        request.options.root,
    )
    if not request.out_dir:
        _hand_over(sealed.path, to_stdout)
    return outcome


def resume_all(out_dir: Path | None) -> Resumed:
    """Finish every interrupted bundle of this state, and those in `out_dir`, with what had been read."""
    done = Resumed()
    found = runs.resumable(paths.state_dir(), out_dir)
    done.live = found.live
    for work in found.interrupted:
        try:
            done.finished.append(_resume(work))
        except NotFound as error:
            done.empty.append(str(error))
        except BilbsError as error:
            done.failed.append(error)
    return done


def _resume(work: Path) -> Outcome:
    began = time.monotonic()
    spool = Spool.reopen(work, state_dir=paths.state_dir())
    try:
        sealed = seal.seal(spool, front.pages, order=ORDER, gate=guard.gate_for(guard.secrets_of_host(None)))
    except BaseException:
        spool.close()
        raise
    return Outcome(
        sealed.path,
        sealed.sha256,
        sealed.size_bytes,
        _complete(spool),
        round(time.monotonic() - began, 2),
        items=tuple(spool.items),
    )


def _run(
    request: Request, spool: Spool, redactor: Redactor, watcher: collect.Watcher | None, seconds: float
) -> collect.Run:
    run = collect.Run(
        request.collectors,
        request.options,
        sink=spool,
        redactor=redactor,
        compression=request.compression,
        deadline_s=seconds,
        watcher=watcher,
        pairs=guard.keep_pairs,
    )
    trouble = ""
    try:
        run.run()
    except OutputUnwritable as error:  # the ballast is for this: seal what there is
        trouble = str(error)
    with suppress(OutputUnwritable):
        _add_memory(request, spool, redactor)
        spool.note(
            "ended",
            {
                "finished_at": datetime.now(UTC).isoformat(timespec="milliseconds"),
                "abandoned": run.abandoned,
                "trouble": trouble,
                "collectors": [_result(one) for one in run.results()],
            },
        )
    return run


def _add_memory(request: Request, spool: Spool, redactor: Redactor) -> None:
    """Put what earlier checks remember of this box into its facts: a bundle gives the same verdict everywhere."""
    root = request.options.sysroot
    for name, leaf in memory.recall(memory.place(root)).items():
        spool.fact(("memory", name), child.cleaned(redactor, leaf, name))
    if redactor.pseudonyms and (pairs := redactor.pseudonyms.new_pairs()):
        guard.keep_pairs(pairs)


def _result(one: collect.CollectorResult) -> dict[str, Any]:
    return {
        "name": one.name,
        "title": one.title,
        "status": one.status.value,
        "reason": one.reason,
        "duration_s": one.duration_s,
        "size_bytes": one.size_bytes,
    }


def _complete(spool: Spool) -> bool:
    return front.status(spool) == "complete"


def spare_place() -> Path:
    """Return the folder with the most room among those that are nobody's: the work folder of `-o -` is made there."""

    def room(place: str) -> int:
        try:
            state = os.statvfs(place)
        except OSError:
            return -1
        return state.f_bavail * state.f_frsize if os.access(place, os.W_OK) and not state.f_flag & os.ST_RDONLY else -1

    best = max(SPARE_PLACES, key=room)
    if room(best) < 0:
        raise OutputUnwritable(
            "no folder to make the bundle in: none of " + ", ".join(SPARE_PLACES) + " can be written",
            next="bilbs diag collect -o DIR, with a folder that can be written",
        )
    return Path(best)


def _hand_over(path: Path, to_stdout: Callable[[int], None] | None) -> None:
    handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        path.unlink()
        if to_stdout:
            to_stdout(handle)
    finally:
        os.close(handle)
