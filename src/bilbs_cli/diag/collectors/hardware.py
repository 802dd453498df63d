"""What the host is built of: memory errors (EDAC, rasdaemon), board and serials (DMI), temperatures and fans."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bilbs_cli import files
from bilbs_cli.diag.collectors import dmi, sysfs
from bilbs_cli.diag.job import Job
from bilbs_cli.diag.model import NotCollected, ReadError, Status, Value

DMI = "/sys/class/dmi/id"
DMI_TABLES = "/sys/firmware/dmi/tables/DMI"
DMI_SPEC: sysfs.Spec = {
    name: (name, str)
    for name in (
        "sys_vendor",
        "product_name",
        "product_version",
        "product_family",
        "product_sku",
        "product_serial",
        "product_uuid",
        "board_vendor",
        "board_name",
        "board_version",
        "board_serial",
        "board_asset_tag",
        "chassis_vendor",
        "chassis_type",
        "chassis_version",
        "chassis_serial",
        "chassis_asset_tag",
        "bios_vendor",
        "bios_version",
        "bios_date",
        "bios_release",
        "ec_firmware_release",
    )
}

EDAC = "/sys/devices/system/edac/mc"
CONTROLLER_SPEC: sysfs.Spec = {
    "name": ("mc_name", str),
    "size_mib": ("size_mb", int),
    "ce_count": ("ce_count", int),
    "ue_count": ("ue_count", int),
    "ce_noinfo_count": ("ce_noinfo_count", int),
    "ue_noinfo_count": ("ue_noinfo_count", int),
    "seconds_since_reset_s": ("seconds_since_reset", int),
}
DIMM_SPEC: sysfs.Spec = {
    "label": ("dimm_label", str),
    "location": ("dimm_location", str),
    "ce_count": ("dimm_ce_count", int),
    "ue_count": ("dimm_ue_count", int),
    "size_mib": ("size", int),
    "memory_type": ("dimm_mem_type", str),
}
RAS_DATABASE = "/var/lib/rasdaemon/ras-mc_event.db"
CSROW_SPEC: sysfs.Spec = {"ce_count": ("ce_count", int), "ue_count": ("ue_count", int), "size_mib": ("size_mb", int)}


def memory_errors(job: Job) -> None:
    """Record what the kernel's EDAC drivers count, by memory controller and DIMM (Documentation/admin-guide/RAS)."""
    controllers = job.glob(f"{EDAC}/mc[0-9]*")
    if not controllers:
        job.record(("edac", "controllers"), NotCollected("no EDAC driver is loaded: nobody counts memory errors"))
        return
    for controller in controllers:
        name = controller.rpartition("/")[2]
        sysfs.survey(job, ("edac", name), controller, CONTROLLER_SPEC)
        dimms = job.glob(f"{controller}/dimm[0-9]*") or job.glob(f"{controller}/rank[0-9]*")
        for dimm in dimms:
            sysfs.survey(job, ("edac", name, "dimms", dimm.rpartition("/")[2]), dimm, DIMM_SPEC)
        for row in job.glob(f"{controller}/csrow[0-9]*") if not dimms else ():
            sysfs.survey(job, ("edac", name, "csrows", row.rpartition("/")[2]), row, CSROW_SPEC)


def board(job: Job) -> None:
    """Record vendor, versions and serials, and from dmidecode the memory slots and the slot map."""
    readings = sysfs.survey(job, ("dmi",), DMI, DMI_SPEC) if job.glob(DMI) else {}
    if any(isinstance(reading, ReadError) and reading.kind == "PermissionError" for reading in readings.values()):
        job.gap("dmi-serials", Status.DENIED, "the serial numbers of system, board and chassis need root", source=DMI)
    if not job.glob(DMI_TABLES):
        job.record(("dmi", "tables"), NotCollected("this machine has no SMBIOS tables"))
    elif job.options.live and not job.options.root:
        job.gap("dmidecode.txt", Status.DENIED, "memory slots and slot map need root", source="command: dmidecode")
    else:
        output = job.command(("dmidecode",), "dmidecode.txt", timeout_s=10.0) or b""
        found = dmi.structures(output.decode("utf-8", "replace"))
        for locator, module in dmi.memory_modules(found).items():
            sysfs.leaves(job, ("dmi", "memory", _step(locator)), module)
        for designation, slot in dmi.slots(found).items():
            sysfs.leaves(job, ("dmi", "slots", _step(designation)), slot)


def _step(name: str) -> str:
    """Return a vendor's free text as one step of a fact's path, where `/` is a separator."""
    return name.replace("/", "_") or "?"


def sensors(job: Job) -> None:
    """Record the temperatures and fans that hwmon drivers read (Documentation/hwmon/sysfs-interface)."""
    import psutil

    for chip, found in (job.attempt("sensors/temperatures", psutil.sensors_temperatures) or {}).items():
        for number, one in enumerate(found, 1):
            facts = {"temperature_c": one.current, "high_c": one.high, "critical_c": one.critical}
            _sensor(job, chip, one.label or f"temp{number}", facts)
    for chip, found in (job.attempt("sensors/fans", psutil.sensors_fans) or {}).items():
        for number, one in enumerate(found, 1):
            _sensor(job, chip, one.label or f"fan{number}", {"speed_rpm": one.current})


def _sensor(job: Job, chip: str, label: str, facts: Mapping[str, Any]) -> None:
    sysfs.leaves(job, ("sensors", _step(chip), _step(label)), facts)


def recorded_errors(job: Job) -> None:
    """Record the events in rasdaemon's database, which outlive a reboot."""
    if not job.glob(RAS_DATABASE):
        return
    from bilbs_cli.diag.collectors import rasdaemon  # sqlite3 is slow to import, and few hosts have the file

    root = job.options.sysroot

    def read() -> dict[str, list[str]]:
        path = files.rooted(root, RAS_DATABASE)
        files.open_regular(path).close()
        return rasdaemon.events(path)

    for table, rows in (job.attempt("rasdaemon/events", read) or {}).items():
        job.record(("rasdaemon", table), Value(len(rows)))
        if rows:
            job.text(f"rasdaemon/{table}.jsonl", "\n".join(rows) + "\n", source=f"file: {RAS_DATABASE}")
