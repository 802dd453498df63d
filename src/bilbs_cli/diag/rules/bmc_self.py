"""The BMC itself: whether it answers, its clock, its self test, its chassis and its FRUs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from bilbs_cli.diag.findings import Case, Found, Gap, Rule, Scope, Severity, Unjudged, Verdict, gap_of
from bilbs_cli.diag.model import ReadError, Value
from bilbs_cli.diag.rules.ipmi_states import IPMI
from bilbs_cli.diag.rules.scopes import SEL

SKEW_S = 60.0  # between the BMC's clock and the host's: more, and their logs do not fit together (ours)
PASSED, NOT_IMPLEMENTED = 0x55, 0x56  # Get Self Test Results, IPMI 2.0 section 20.4
REFUSED = ("PermissionError", "AuthenticationError")  # it answered, and would not talk to us
TEXT = 80
RESET = "Reset the BMC alone (ipmitool mc reset cold; the host goes on), then: bilbs diag check"
SELF = Scope(
    "bmc",
    "bmc",
    lambda _facts, _path: "bmc",
    lambda _: "the BMC was not asked",
    lambda _facts, _path: "the BMC",
)
FRU = Scope(
    "bmc:fru",
    "bmc/fru/*",
    lambda _facts, path: f"bmc:fru:{path[-1]}",
    lambda _: "the BMC's FRUs were not read",
    lambda _facts, path: f"FRU {path[-1]}",
)


def _list(found: object) -> list[str]:
    return [one[:TEXT] for one in found if isinstance(one, str)] if isinstance(found, list) else []


def unreachable(case: Case) -> Iterator[Found]:
    """The BMC is there, or was named, and did not answer.

    A BMC that hangs shows no sensor and no event: nothing about power and cooling is known. One that refuses us, or a box
    without an IPMI device, is not evaluated.

    Fires:
        bmc/session = error Timeout - no answer from the BMC in 15 s
    Quiet:
        bmc/session/interface = "/dev/ipmi0"
        bmc/device/id = 32
    """
    session, interface, device = (case.reading(path) for path in ("session", "session/interface", "device/id"))
    for path, reading in (("session", session), ("device/id", device)):
        if isinstance(reading, ReadError) and reading.kind in REFUSED:
            raise Unjudged(path, f"the BMC refuses: {reading.message}", Gap.DENIED)
        if isinstance(reading, ReadError) and (path == "session" or reading.kind in {"Timeout", "ProcessDied"}):
            yield Found(f"the BMC does not answer: {reading.message[:TEXT]}", (case.cite(path),))
            return
    if not isinstance(interface, Value):
        kind, reason = gap_of(session)
        raise Unjudged("session", f"there is no session with a BMC: {reason}", kind)


def clock_skew(case: Case) -> Iterator[Found]:
    """The BMC's clock is more than a minute from the host's, or was never set.

    Times of the event log in findings and in the timeline are corrected by the offset that the BMC has today; whoever
    reads ipmi/sel.txt finds both. A clock that was never set counts from the BMC's start: its events have no time.

    Fires:
        bmc/sel/clock_offset_s = 3605.0
    Quiet:
        bmc/sel/clock_offset_s = -2.0
    """
    offset, own = case.number("clock_offset_s"), case.get("bmc_time")
    if offset is not None:
        if abs(offset) > SKEW_S:
            side = "ahead of" if offset > 0 else "behind"
            words = (
                f"the BMC's clock is {abs(offset):.0f} s {side} the host's: times of its events are corrected by that"
            )
            yield Found(words, (case.cite("clock_offset_s"),))
    elif isinstance(own, str) and own.startswith("pre-init"):
        yield Found(f"the BMC's clock was never set ({own[:TEXT]}): its events have no time", (case.cite("bmc_time"),))
    else:
        raise case.unread("clock_offset_s", "bmc_time")


def self_test(case: Case) -> Iterator[Found]:
    """The BMC's own self test failed.

    Fires:
        bmc/self_test = {"result": "corrupted or inaccessible data or devices", "code": 87, "detail": 2, "faults": ["cannot access SDR repository"]}
    Quiet:
        bmc/self_test = {"result": "passed", "code": 85, "detail": 0, "faults": []}
    """
    found = case.get("self_test")
    code = found.get("code") if isinstance(found, Mapping) else None
    if not isinstance(found, Mapping) or not isinstance(code, int):
        raise case.unread("self_test")
    if code == NOT_IMPLEMENTED:
        raise Unjudged("self_test", "this BMC has no self test", Gap.UNSUPPORTED)
    if code != PASSED:
        faults = ", ".join(_list(found.get("faults")))
        said = str(found.get("result"))[:TEXT] + (f": {faults}" if faults else "")
        yield Found(f"the BMC's self test failed: {said}", (case.cite("self_test", said),))


def chassis_fault(case: Case) -> Iterator[Found]:
    """The chassis status of the BMC shows a fault of power, cooling or a drive.

    Fires:
        bmc/chassis/power_faults = ["fault"]
        bmc/chassis/state = ["cooling fault"]
    Quiet:
        bmc/chassis/power_faults = []
        bmc/chassis/state = ["front panel lockout"]
    """
    power = [f"power {one}" for one in _list(case.get("chassis/power_faults"))]
    state = [one for one in _list(case.get("chassis/state")) if one.endswith("fault")]
    cited = [path for path, loud in (("chassis/power_faults", power), ("chassis/state", state)) if loud]
    if cited:
        yield Found(f"the chassis reports: {', '.join([*power, *state])}", tuple(case.cite(path) for path in cited))


def fru_damaged(case: Case) -> Iterator[Found]:
    """A FRU of the BMC cannot be read as it should: a bad checksum, an area that is cut off.

    Common, and no fault of the part (https://github.com/kontron/python-ipmi/issues/186); serials from it are to be taken
    with care, and compared with the label.

    Fires:
        bmc/fru/1 = {"name": "PSU2 FRU", "problems": ["board area: bad checksum"]}
    Quiet:
        bmc/fru/1 = {"name": "PSU2 FRU", "problems": []}
    """
    found = case.get("")
    if not isinstance(found, Mapping) or not isinstance(found.get("problems"), list):
        raise case.unread("")
    problems = _list(found["problems"])
    if problems:
        name = str(found.get("name"))[:TEXT]
        yield Found(f"FRU {name}: {', '.join(problems[:4])}", (case.cite("", f"{name}: {', '.join(problems)}"),))


BMC_SELF_RULES = (
    Rule("bmc.unreachable", Severity.WARNING, Verdict.INSPECT, (), IPMI, unreachable, SELF, next=RESET),
    Rule(
        "bmc.clock",
        Severity.WARNING,
        Verdict.IGNORE,
        ("clock_offset_s|bmc_time",),
        IPMI,
        clock_skew,
        SEL,
        next="Set the BMC's clock (its web page, or ipmitool sel time set now), so that its next events fit the host's log.",
    ),
    Rule("bmc.selftest", Severity.WARNING, Verdict.INSPECT, ("self_test",), IPMI, self_test, SELF, next=RESET),
    Rule(
        "bmc.chassis.fault",
        Severity.WARNING,
        Verdict.INSPECT,
        ("chassis/power_faults", "chassis/state"),
        IPMI,
        chassis_fault,
        SELF,
        next="Look at the fault lights of the chassis; bmc.psu, bmc.fan.stopped and ipmi/sel.txt name the part.",
    ),
    Rule(
        "bmc.fru",
        Severity.INFO,
        Verdict.IGNORE,
        ("",),
        "https://github.com/kontron/python-ipmi/issues/186",
        fru_damaged,
        FRU,
        next="Compare serial and part number with the label before an RMA; the raw bytes are in the bundle below ipmi/.",
    ),
)
