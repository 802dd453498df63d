"""Checks for the tests of what is printed: a box whose GPU fell off the bus, and judgements of any shape."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hypothesis import strategies as st

from bilbs_cli.diag import identity, suggest, timeline
from bilbs_cli.diag.checked import Checked
from bilbs_cli.diag.findings import (
    Box,
    Evidence,
    Finding,
    Gap,
    Judgement,
    NotEvaluated,
    Severity,
    Verdict,
    order,
)
from bilbs_cli.diag.kernel_log import events
from bilbs_cli.diag.kernel_log.events import Event, Log, Sighting
from bilbs_cli.diag.model import ReadError
from tests.diag.remembered import NOW, tree

PCI, PART = "0000:3b:00.0", "gpu:0000:3b:00.0"
KERN = "kernel/var/log/kern.log"
XID = "NVRM: Xid (PCI:0000:3b:00): 79, pid='<unknown>', name=<unknown>, GPU has fallen off the bus."
NOT_SUPPORTED = ReadError("NVMLError_NotSupported", "Not Supported", 3)


def kernel_logs(**logs: tuple[Event, ...]) -> dict[str, Any]:
    """Return the branch `kernel` of facts; `dmesg_txt` is dmesg.txt, `kern` kern.log, `journal` that of this boot."""
    members = {"dmesg": "dmesg.txt", "kern": "var/log/kern.log", "kern1": "var/log/kern.log.1"}
    members |= {"journal": "journal-this-boot.jsonl", "syslog": "var/log/syslog", "old": "journal-previous-boot.jsonl"}
    found = {members[name]: {"value": events.encode(Log("", 9999, one))} for name, one in logs.items()}
    return {"log": found}


def event(kind: str, *at: str, line: int = 1, count: int = 0, **more: Any) -> Event:
    """Return an event with a sighting a line; a time is `HH:MM:SS`, or `+SECONDS` since the boot."""
    sightings = tuple(
        Sighting(line + number, None, float(one[1:]), "this")
        if one.startswith("+")
        else Sighting(line + number, f"2026-11-21T{one}+00:00" if one else None)
        for number, one in enumerate(at)
    )
    detail = more.pop("detail", {})
    code, pci, text = more.pop("code", None), more.pop("pci", ""), more.pop("text", kind)
    assert not more
    return Event(kind, code, pci, text, count or len(at), sightings, detail)


def box(facts: Mapping[str, Any], **logs: tuple[Event, ...]) -> Box:
    """Return a box of facts and kernel logs."""
    return Box({**facts, "kernel": kernel_logs(**logs)}, NOW)


def dead_gpu_box() -> Box:
    """Return a box with two GPUs, of which the second fell off the bus."""
    facts = tree(
        {
            "system/booted_at": "2026-11-20T22:00:00+00:00",
            "gpu/system/nvml": "initialised",
            "gpu/devices/0/pci_bus_id": "0000:1b:00.0",
            "gpu/devices/0/serial": "1652324000311",
            "gpu/devices/0/name": "NVIDIA H100 80GB HBM3",
            "gpu/devices/0/temperature_c": 54,
            "gpu/devices/0/temperature_margin_c": 33,
            "gpu/devices/0/temperature_thresholds/slowdown_c": 92,
            "gpu/devices/0/temperature_thresholds/shutdown_c": 95,
            "gpu/devices/0/power_w": 68.57,
            "gpu/devices/0/power_limit_w": 700.0,
            "gpu/devices/0/ecc/volatile/corrected": 11,
            "gpu/devices/0/ecc/volatile/uncorrected": 0,
            "gpu/devices/0/remapped_rows/uncorrectable": 1,
            "gpu/devices/0/remapped_rows/pending": True,
            "gpu/devices/0/remapped_rows/failure": False,
            "gpu/devices/0/pcie/width_current": 16,
            "gpu/devices/0/pcie/replay_counter": NOT_SUPPORTED,
            "gpu/devices/1/pci_bus_id": PCI,
            "gpu/devices/1/temperature_c": ReadError("NVMLError_GpuIsLost", "GPU is lost", 15),
            "pci/slots/5": PCI[:-2],
        }
    )
    logs = {
        "kern": (
            event("xid", "03:12:01", line=2, code=79, pci=PCI, text=XID),
            event("xid", "03:12:02", "03:12:03", "03:12:09", line=3, count=30, code=45, pci=PCI, text="NVRM: Xid 45"),
        ),
    }
    return box(facts, **logs)


def dead_gpu_findings() -> tuple[Finding, ...]:
    """Return what the rules say of that box."""
    off = Finding(
        "xid.79",
        Severity.CRITICAL,
        Verdict.RMA,
        PART,
        "the GPU has fallen off the bus",
        (Evidence(KERN, XID, 2, at="2026-11-21T03:12:01+00:00"),),
        "drain the box, then cut its power for 30 s; if it comes back, run dcgmi diag -r 3",
        "https://docs.nvidia.com/deploy/xid-errors/",
        label="GPU 1 (0000:3b:00.0, slot 5)",
        have=("the Xid",),
        missing=("the same after a power cycle", "the field diagnostic"),
        first_at="2026-11-21T03:12:01+00:00",
        last_at="2026-11-21T03:12:01+00:00",
    )
    cleanup = Finding(
        "xid.45",
        Severity.INFO,
        Verdict.IGNORE,
        PART,
        "channels were cleaned up",
        (Evidence(KERN, "NVRM: Xid 45", 3),),
        "",
        "https://docs.nvidia.com/deploy/xid-errors/",
        label="GPU 1 (0000:3b:00.0, slot 5)",
        count=30,
        caused_by=off.key,
    )
    pending = Finding(
        "gpu.row_remap.pending",
        Severity.WARNING,
        Verdict.RESET_GPU,
        "gpu:0000:1b:00.0",
        "a row of memory waits to be remapped",
        (
            Evidence(
                "facts.json", "gpu/devices/0/remapped_rows/pending = True", 812, "gpu/devices/0/remapped_rows/pending"
            ),
        ),
        "reset the GPU at the next window: nvidia-smi --gpu-reset -i 0",
        "https://docs.nvidia.com/deploy/a100-gpu-mem-error-mgmt/",
        label="GPU 0 (0000:1b:00.0, serial 1652324000311)",
    )
    mode = Finding(
        "gpu.persistence",
        Severity.INFO,
        Verdict.IGNORE,
        "gpu:0000:1b:00.0",
        "persistence mode is off",
        (),
        "",
        "https://docs.nvidia.com/deploy/driver-persistence/",
        label="GPU 0 (0000:1b:00.0, serial 1652324000311)",
    )
    return order((off, cleanup, pending, mode))


def gaps() -> tuple[NotEvaluated, ...]:
    """Return what could not be evaluated."""
    unsupported = [
        NotEvaluated(f"gpu.a{n}", PART, Gap.UNSUPPORTED, "x", "x was not readable: Not Supported") for n in range(9)
    ]
    denied = [
        NotEvaluated(f"bmc.b{n}", "bmc:sel", Gap.DENIED, "sel", "sel was not readable: it needs root") for n in range(3)
    ]
    return (*unsupported, *denied)


def judge(box_: Box, *findings: Finding, **more: Any) -> Checked:
    """Return the check of a box with these findings."""
    judgement = Judgement(findings, more.get("gaps", ()), more.get("evaluated", 42), more.get("rules", 30))
    judgement = suggest.suggest(judgement, box_)
    return Checked(
        host=more.get("host", "gpu01"),
        collected_at=box_.now,
        source=more.get("source", "live"),
        tool="bilbs 0.1.0",
        header=more.get("header", {}),
        facts=box_.facts,
        judgement=judgement,
        gpus=identity.gpus(box_),
        timeline=timeline.build(box_, judgement),
        catalogue="2026-10",
    )


def dead_gpu() -> Checked:
    """Return the check of the box whose GPU fell off the bus."""
    return judge(dead_gpu_box(), *dead_gpu_findings(), gaps=gaps())


def quiet() -> Checked:
    """Return the check of a box with nothing to find."""
    return judge(dead_gpu_box())


HOSTILE = st.text(max_size=120) | st.sampled_from(
    ["", "|", "a|b\nc", '"\\\n', "\x1b]0;x\x07", "\u202egpu", "世界" * 60, "x" * 900, "'=;|", "\ud800"]
)
FINDINGS = st.builds(
    Finding,
    rule=st.sampled_from(["xid.79", "a.b", "host.panic", "bmc.psu.lost"]) | HOSTILE.filter(bool),
    severity=st.sampled_from(Severity),
    verdict=st.sampled_from(Verdict),
    part=st.sampled_from([PART, "host", "fs:/"]) | HOSTILE,
    message=HOSTILE,
    evidence=st.lists(
        st.builds(Evidence, HOSTILE, HOSTILE, st.none() | st.integers(0, 99), HOSTILE, st.none() | HOSTILE), max_size=3
    ).map(tuple),
    next=HOSTILE,
    source=HOSTILE,
    label=HOSTILE,
    missing=st.lists(HOSTILE, max_size=2).map(tuple),
    have=st.lists(HOSTILE, max_size=2).map(tuple),
    count=st.integers(1, 10**12),
    first_at=st.none() | HOSTILE,
    caused_by=st.sampled_from(["", "xid.79@gpu:0000:3b:00.0", "a.b@host", "nothing@nowhere"]),
)
GAPS = st.builds(NotEvaluated, HOSTILE, HOSTILE, st.sampled_from(Gap), HOSTILE, HOSTILE)
NUMBERS = (
    st.integers(-(10**400), 10**400)
    | st.floats()
    | st.booleans()
    | st.none()
    | HOSTILE
    | st.lists(st.integers(), max_size=2)
)
DEVICES = st.dictionaries(
    st.sampled_from(["0", "1", "07", "x", "-1", '"']),
    st.dictionaries(
        st.sampled_from(["temperature_c", "power_w", "pci_bus_id"]), NUMBERS.map(lambda one: {"value": one})
    ),
    max_size=3,
)


@st.composite
def checks(draw: st.DrawFn) -> Checked:
    """Return the check of a box with hostile readings, findings and gaps."""
    facts: dict[str, Any] = {**dead_gpu_box().facts, "gpu": {"devices": draw(DEVICES)}}
    findings = order(draw(st.lists(FINDINGS, max_size=30)))
    more = {"evaluated": draw(st.integers(0, 500)), "gaps": tuple(draw(st.lists(GAPS, max_size=5)))}
    more |= {"host": draw(HOSTILE), "source": draw(st.just("live") | HOSTILE)}
    return judge(Box(facts, NOW), *findings, **more)
