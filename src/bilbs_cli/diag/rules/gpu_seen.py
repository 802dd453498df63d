"""Which GPUs of a box are seen, by the driver, on the PCI bus, or by neither: what the rules about absent GPUs start from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from bilbs_cli.diag import identity
from bilbs_cli.diag.findings import Box, Scope
from bilbs_cli.diag.model import ReadError, branch, leaves, value

LOST = "NVMLError_GpuIsLost"
HUNG = frozenset({"Timeout", "ProcessDied"})
GIVEN_AWAY = frozenset({"vfio-pci", "pci-stub", "xen-pciback"})  # handed to a virtual machine on purpose
MOST_EXCLUDED = 64

DRIVER = Scope(
    "host",
    "gpu/system",
    lambda _facts, _path: "host",
    lambda _: "the GPUs were not looked at",
    lambda _facts, _path: "this box",
)


@dataclass(frozen=True, slots=True)
class Seen:
    """The GPUs of a box by how they are seen.

    `nameless` are the indices of NVML's GPUs that never told their address, each with whether it is lost; `unclaimed`
    the addresses on the bus that no GPU of NVML claims, without those that are excluded or given to virtual machines.
    """

    lost: Mapping[str, str]  # address -> index of NVML, empty where it has none or it is not known which
    lost_nameless: tuple[str, ...]  # indices that are lost, and could be at more than one address
    unclaimed: tuple[str, ...]  # on the bus, not with the driver, and not lost
    unnamed: int  # GPUs of NVML without an address that are not lost: they may be some of these
    excluded: tuple[str, ...]
    present: int


def seen(box: Box) -> Seen:
    """Return how the GPUs of the box are seen."""
    facts = box.facts
    devices = {index: branch(facts, "gpu", "devices", index) for index in branch(facts, "gpu", "devices")}
    addresses = {index: identity.address_of(device) for index, device in devices.items()}
    lost = {index for index, device in devices.items() if is_lost(device)}
    on_bus = identity.on_the_bus(facts)
    silent = [one for one in on_bus if answers(facts, one) is False and not _is_given_away(facts, one)]
    excluded = _excluded(facts)
    unclaimed = [
        one for one in on_bus if one not in set(addresses.values()) | set(excluded) and not _is_given_away(facts, one)
    ]
    nameless = [index for index, address in addresses.items() if not address and index in lost]
    gone = {addresses[index]: index for index in lost if addresses[index]}
    gone |= {one: _index_of(addresses, one) for one in silent if one not in gone and one not in excluded}
    places = [one for one in unclaimed if one in silent] or unclaimed
    if nameless and len(nameless) == len(places):
        gone |= dict.fromkeys(places, nameless[0] if len(nameless) == 1 else "")
        nameless = []
    return Seen(
        gone,
        tuple(nameless),
        tuple(one for one in unclaimed if one not in gone),
        sum(not address and index not in lost for index, address in addresses.items()),
        excluded,
        len({*on_bus, *addresses.values()} - {""}) or len(devices),
    )


def is_lost(device: Mapping[str, Any]) -> bool:
    """Say whether the driver answered a question about this GPU with "GPU is lost"."""
    return any(isinstance(one, ReadError) and one.kind == LOST for _, one in leaves(device))


def answers(facts: Mapping[str, Any], address: str) -> object:
    """Return whether a device answers on the bus: False as soon as one look says no."""
    looks = [value(facts, *place, address, "answers") for place in (("gpu", "pci"), ("pci", "devices"))]
    return False if False in looks else next((one for one in looks if one is not None), None)


def _excluded(facts: Mapping[str, Any]) -> tuple[str, ...]:
    found = (value(facts, "gpu", "system", f"excluded_{number}") for number in range(MOST_EXCLUDED))
    addresses = (one.get("pci_bus_id") for one in found if isinstance(one, Mapping))
    return tuple(one.lower() for one in addresses if isinstance(one, str))


def _is_given_away(facts: Mapping[str, Any], address: str) -> bool:
    looks = (value(facts, *place, address, "driver") for place in (("gpu", "pci"), ("pci", "devices")))
    return any(isinstance(one, str) and one in GIVEN_AWAY for one in looks)


def _index_of(addresses: Mapping[str, str], address: str) -> str:
    return next((index for index, one in addresses.items() if one == address), "")
