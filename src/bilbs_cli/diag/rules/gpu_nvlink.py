"""Rules about a GPU's NVLinks: links that are down and were not always, and errors on those that are up."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta

from bilbs_cli.diag.findings import Case, Found, Gap, Rule, Severity, Unjudged, Verdict
from bilbs_cli.diag.inventory import NVLINK_PER_LINK, NVLINK_TOTALS
from bilbs_cli.diag.model import value
from bilbs_cli.diag.rules import gpu_past
from bilbs_cli.diag.rules.gpu_advice import CAPTURE, DIAGNOSE, SWAP_TEST
from bilbs_cli.diag.rules.gpu_readings import counter, links, shown
from bilbs_cli.diag.rules.gpu_siblings import siblings
from bilbs_cli.diag.rules.scopes import GPU

NVML = "https://docs.nvidia.com/deploy/nvml-api/group__NvLink.html"
DCGM = "https://github.com/NVIDIA/DCGM/blob/master/modules/health/DcgmHealthWatch.cpp"

UP = frozenset({"active", "sleep", "active, traffic disabled"})  # the last two are trained as well
CRC_A_SECOND = 100.0  # DCGM_LIMIT_MAX_NVLINK_CRC_ERROR
MINUTE = timedelta(minutes=1)
SHOWN = 12
# What one link counts: the call and the field of the same counter, the larger counts; what one kind adds up
FAILED = "counters/recoveries_failed"


def nvlink_down(case: Case) -> Iterator[Found]:
    """NVLink of the GPU is down that was up before.

    PCIe cards without a bridge have all links down, and that is as it should be: only a link that was ever up in the
    baseline counts. Without a baseline the other GPUs of the same model tell what is normal, when every one of them has
    the link up: critical where the link goes to a switch, which all GPUs have, else a warning, because a bridge joins
    some cards only. With MIG on, a GPU's links are off by design and are not judged.

    Fires:
        gpu/devices/0/pci_bus_id = "0000:3b:00.0"
        gpu/devices/0/nvlink/0/state = "active"
        gpu/devices/0/nvlink/1/state = "inactive"
        memory/baseline = {"taken_at": "2026-11-01T00:00:00+00:00", "gpus": [{"pci": "0000:3b:00.0", "serial": "1", "nvlinks_up": [0, 1]}]}
    Quiet:
        gpu/devices/0/pci_bus_id = "0000:3b:00.0"
        gpu/devices/0/nvlink/0/state = "inactive"
        gpu/devices/0/nvlink/1/state = "inactive"
        memory/baseline = {"taken_at": "2026-11-01T00:00:00+00:00", "gpus": [{"pci": "0000:3b:00.0", "serial": "1", "nvlinks_up": []}]}
    """
    states = _states(case)
    down = [name for name, state in states.items() if state not in UP]
    place = gpu_past.known_place(case)
    if place is None:
        yield from _unlike_siblings(case, states, down)
    elif lost := [name for name in down if int(name) in place.nvlinks_up]:
        yield _down(case, lost, "up in the baseline")


def _states(case: Case) -> dict[str, str]:
    """Return the states of the links that could be read. Raises `Unjudged`."""
    if case.get("mig_mode_current") is True:
        raise Unjudged("nvlink", "MIG is on: the links of this GPU are off by design", Gap.UNSUPPORTED)
    states = {name: case.get(f"nvlink/{name}/state") for name in links(case)}
    known = {name: state for name, state in states.items() if isinstance(state, str)}
    if not known:
        raise case.unread(f"nvlink/{next(iter(states))}/state" if states else "nvlink_states")
    return known


def _unlike_siblings(case: Case, states: dict[str, str], down: list[str]) -> Iterator[Found]:
    if not down:
        return
    others = siblings(case)
    lost = [name for name in down if others and all(value(one, "nvlink", name, "state") in UP for one in others)]
    if not lost and len(down) < len(states):
        raise Unjudged(gpu_past.BASELINE, "no baseline, and no GPU of this model tells which links should be up")
    if not lost:
        raise Unjudged(gpu_past.BASELINE, "no baseline, and no link is up: on a card without a bridge that is normal")
    switched = any(value(one, "nvlink", lost[0], "remote_type") == "switch" for one in others)
    severity = Severity.CRITICAL if switched else Severity.WARNING
    yield _down(case, lost, "up on every other GPU of this model", severity)


def _down(case: Case, lost: list[str], why: str, severity: Severity | None = None) -> Found:
    names = ", ".join(lost[:SHOWN]) + ", ..." * (len(lost) > SHOWN)
    text = f"NVLink {names} {'is' if len(lost) == 1 else 'are'} down, {why}"
    return Found(text, tuple(case.cite(f"nvlink/{name}/state") for name in lost), severity=severity)


@dataclass(frozen=True, slots=True)
class _Count:
    count: int
    path: str


def nvlink_errors(case: Case) -> Iterator[Found]:
    """Errors on the GPU's NVLinks.

    Replays and CRC errors are repaired by the link itself. DCGM fails a GPU with one replay or recovery within the last
    minute, and with 100 CRC errors a second; Meta's gcm tolerates none at all. Counters that are only read once say
    nothing about a rate: then a link that had to recover is a warning, a replay is for information. With an earlier check
    of this boot the growth is judged. A recovery that failed counts at once.

    Fires:
        gpu/devices/0/nvlink/0/state = "active"
        gpu/devices/0/nvlink/0/errors/recovery = 1
    Quiet:
        gpu/devices/0/nvlink/0/state = "active"
        gpu/devices/0/nvlink/0/errors/replay = 0
        gpu/devices/0/nvlink/0/errors/recovery = 0
        gpu/devices/0/nvlink/0/errors/crc_flit = 4
    """
    counts = {kind: found for kind in NVLINK_PER_LINK if (found := _counted(case, kind))}
    failed = _sum(case, (FAILED,))
    if not counts and failed is None:
        counters = [way for kinds in NVLINK_PER_LINK.values() for ways in kinds for way in ways]
        every = (f"nvlink/{name}/{way}" for name in links(case) for way in (*counters, FAILED))
        raise case.unread("nvlink_totals/replay", "nvlink_states", *every)
    said = [*_failed(failed), *(_said(case, kind, one) for kind, one in counts.items())]
    loud = [one for one in said if one]
    if loud:
        severity = max((severity for severity, _ in loud), key=lambda one: one.rank)
        quiet = severity is Severity.INFO
        yield Found(
            f"errors on this GPU's NVLinks: {', '.join(words for _, words in loud)}",
            tuple(case.cite(one.path) for one in [*counts.values(), failed] if one and one.count),
            severity=severity,
            verdict=Verdict.IGNORE if quiet else Verdict.INSPECT,
            next="nothing now; look again whether they grow: bilbs diag check" if quiet else "",
        )


def _counted(case: Case, kind: str) -> _Count | None:
    """Return a count over all links: the driver's total or the sum of the links, whichever is larger."""
    totals = [(count, path) for path in NVLINK_TOTALS[kind] if (count := counter(case, path)) is not None]
    total = _Count(sum(count for count, _ in totals), max(totals)[1]) if totals else None
    found = [one for one in (total, *(_sum(case, ways) for ways in NVLINK_PER_LINK[kind])) if one]
    return max(found, key=lambda one: one.count, default=None)


def _sum(case: Case, ways: tuple[str, ...]) -> _Count | None:
    """Return the sum of a counter over the links, with the path of the largest."""
    found = []
    for name in links(case):
        paths = [f"nvlink/{name}/{way}" for way in ways]
        if known := [(count, path) for path in paths if (count := counter(case, path)) is not None]:
            found.append(max(known))
    return _Count(sum(count for count, _ in found), max(found)[1]) if found else None


def _failed(failed: _Count | None) -> list[tuple[Severity, str] | None]:
    return [(Severity.WARNING, f"{failed.count} recoveries that failed")] if failed and failed.count else []


def _said(case: Case, kind: str, one: _Count) -> tuple[Severity, str] | None:
    """Return what a counter means: by its growth since an earlier check of this boot, else by what it stands at."""
    try:
        sample, before = gpu_past.since_boot(case, f"nvlink_{kind}", MINUTE)
    except Unjudged:
        if kind == "crc" or not one.count:
            return None
        words = f"{one.count} {_plural(kind, one.count)} since the driver was loaded"
        return (Severity.WARNING if kind == "recovery" else Severity.INFO), words
    grown = one.count - before
    if kind == "crc":
        rate = grown / (case.box.now - sample.at).total_seconds()
        return (Severity.WARNING, f"{shown(rate)} CRC a second") if rate >= CRC_A_SECOND else None
    return (
        (Severity.WARNING, f"{grown} {_plural(kind, grown)} since {sample.at:%Y-%m-%d %H:%M} UTC")
        if grown > 0
        else None
    )


def _plural(kind: str, count: int) -> str:
    return kind if count == 1 else {"recovery": "recoveries"}.get(kind, f"{kind}s")


GPU_NVLINK_RULES: tuple[Rule, ...] = (
    Rule(
        "gpu.nvlink.down",
        Severity.CRITICAL,
        Verdict.INSPECT,
        needs=(),
        source=NVML,
        judge=nvlink_down,
        scope=GPU,
        next=(
            "drain the box; look for SXid and Xid 74 in the kernel log and at nvidia-smi nvlink -s; "
            f"{CAPTURE}; then reset all GPUs with their switches, and where it stays, {SWAP_TEST}"
        ),
    ),
    Rule(
        "gpu.nvlink.errors",
        Severity.WARNING,
        Verdict.INSPECT,
        needs=(),
        source=DCGM,
        judge=nvlink_errors,
        scope=GPU,
        next=f"look which link it is: nvidia-smi nvlink -e; {DIAGNOSE}",
    ),
)
