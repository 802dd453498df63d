"""Messages of the NVIDIA driver: Xid, SXid, GPUs off the bus, failed starts; in every form that drivers have printed.

Forms from the driver's source (open-gpu-kernel-modules: kernel_rc.c, kern_gpu_error_cont_ga100.c, ras_events.h, osinit.c,
nvswitch), and from logs of drivers since 190.
"""

from __future__ import annotations

import re

from bilbs_cli.diag.kernel_log.messages import Said, address, shown
from bilbs_cli.diag.kernel_log.xid_detail import fatal, link_of, more

HEX2 = r"[0-9A-Fa-f]{2}"
ADDRESS = rf"(?:PCI:)?(?:([0-9A-Fa-f]{{4,8}}):)?({HEX2}):({HEX2})(?:\.([0-7]))?"
XID = re.compile(
    rf"(?<![A-Za-z])X(?i:id) \({ADDRESS}(?:[ ,]+([^)]{{0,64}}))?\):? ?(\d{{1,9}})(?!\d)(?:, ?(.*))?", re.DOTALL
)
OLD_XID = re.compile(
    rf"(?<![A-Za-z])X(?i:id) \([0-9A-Fa-f]{{2}}({HEX2}):({HEX2})\):? ?(\d{{1,9}})(?!\d)(?:, ?(.*))?", re.DOTALL
)
SXID = re.compile(rf"(?:nvidia-nvswitch(\d{{1,4}}):? )?SXid \({ADDRESS}\):? ?(\d{{1,9}})(?!\d)(?:, ?(.*))?", re.DOTALL)
MANAGER = re.compile(
    rf"(?:detected )?NVSwitch ((?:non-)?fatal) error (\d{{1,9}}) on .{{0,80}}?NVSwitch pci bus id {ADDRESS}(.*)",
    re.IGNORECASE | re.DOTALL,
)
LOST = re.compile(r"fallen off the bus", re.IGNORECASE)
NAMED = re.compile(rf"(?:GPU|The NVIDIA GPU)(?: at)? {ADDRESS}")
FAILED_START = re.compile(r"RmInitAdapter failed!?(?: \((0x[0-9a-fA-F]+:[0-9a-fA-FxX:]+)\))?|rm_init_adapter failed")
MISMATCH = re.compile(r"API mismatch")
RESET_REQUIRED = re.compile(r"NV_ERR_RESET_REQUIRED")
SERIAL = re.compile(r"GPU (?:Board Serial Number: ?|serial number is )([A-Z0-9]{6,24})")
UUID = re.compile(r"(GPU-[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12})")

INSTANCE = re.compile(r"GPU-I:(\d{1,4})(?:[ ,]+(?:GPU-)?CI:(\d{1,4}))?")
PROCESS = re.compile(r"pid='?(\d{1,11})'?(?=,|\s|$)")
NAME = re.compile(r"name='?([^,']{1,64})")
HEAD = re.compile(r"(?:pid=[^,]{0,40},? ?)?(?:name=[^,]{0,64}(?:,|$) ?)?")
CAUSE = re.compile(r"caused by previous Xid (\d{1,9})", re.IGNORECASE)
MORE_OF_IT = ("Severity", "Data {", "SOE HALT data")  # the rest of an SXid, on lines of its own
NEAR = 3  # messages of the driver after the one that named a GPU, in which it may still speak of it
HEADS = 4096  # SXids of which the first line is remembered


class Reader:
    """Understands messages in the order of a log: some of them speak of the GPU that an earlier one `named`."""

    def __init__(self) -> None:
        self._named, self._since = "", NEAR + 1
        self._heads: set[tuple[str, int]] = set()

    def name(self, pci: str) -> None:
        """Take note that a message named this GPU."""
        self._named, self._since = pci, 0

    def read(self, message: str) -> Said | None:
        """Return what a message says, None for nothing of note."""
        if said := xid(message):
            self.name(said.pci)
            return said
        if found := SXID.search(message):
            return self._sxid(found, message)
        if found := MANAGER.search(message):
            return _manager(found)
        if "NVRM" not in message:
            return None
        self._since += 1
        own = address(*found.groups()) if (found := NAMED.search(message)) else ""
        if own:
            self.name(own)
        return self._failure(message, own) or self._identity(message)

    def _failure(self, message: str, own: str) -> Said | None:
        text = shown(message)
        if LOST.search(message):
            return Said("off_bus", text, pci=own or self._near())
        if found := FAILED_START.search(message):
            detail = {"status": found[1]} if found[1] else {}
            opens, closes = (("start", own), ()) if found[0].startswith("R") else ((), ("start", own))
            return Said("nvrm_init", text, pci=own, detail=detail, fold=(found[1],), opens=opens, closes=closes)
        if MISMATCH.search(message):
            return Said("nvrm_mismatch", text)
        return Said("nvrm_reset_required", text, pci=own) if RESET_REQUIRED.search(message) else None

    def _identity(self, message: str) -> Said | None:
        """Return a serial or UUID that the driver prints beside an Xid, tied to the GPU that was named just before."""
        for name, pattern in (("serial", SERIAL), ("uuid", UUID)):
            if found := pattern.search(message):
                return Said(
                    "nvrm_identity", shown(message), pci=self._near(), detail={name: found[1]}, fold=(found[1],)
                )
        return None

    def _near(self) -> str:
        return self._named if self._since <= NEAR else ""

    def _sxid(self, found: re.Match[str], message: str) -> Said | None:
        """Return an SXid; its further lines (severity, data) are events only where the first one is missing."""
        switch, domain, bus, device, function, number, rest = found.groups()
        code, pci, rest = int(number), address(domain, bus, device, function), rest or ""
        if rest.startswith(MORE_OF_IT) and (pci, code) in self._heads:
            return None
        if len(self._heads) < HEADS:
            self._heads.add((pci, code))
        detail = {"fatal": fatal(rest)} | ({"nvswitch": int(switch)} if switch else {}) | link_of(rest)
        return Said("sxid", shown(message), code, pci, detail, (detail.get("link"), detail["fatal"]))


def xid(message: str) -> Said | None:
    r"""Return an Xid, None where there is none.

    >>> xid("NVRM: Xid (PCI:0000:01:00 GPU-I:05): 79, pid=1, GPU has fallen off the bus.").pci
    '0000:01:00.0'
    >>> xid("NVRM: Xid (0001:00): 13, 0003 00000000 00005097").pci
    '0000:01:00.0'
    """
    if found := XID.search(message):
        domain, bus, device, function, instance, number, rest = found.groups()
    elif found := OLD_XID.search(message):  # up to driver 256: bus and slot
        domain, function, instance = None, None, None
        bus, device, number, rest = found.groups()
    else:
        return None
    code, rest = int(number), rest or ""
    detail, fold = more(code, HEAD.sub("", rest, count=1))
    detail = _whose(instance or "", rest) | detail
    if known := CAUSE.search(rest):
        detail["caused_by"] = int(known[1])
    start = max(message.rfind("NVRM:", 0, found.start()), 0)
    return Said(
        "xid",
        shown(message[start:]),
        code,
        address(domain, bus, device, function),
        detail,
        (*fold, detail.get("caused_by")),
    )


def _whose(instance: str, rest: str) -> dict[str, int | str]:
    """Return MIG instance and process."""
    detail: dict[str, int | str] = {"instance": instance.strip()} if instance.strip() else {}
    if known := INSTANCE.search(instance):
        detail["gpu_instance"] = int(known[1])
        if known[2]:
            detail["compute_instance"] = int(known[2])
    if known := PROCESS.search(rest):
        detail["pid"] = int(known[1])
    if (known := NAME.search(rest)) and not known[1].startswith("<unknown"):
        detail["name"] = known[1].strip()
    return detail


def _manager(found: re.Match[str]) -> Said:
    """Return an SXid as the fabric manager's own log tells it."""
    word, number, domain, bus, device, function, rest = found.groups()
    detail = {"fatal": not word.lower().startswith("non"), "from": "fabric_manager"}
    if port := re.search(r"port (\d{1,4})", rest):
        detail["link"] = int(port[1])
    pci = address(domain, bus, device, function)
    return Said("sxid", shown(found[0]), int(number), pci, detail, (detail.get("link"), detail["fatal"]))
