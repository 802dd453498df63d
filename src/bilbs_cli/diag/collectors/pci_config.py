"""What a PCI function says of itself: its configuration space (PCI and PCIe base specifications), and its names."""

from __future__ import annotations

import re
import struct
from typing import Any

HEADER_BYTES = 64
GONE = b"\xff\xff\xff\xff"  # what a read returns when no device answers
EXTENDED_CAPABILITIES = 0x100
ACS = 0x000D  # extended capability: access control services
CAPABILITY_LIST = 0x10  # status bit
PCI_EXPRESS = 0x10  # capability: PCI Express
ASPM = {0: "disabled", 1: "L0s", 2: "L1", 3: "L0s L1"}
ACS_BITS = (
    "source_validation",
    "translation_blocking",
    "request_redirect",
    "completion_redirect",
    "upstream_forwarding",
    "egress_control",
    "direct_translated",
)
PORTS = {
    0: "endpoint",
    1: "legacy_endpoint",
    4: "root_port",
    5: "upstream_port",
    6: "downstream_port",
    7: "bridge_to_pci",
    8: "bridge_from_pci",
    9: "root_complex_endpoint",
    10: "root_complex_event_collector",
}
NEXT_VENDOR = re.compile(rb"^[0-9a-fC]", re.MULTILINE)  # a vendor, or the list of classes at the end of pci.ids
CLASSES = {"0200": "nic", "0207": "infiniband", "0108": "nvme", "0107": "storage", "0104": "storage", "0106": "storage"}


def answers(config: bytes) -> bool:
    """Say whether a device answered: one that fell off the bus reads as all ones. Raises `ValueError` when too short.

    >>> answers(bytes.fromhex("de103023")), answers(bytes.fromhex("ffffffff"))
    (True, False)
    """
    if len(config) < 4:
        raise ValueError(f"configuration space of {len(config)} bytes")
    return config[:4] != GONE


def capability(config: bytes, wanted: int) -> int | None:
    """Return the offset of a standard capability, None when it is not in the list (or the list is a loop)."""
    if len(config) < HEADER_BYTES or not struct.unpack_from("<H", config, 6)[0] & CAPABILITY_LIST:
        return None
    offset, seen = config[0x34] & 0xFC, set[int]()
    while HEADER_BYTES <= offset < len(config) - 1 and offset not in seen:
        if config[offset] == wanted:
            return offset
        seen.add(offset)
        offset = config[offset + 1] & 0xFC
    return None


def extended_capability(config: bytes, wanted: int) -> int | None:
    """Return the offset of an extended capability, None when it is not in the list (or the list is a loop)."""
    offset, seen = EXTENDED_CAPABILITIES, set[int]()
    while EXTENDED_CAPABILITIES <= offset <= len(config) - 4 and offset not in seen:
        (header,) = struct.unpack_from("<I", config, offset)
        if header & 0xFFFF == wanted and header not in {0, 0xFFFFFFFF}:
            return offset
        seen.add(offset)
        offset = header >> 20 & 0xFFC
    return None


def details(config: bytes) -> dict[str, Any]:
    """Return port type, ASPM and enabled ACS controls, as far as `config` reaches (256 bytes, or 4096 read by root).

    Offsets: PCI Express capability 7.5.3 (flags at 2, link control at 0x10), ACS 7.7.11 (control at 6).
    """
    found: dict[str, Any] = {}
    express = capability(config, PCI_EXPRESS)
    if express is not None and express + 0x12 <= len(config):
        (flags,) = struct.unpack_from("<H", config, express + 2)
        (control,) = struct.unpack_from("<H", config, express + 0x10)
        found = {"port_type": PORTS.get(flags >> 4 & 0xF, f"type {flags >> 4 & 0xF}"), "aspm": ASPM[control & 3]}
    acs = extended_capability(config, ACS)
    if acs is not None and acs + 8 <= len(config):
        (control,) = struct.unpack_from("<H", config, acs + 6)
        found["acs_enabled"] = [name for bit, name in enumerate(ACS_BITS) if control >> bit & 1]
    return found


def link_speed(text: str) -> float:
    """Return GT/s of a link attribute (`32.0 GT/s PCIe`; before Linux 5.10 `8 GT/s`). Raises `ValueError`.

    >>> link_speed("32.0 GT/s PCIe")
    32.0
    """
    number = re.match(r"([\d.]+) GT/s", text)
    if not number:
        raise ValueError(f"not a link speed: {text!r}")
    return float(number[1])


def identifier(text: str) -> str:
    """Return an identifier of sysfs as lspci and pci.ids spell it. Raises `ValueError`.

    >>> identifier("0x10DE")
    '10de'
    """
    int(text, 16)
    return text.lower().removeprefix("0x")


def names(database: bytes, vendor: str, device: str) -> tuple[str | None, str | None]:
    r"""Return vendor and device names from pci.ids, None where it does not know them.

    >>> names(b"10de  NVIDIA Corporation\n\t2330  GH100 [H100]\n\t\t10de 16c1  x\n15b3  Mellanox\n", "10de", "2330")
    ('NVIDIA Corporation', 'GH100 [H100]')
    """
    wanted = f"{vendor}  ".encode()
    start = 0 if database.startswith(wanted) else database.find(b"\n" + wanted) + 1
    if not database.startswith(wanted, start):
        return None, None
    end = database.find(b"\n", start)
    end = len(database) if end < 0 else end
    following = NEXT_VENDOR.search(database, end)
    inner = re.search(
        rb"^\t%s  (.*)$" % device.encode(), database[end : following.start() if following else None], re.MULTILINE
    )
    vendor_name = database[start + len(wanted) : end].decode("utf-8", "replace")
    return vendor_name, inner[1].decode("utf-8", "replace") if inner else None


def kind(vendor: str, class_code: str) -> str | None:
    """Return what a function is to us: `gpu`, `nvswitch`, `nic`, `infiniband`, `nvme`, `storage`, None for the rest.

    Class codes: PCI Code and ID Assignment (0300 VGA, 0302 3D, 0680 other bridge, 0207 InfiniBand).

    >>> kind("10de", "030200"), kind("10de", "068000"), kind("15b3", "020700"), kind("8086", "060400")
    ('gpu', 'nvswitch', 'infiniband', None)
    """
    base = class_code[:4]
    if vendor == "10de" and base in {"0300", "0302", "0380", "1200"}:
        return "gpu"
    if vendor == "10de" and base == "0680":
        return "nvswitch"
    return CLASSES.get(base)
