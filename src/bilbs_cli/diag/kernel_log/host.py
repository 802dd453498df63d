"""Messages of the rest of the kernel: PCIe errors, machine checks, memory, storage, lockups, crashes.

Forms from the kernel's own sources (drivers/pci/pcie/aer.c, drivers/edac, drivers/firmware/efi/cper.c, mm/oom_kill.c,
kernel/hung_task.c, drivers/nvme/host, block/blk-core.c, fs/ext4, fs/xfs, fs/btrfs, drivers/md, drivers/thermal, mlx5) as
of Linux 3.10 to 6.12.
"""

from __future__ import annotations

import re
from typing import Any

from bilbs_cli.diag.kernel_log.messages import Form, Said, address, plain, shown
from bilbs_cli.diag.kernel_log.storage import STORAGE

PCI = r"(?:([0-9a-f]{4,8}):)?([0-9a-f]{2}):([0-9a-f]{2})\.([0-7])"
UNCORRECTED_BIT = 61  # of MCi_STATUS: Intel SDM 16.3.2.2, AMD APM 2 9.3.2

Detail = dict[str, Any]


def _aer(found: re.Match[str], message: str) -> Said | None:
    """Return a PCIe error: `pci` is the device that reported it, not the port that took the message.

    The port that received an error message says so, and then the device's own report follows: one error.
    """
    words = message.lower()
    devices = re.findall(PCI, words)
    if not devices:
        return None
    received = "received" in words
    pci = address(*(devices[-1] if received else devices[0]))
    severity = _severity(found[0].lower())
    pair = ("aer", pci, severity)
    return Said(
        "aer",
        shown(message),
        pci=pci,
        detail={"severity": severity},
        fold=(severity,),
        opens=pair if received else (),
        closes=pair if "bus error" in words else (),
    )


def _severity(words: str) -> str:
    if "dpc" in words or "(fatal)" in words:
        return "fatal"
    if "recover" in words:
        return "unrecovered"
    return "nonfatal" if "uncorrect" in words else "corrected"


def _mce(found: re.Match[str], message: str) -> Said:
    words = found[0].lower()
    status = found["status"]
    if status:
        corrected = not int(status, 16) >> UNCORRECTED_BIT & 1
    else:
        corrected = "uncorrected" not in words and any(
            word in words for word in ("corrected", "events logged", "cmci", "deferred")
        )
    detail: Detail = {"corrected": corrected}
    detail |= {name: int(found[name]) for name in ("cpu", "bank") if found[name]}
    return Said("mce", shown(message), detail=detail, fold=(corrected,))


def _ghes(found: re.Match[str], message: str) -> Said | None:
    severity = found["severity"].lower()
    if severity.startswith("info"):
        return None
    return Said("ghes", shown(message), detail={"severity": severity}, fold=(severity,))


LABEL = re.compile(r"\b(?:on|label) \"?([A-Za-z0-9_#.:/-]{2,80}(?: [A-Z0-9_]{1,16})?)\"?(?= \(|[,:]|$)")


def _edac(found: re.Match[str], message: str) -> Said:
    """Return a memory error with the DIMM that the driver names, and how many errors the one message stands for."""
    label = LABEL.search(found["rest"])
    detail: Detail = {"type": found["type"], "controller": found["mc"]}
    if label:
        detail["dimm"] = label[1]
    fold = (detail["type"], detail["controller"], detail.get("dimm"))
    return Said("edac", shown(message), detail=detail, fold=fold, count=int(found["count"] or 1))


def _oom(found: re.Match[str], message: str) -> Said:
    """Return a kill for lack of memory; recent kernels tell of each on two lines."""
    first = found["constraint"] is not None
    where = found["constraint"] if first else message[: found.start("verb")].lower()
    cgroup = "MEMCG" in where if first else "cgroup" in where
    pid, task = found["first_pid"] or found["pid"], found["first_task"] or found["task"]
    detail: Detail = {"cgroup": cgroup}
    detail |= {"task": task} if task else {}
    detail |= {"pid": int(pid)} if pid else {}
    pair = ("oom", pid) if pid else ()
    return Said(
        "oom",
        shown(message),
        detail=detail,
        fold=(cgroup,),
        opens=pair if first else (),
        closes=() if first else pair,
    )


def _link(found: re.Match[str], message: str) -> Said:
    device = found["slave"] or found["interface"] or found["device"] or found["port"] or ""
    return Said("link_down", shown(message), detail={"device": device} if device else {}, fold=(device,))


def _module(found: re.Match[str], message: str) -> Said:
    where = re.search(rf"mlx\d_core {PCI}", message)
    what = "insufficient power" if found["watts"] else "high temperature"
    detail: Detail = {"what": what}
    detail |= {name: int(found[name]) for name in ("watts", "module") if found[name]}
    return Said("ib_module", shown(message), pci=address(*where.groups()) if where else "", detail=detail, fold=(what,))


FORMS: tuple[Form, ...] = (  # the first that fits counts
    Form(
        ("PCIe Bus Error", "AER: ", "DPC: containment"),
        r"PCIe Bus Error: severity=[A-Z][a-z]{3,16}(?: \([A-Za-z-]{5,9}\))?"
        r"|AER: (?:Multiple )?(?:Correct|Uncorrect)(?:ed|able)(?: \([A-Za-z-]{5,9}\))? error"
        r"|AER: can't recover|AER: device recovery failed|DPC: containment event",
        _aer,
    ),
    Form(("event severity:",), r"\[Hardware Error\]: {1,8}event severity: (?P<severity>\w{1,16})", _ghes),
    Form(
        ("mce: ", "MCE: ", "Machine Check", "[Hardware Error]: ", "Memory failure: "),
        r"\[Hardware Error\]: CPU (?P<cpu>\d{1,5}): Machine Check(?: Exception)?: [0-9a-f]{1,16} Bank (?P<bank>\d{1,3}):"
        r" (?P<status>[0-9a-f]{1,16})|mce: \[Hardware Error\]: Machine check(?: events logged|:)"
        r"|\[Hardware Error\]: (?:Corrected|Uncorrected|Deferred|System Fatal)|mce: Uncorrected hardware memory error"
        r"|hardware memory corruption|Machine Check Exception|CMCI storm detected"
        r"|Memory failure: 0x[0-9a-f]{1,16}: recovery action",
        _mce,
    ),
    Form(
        ("EDAC ",),
        r"EDAC (?:\w{1,16} )?(?P<mc>MC\d{1,3}): (?:(?P<count>\d{1,6}) )?(?P<type>CE|UE)\b(?P<rest>.*)",
        _edac,
    ),
    Form(
        ("ut of memory", "oom-kill:constraint="),
        r"oom-kill:constraint=(?P<constraint>\w{1,40})(?:.{0,2000}?,task=(?P<first_task>[^,]{1,64}),pid=(?P<first_pid>\d{1,10}))?"
        r"|[Oo]ut of memory(?: \(\w{1,40}\))?: (?P<verb>Kill)(?:ed)? process (?P<pid>\d{1,10})(?:, UID \d{1,10})?,? ?"
        r"(?:\((?P<task>[^)]{1,64})\))?",
        _oom,
    ),
    Form(
        ("blocked for more than", "blocked in I/O wait for more than"),
        r"task (?P<task>.{1,64}?):\d{1,10} blocked (?:in I/O wait )?for more than (?P<seconds>\d{1,9}) seconds",
        plain("hung_task", told=("task",)),
    ),
    Form(
        ("soft lockup",),
        r"soft lockup - CPU#(?P<cpu>\d{1,5})(?: stuck for (?P<seconds>\d{1,9})s)?!?(?: \[(?P<task>.{1,64}?):\d{1,10}\])?",
        plain("soft_lockup", told=("cpu",)),
    ),
    Form(
        ("hard LOCKUP",),
        r"Watchdog detected hard LOCKUP(?: on cpu ?(?P<cpu>\d{1,5}))?",
        plain("hard_lockup", told=("cpu",)),
    ),
    Form(
        ("detected stall", "detected expedited stall", "self-detected stall", "kthread starved for"),
        r"rcu\w{0,12}.{0,40}?(?:detected (?:expedited )?stalls? on|kthread starved for)",
        plain("rcu_stall"),
    ),
    Form(("Kernel panic",), r"(?<!end )Kernel panic - not syncing:? ?(?P<why>.{0,80})", plain("panic", told=("why",))),
    Form(
        ("BUG: ", "Oops", "general protection fault", "kernel BUG at", "Internal error: ", "Unable to handle kernel"),
        r"BUG: (?:unable to handle|kernel NULL pointer|Bad page|Bad rss)|Oops: |(?<!\] )general protection fault|kernel BUG at"
        r"|Internal error: |Unable to handle kernel",
        plain("oops"),
    ),
    Form(
        ("temperature above threshold", "ritical temperature reached"),
        r"(?P<what>(?:Core|Package) temperature above threshold|[Cc]ritical temperature reached)",
        plain("thermal", told=("what",)),
    ),
    Form(
        ("insufficient power on the PCIe slot", "High Temperature"),
        r"insufficient power on the PCIe slot \((?P<watts>\d{1,5})W\)"
        r"|Port module event.{0,20}?(?:module (?P<module>\d{1,4}))?\b.{0,40}?High Temperature",
        _module,
    ),
    Form(
        ("ink is Down", "ink is down", "ink down", "ink DOWN", "link status definitely down"),
        r"\(slave (?P<slave>[\w.-]{1,32})\): link status definitely down"
        r"|link status definitely down for interface (?P<interface>[\w.-]{1,32})"
        r"|(?<![\w/-])(?P<device>[a-z][a-z0-9_.@-]{1,20}):? (?:NIC )?[Ll]ink (?:is )?[Dd]own\b"
        r"|(?P<port>[0-9a-f]{4}:[0-9a-f]{2}:[0-9a-f]{2}\.[0-7]): Port: \d{1,3} Link DOWN",
        _link,
    ),
    Form(("Linux version ",), r"^Linux version (?P<release>\S{1,80})", plain("boot", told=("release",))),
    *STORAGE,
)

_COMPILED = tuple((words, re.compile(pattern, re.DOTALL), build) for words, pattern, build in FORMS)


def read(message: str) -> Said | None:
    """Return what a message says, None for nothing of note.

    >>> read("EXT4-fs (sda1): Remounting filesystem read-only").detail
    {'device': 'sda1', 'type': 'EXT4-fs'}
    >>> read("nvme nvme0: 8/0/0 default/read/poll queues") is None
    True
    """
    for words, pattern, build in _COMPILED:
        for word in words:  # a loop, as `any` takes three times as long, and floods come here
            if word in message:
                if found := pattern.search(message):
                    return build(found, message)
                break
    return None


def triggers() -> tuple[str, ...]:
    """Return the words of which a line must have one to be looked at."""
    return tuple(word for words, _, _ in FORMS for word in words)
