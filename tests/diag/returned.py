"""Boxes and packets for the tests of `diag rma`: a dead GPU in boxes of three makers."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

from bilbs_cli.diag import rma
from bilbs_cli.diag.checked import Checked
from bilbs_cli.diag.findings import Box, Finding
from bilbs_cli.diag.model import ReadError
from bilbs_cli.diag.rma import Packet, ReadMembers, Source
from tests.diag.judged import KERN, PCI, XID, dead_gpu_box, dead_gpu_findings, judge
from tests.diag.remembered import NOW, tree

SERIAL = "1652324001311"
BASELINE = {
    "taken_at": "2026-11-01T00:00:00+00:00",
    "by": "a clean check",
    "gpus": [
        {"pci": PCI, "serial": SERIAL, "uuid": "GPU-b", "part_number": "692-2G520-0200-000", "slot": "5", "index": 1}
        | {"name": "NVIDIA H100 80GB HBM3", "vbios": "96.00.99.00.01"}
    ],
}
RECORD = {
    "id": 9,
    "host_time": "2026-11-21T03:12:00+00:00",
    "bmc_time": "2026-11-21T03:11:58+00:00",
    "sensor": "Critical Interrupt PCIE",
    "sensor_key": "32.0.99",
    "asserted": True,
    "text": "bus fatal error",
    "raw": "09 00 02 de e2 00 6b 20 00 04 13 63 6f a8 3b 00",
}
MAKERS: dict[str, dict[str, Any]] = {
    "dell": {
        "system/dmi/sys_vendor": "Dell Inc.",
        "system/dmi/product_name": "PowerEdge XE9680",
        "system/dmi/product_serial": "7XK2LN3",
        "system/dmi/board_serial": ".7XK2LN3.CNFCP003.",
    },
    "supermicro": {
        "system/dmi/sys_vendor": "Supermicro",
        "system/dmi/product_serial": "S123456X7890",
        "system/dmi/board_serial": "BSN-0042",
        "system/dmi/chassis_serial": "To be filled by O.E.M.",
    },
    "nvidia": {
        "system/dmi/sys_vendor": "NVIDIA",
        "system/dmi/product_serial": ReadError("PermissionError", "denied", 13),
    },
    "nobody": {},
}
LOG = f"Nov 21 03:12:00 gpu01 kernel: hello\nNov 21 03:12:01 gpu01 kernel: [12345.678] {XID}\n".encode()
MEMBERS = {KERN: LOG, "ipmi/sel.txt": b"# 1 of 1 records\n", "redaction.json": b'{"rules_version": "142", "total": 7}'}


def facts(maker: str = "dell", **more: Any) -> dict[str, Any]:
    """Return the facts of the box with the dead GPU, made by `maker`, with more readings by path."""
    readings = {
        **MAKERS[maker],
        "memory/baseline": BASELINE,
        "bmc/sel/records": [RECORD],
        "gpu/system/driver_version": "580.105.08",
        **more,
    }
    return _merged(copy.deepcopy(dict(dead_gpu_box().facts)), tree(readings))


def _merged(one: dict[str, Any], other: dict[str, Any]) -> dict[str, Any]:
    for name, node in other.items():
        inner = one.get(name)
        leaf = {"value", "error", "not_collected"}
        if isinstance(inner, dict) and isinstance(node, dict) and not (set(node) | set(inner)) & leaf:
            _merged(inner, node)
        else:
            one[name] = node
    return one


def checked(maker: str = "dell", *findings: Finding, readings: dict[str, Any] | None = None, **more: Any) -> Checked:
    """Return the check of that box; without findings it has those of the dead GPU."""
    found = facts(maker, **(readings or {}))
    return judge(Box(found, NOW), *(findings or dead_gpu_findings()), **{"source": "b.tar.zst", **more})


def packet(
    box: Checked, part: str = "gpu:1", oem: str | None = None, members: Mapping[str, bytes] | None = None
) -> Packet:
    """Return a packet; `members` are added to those of the bundle."""
    known = {**MEMBERS, **(members or {})}
    return rma.build(box, part, oem, reading(known), Source("b.tar.zst", "ab" * 32, 1234))


def reading(members: Mapping[str, bytes]) -> ReadMembers:
    """Return what reads these members as a bundle's are read: not beyond the limit."""
    return lambda names: {name: members[name][: rma.MEMBER_BYTES] for name in names if name in members}


def text(found: Packet, name: str) -> str:
    """Return one of the packet's files."""
    return found.files[name].decode()
