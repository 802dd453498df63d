"""Xid errors of the NVIDIA driver: one rule per code of the catalogue, and one for codes it does not know."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any

from bilbs_cli.diag.baseline import history_of
from bilbs_cli.diag.findings import Box, Case, Found, Rule, Severity, Verdict
from bilbs_cli.diag.rules import catalogue
from bilbs_cli.diag.rules.catalogue import VERDICTS, Xid
from bilbs_cli.diag.rules.log_events import Gathered, gather
from bilbs_cli.diag.rules.scopes import LOGS

DAY_S, MINUTE_S = 86400.0, 60.0
GSP = (119, 120)
GSP_OFTEN = 3  # on one GPU only: not the driver's fault any more
SURVIVED = 3  # boots in which the same Xid was seen: it survived two reboots (gpud, xid/threshold.go)
RETURN = "that it comes again after a reboot or a power cycle"
FIELD = "the field diagnostic (NVIDIA fieldiag) that confirms it"
SWAP = "a swap test that shows whether the fault follows the card or stays with the slot"
ACTIONS: Mapping[int, tuple[str, Verdict]] = {  # nvml.h, nvmlDeviceGpuRecoveryAction_t
    0: ("no action", Verdict.IGNORE),
    1: ("a GPU reset", Verdict.RESET_GPU),
    2: ("a reboot of the node", Verdict.REBOOT),
    3: ("to drain the GPU's peers", Verdict.INSPECT),
    4: ("to drain the GPU's peers and reset the GPU", Verdict.RESET_GPU),
    5: ("to recover the IMEX domain", Verdict.INSPECT),
    6: ("a reset of the GPU's PCIe bus", Verdict.RESET_GPU),
    7: ("a reboot of the system", Verdict.REBOOT),
}


def action(number: object) -> tuple[str, Verdict]:
    """Return what a recovery action asks for, in words and as a verdict; an unknown number asks for a look."""
    if isinstance(number, int) and number in ACTIONS:
        return ACTIONS[number]
    return f"action {number}, which this version does not know", Verdict.INSPECT


def part_of(pci: str) -> str:
    """Return the id of the GPU that an event names."""
    return f"gpu:{pci}" if pci else "gpu:unknown"


def judge(case: Case, entry: Xid) -> Iterator[Found]:
    """Return one finding per GPU that logged the code."""
    for seen in case.box.derive(_by_code).get(entry.code, ()):
        yield from _told(case.box, entry, seen)


def judge_unknown(case: Case) -> Iterator[Found]:
    """Some Xid that the catalogue does not know.

    It is shown and never dropped: newer drivers log codes that NVIDIA's list does not have yet (173 and above stand only
    in the driver's source). `bilbs diag check BUNDLE` with a newer version judges an old bundle anew.

    Fires:
        log: Nov 21 03:12:01 gpu01 kernel: NVRM: Xid (PCI:0000:3b:00): 173, pid=4242, something new
    Quiet:
        log: Nov 21 03:12:01 gpu01 kernel: NVRM: Xid (PCI:0000:3b:00): 45, pid=4242, name=python, Ch 00000008
    """
    known = catalogue.load()
    for code, all_seen in case.box.derive(_by_code).items():
        if code not in known.xids:
            for seen in all_seen:
                words = f"Xid {code}, unknown to catalogue {known.version}"
                yield _found(seen, words, rule=f"xid.{code}", immediate=catalogue.NOT_SAID)


def _by_code(box: Box) -> dict[int, list[Gathered]]:
    found: dict[int, list[Gathered]] = {}
    for seen in gather(box, "xid"):
        if seen.code is not None:
            found.setdefault(seen.code, []).append(seen)
    return found


def _told(box: Box, entry: Xid, seen: Gathered) -> Iterator[Found]:
    """Return the finding of one code on one GPU: the special cases first, then what a repeat means."""
    special = {13: _graphics, 31: _page_fault, 154: _recovery} | dict.fromkeys(GSP, _gsp)
    if entry.code == 45:  # a consequence, however often: it never decides anything
        yield _found(seen, _words(entry), severity=Severity.INFO, verdict=Verdict.IGNORE, immediate=entry.immediate)
        return
    more = (
        _link(entry, seen)
        if 144 <= entry.code <= 150
        else special[entry.code](box, seen)
        if entry.code in special
        else {}
    )
    if not more and entry.repeated and seen.count > 1:
        more = {"severity": entry.repeated}
    more = _again(box, entry, seen) or more
    words = more.pop("words", "")
    have, missing = entry.have, entry.missing
    if (
        entry.recurs is Verdict.RMA and entry.severity is Severity.CRITICAL and not missing
    ):  # not yet, and what it takes
        have, missing = (f"Xid {entry.code} in a log",), (RETURN, FIELD, SWAP)
    base: dict[str, Any] = {
        "immediate": entry.immediate or catalogue.NOT_SAID,
        "have": have,
        "missing": missing,
    }
    yield _found(seen, _words(entry) + (f": {words}" if words else ""), **(base | more))


def _words(entry: Xid) -> str:
    return f"Xid {entry.code}: {entry.words}"


def _found(seen: Gathered, words: str, **more: Any) -> Found:
    return Found(
        words,
        seen.evidence(),
        part=part_of(seen.pci),
        count=seen.count,
        first_at=seen.first_at,
        last_at=seen.last_at,
        **more,
    )


def _again(box: Box, entry: Xid, seen: Gathered) -> dict[str, Any]:
    """Return what it means that the same error came again after a reboot, in the logs or in the memory of the box."""
    if entry.severity is not Severity.CRITICAL:
        return {}
    boots = max(seen.boots, _remembered_boots(box, entry.code, seen.pci))
    if boots >= 2 and entry.recurs is Verdict.RMA:
        return {
            "verdict": Verdict.RMA,
            "words": f"seen in {boots} boots",
            "have": (f"Xid {entry.code} in a log", f"it came again: in {boots} boots"),
            "missing": (FIELD, SWAP),
            "next": f"{entry.next} Then: bilbs diag rma BUNDLE --part {part_of(seen.pci)}",
        }
    if boots >= 2 and entry.recurs:
        return {"verdict": entry.recurs, "words": f"seen in {boots} boots: a reboot does not help"}
    if boots >= SURVIVED and entry.verdict.rank < Verdict.INSPECT.rank:
        return {"verdict": Verdict.INSPECT, "words": f"seen in {boots} boots: it survived two reboots"}
    return {}


def _remembered_boots(box: Box, code: int, pci: str) -> int:
    """Return in how many boots earlier checks saw this code on this GPU's slot, and this boot if it is a new one."""
    faults = history_of(box.facts).faults
    return len({one.boot for one in faults if one.rule == f"xid.{code}" and one.pci == pci and one.boot})


def _graphics(_box: Box, seen: Gathered) -> dict[str, Any]:
    """Xid 13 twice on one GPC and TPC within a day: that unit may be broken (NVSentinel, pull request 374)."""
    for _, event in seen.told:
        unit = (event.detail.get("gpc"), event.detail.get("tpc"))
        if None in unit or event.count < 2 or not _within(event.sightings[0].at, event.sightings[-1].at, DAY_S):
            continue
        return {
            "severity": Severity.WARNING,
            "verdict": Verdict.INSPECT,
            "words": f"{event.count} times on GPC {unit[0]} TPC {unit[1]} within a day",
            "next": "Drain the box and run the field diagnostic on this GPU: the same unit failed again.",
        }
    return {}


def _within(first: str | None, last: str | None, seconds: float) -> bool:
    from bilbs_cli.diag.findings import moment

    begin, end = moment(first), moment(last)
    return begin is None or end is None or (end - begin).total_seconds() <= seconds


def _page_fault(box: Box, seen: Gathered) -> dict[str, Any]:
    """Xid 31 on several GPUs within a minute: one application with one bug (NVSentinel, pull request 374)."""
    others = [one for one in gather(box, "xid") if one.code == 31 and one.pci != seen.pci]
    near = [
        other
        for other in others
        if any(abs((a - b).total_seconds()) <= MINUTE_S for a in seen.times for b in other.times)
    ]
    if not near:
        return {}
    return {
        "words": f"on {len(near) + 1} GPUs within a minute, so a bug of the application",
        "verdict": Verdict.RESTART_APP,
    }


def _gsp(box: Box, seen: Gathered) -> dict[str, Any]:
    """Xid 119 and 120 at least three times on one GPU and on no other: not the driver alone."""
    count = sum(one.count for one in gather(box, "xid") if one.code in GSP and one.pci == seen.pci)
    elsewhere = any(one.code in GSP and one.pci != seen.pci for one in gather(box, "xid"))
    if count < GSP_OFTEN or elsewhere:
        return {}
    return {"verdict": Verdict.INSPECT, "words": f"{count} GSP errors, on this GPU only"}


def _recovery(_box: Box, seen: Gathered) -> dict[str, Any]:
    """Xid 154: its last number says what the GPU needs now. The words behind it differ between drivers."""
    last = seen.sightings[-1][1].detail.get("action") if seen.sightings else None
    words, verdict = action(last)
    severity = Severity.INFO if verdict is Verdict.IGNORE else Severity.WARNING
    return {
        "severity": severity,
        "verdict": verdict,
        "words": f"it asks for {words}" if last else "no action is needed any more",
    }


def _link(entry: Xid, seen: Gathered) -> dict[str, Any]:
    """Xid 144 to 150: unit, sub-code and error status decide, and the line's own word whether it was fatal."""
    worst: tuple[int, int, dict[str, Any]] = (-1, -1, {})
    for _, event in seen.told:
        detail = event.detail
        row = catalogue.load().link(entry.code, detail.get("unit"), detail.get("subcode"), detail.get("status"))
        own = detail.get("fatal")
        fatal = own if isinstance(own, bool) else row.fatal if row else None
        verdict = row.verdict if row else VERDICTS[entry.immediate]
        severity = Severity.CRITICAL if fatal else Severity.WARNING
        if fatal is False and verdict is Verdict.IGNORE:
            severity = Severity.INFO
        unit = f"{detail.get('unit')}, link {detail.get('link')}, {'fatal' if fatal else 'not fatal' if fatal is False else 'severity not said'}"
        found = {
            "severity": severity,
            "verdict": verdict,
            "words": unit,
            "immediate": row.immediate if row else entry.immediate,
        }
        worst = max(worst, (severity.rank, verdict.rank, found), key=lambda one: one[:2])
    return worst[2]


def _doc(entry: Xid) -> str:
    """Return the page of a code."""
    sample = {
        13: "Graphics SM Warp Exception on (GPC 1, TPC 2, SM 0): Out Of Range Address",
        79: "GPU has fallen off the bus.",
        154: "GPU recovery action changed from 0x0 (None) to 0x1 (GPU Reset Required)",
    }.get(entry.code, "example")
    lines = [
        f"Xid {entry.code}: {entry.words}.",
        "",
        (
            f"NVIDIA's name for it is {entry.name}. Immediate action there: {entry.immediate or catalogue.NOT_SAID}; "
            f"to investigate: {entry.investigatory or catalogue.NOT_SAID}."
        ),
    ]
    if entry.deviation:
        lines += ["", f"Our verdict is another: {entry.deviation}"]
    if entry.follows:
        lines += ["", f"It often follows Xid {', '.join(map(str, sorted(entry.follows)))} and is then shown below it."]
    if entry.recurs:
        lines += ["", f"When it comes again after a reboot, the verdict is: {entry.recurs.words}."]
    lines += [
        "",
        f"What to do: {entry.next}",
        "",
        "Fires:",
        f"    log: Nov 21 03:12:01 gpu01 kernel: NVRM: Xid (PCI:0000:3b:00): {entry.code}, pid=4242, name=python, {sample}",
        "Quiet:",
        "    log: Nov 21 03:12:01 gpu01 kernel: NVRM: loading NVIDIA UNIX Open Kernel Module for x86_64  580.105.08",
    ]
    return "\n".join(lines)


def _rule(entry: Xid) -> Rule:
    return Rule(
        f"xid.{entry.code}",
        entry.severity,
        entry.verdict,
        needs=(),
        source=catalogue.load().xid_source,
        judge=partial(judge, entry=entry),
        scope=LOGS,
        next=entry.next,
        doc=_doc(entry),
    )


XID_RULES = (
    *(_rule(entry) for entry in catalogue.load().xids.values()),
    Rule(
        "xid.unknown",
        Severity.WARNING,
        Verdict.INSPECT,
        needs=(),
        source=catalogue.load().xid_source,
        judge=judge_unknown,
        scope=LOGS,
        next="Open a support case with the bundle (bilbs diag collect), and update bilbs: newer versions may know it.",
    ),
)
