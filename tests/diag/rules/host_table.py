"""What the rules about host, disks and links have to say, written from health.md 2.3 and its sources, not from the rules.

One row, one threshold: facts (values by path, or kernel lines) on which a rule fires, and facts just short of it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bilbs_cli.diag.findings import Box, Judgement, evaluate
from bilbs_cli.diag.rules import (
    bmc_sel,
    bmc_self,
    bmc_sensors,
    host_disks,
    host_kernel,
    host_memory,
    host_network,
    host_pcie,
    host_storage,
    host_system,
)
from tests.diag.remembered import NOW, tree
from tests.diag.rules.logged import box as logged

BMC_RULES = (*bmc_sensors.BMC_SENSOR_RULES, *bmc_self.BMC_SELF_RULES, *bmc_sel.BMC_SEL_RULES)
HOST_RULES = (
    *host_memory.HOST_MEMORY_RULES,
    *host_pcie.HOST_PCIE_RULES,
    *host_disks.HOST_DISK_RULES,
    *host_storage.HOST_STORAGE_RULES,
    *host_kernel.HOST_KERNEL_RULES,
    *host_system.HOST_SYSTEM_RULES,
    *host_network.HOST_NETWORK_RULES,
)
ALL = (*BMC_RULES, *HOST_RULES)
Given = Mapping[str, Any] | Sequence[str]  # values by path, or messages of the kernel


@dataclass(frozen=True, slots=True)
class Row:
    """A rule, what it fires on, what it is quiet on, and what it says."""

    rule: str
    fires: Given
    quiet: Given
    severity: str
    part: str = ""
    says: str = ""

    @property
    def name(self) -> str:
        return f"{self.rule} {self.fires}"[:100]


def box(given: Given) -> Box:
    """Return a box of values by path, or of the lines of a kernel log."""
    if isinstance(given, Mapping):
        return Box(tree(given), NOW)
    return logged([f"Nov 21 03:12:{second:02d} gpu01 kernel: {text}" for second, text in enumerate(given)])


def judged(given: Given, rule: str = "") -> Judgement:
    """Return what the rules (or one) say."""
    rules = [one for one in ALL if not rule or one.id == rule]
    assert rules, rule
    return evaluate(rules, box(given))


MC, DISK, NVME, VAR, MD = (
    "system/edac/mc0",
    "storage/disks/sda",
    "storage/disks/nvme0n1",
    "storage/file_systems/var",
    "storage/md/md0",
)
GPU, ROOT, NIC = "pci/devices/0000:3b:00.0", "pci/devices/0000:3a:01.0", "pci/devices/0000:5e:00.0"
UNDER = {
    f"{GPU}/kind": "gpu",
    f"{GPU}/aer_fatal": {},
    f"{GPU}/bridges_above": ["0000:3a:01.0"],
    f"{ROOT}/kind": "bridge",
}
FS = {f"{VAR}/mount_point": "/var", f"{VAR}/type": "ext4", f"{VAR}/device": "/dev/sda3", f"{VAR}/read_only": False}
GB = 10**9
TASK = "system/tasks/blocked"
PORT, ETH = "network/infiniband/mlx5_0/ports/1", "network/interfaces/eth0"
UP = {f"{ETH}/physical": True, f"{ETH}/operstate": "up", f"{ETH}/carrier": True, f"{ETH}/carrier_changes": 1}
KNOWN = {"taken_at": "2026-11-01T00:00:00+00:00", "gpus": [], "interfaces": ["eth0"]}
AER = "pcieport 0000:3a:01.0: AER: {} error received: 0000:3b:00.0"
HUNG = "INFO: task python:4242 blocked for more than 120 seconds."


def smart(**values: Any) -> dict[str, Any]:
    return {f"{DISK}/smart/{name}": one for name, one in {"passed": True, "exit_bits": [], **values}.items()}


def health(**values: Any) -> dict[str, Any]:
    base = {"passed": True, "critical_warning": 0, "spare_percent": 100, "spare_threshold_percent": 10}
    base |= {"used_percent": 1, "media_errors": 0}
    return {f"{NVME}/smart/{name}": one for name, one in (base | values).items()}


def number(rule: str, path: str, most: float, least: float, severity: str, part: str = "") -> Row:
    """Return a row of a number: `most` is still quiet, `least` fires."""
    return Row(rule, {path: least}, {path: most}, severity, part)


ROWS: tuple[Row, ...] = (
    # EDAC UE > 0 / CE rising; MCE; CPER fatal
    number("host.edac.uncorrected", f"{MC}/ue_count", 0, 1, "critical", "edac:mc0"),
    Row(
        "host.edac.uncorrected",
        {
            f"{MC}/ue_count": 3,
            f"{MC}/dimms/dimm4/ue_count": 3,
            f"{MC}/dimms/dimm4/label": "CPU0_DIMM_A1",
            "system/dmi/memory/DIMM_A1/serial": "802C0F",
            "system/dmi/memory/DIMM_A10/serial": "other",
        },
        {f"{MC}/ue_count": 0, f"{MC}/dimms/dimm4/ue_count": 0},
        "critical",
        "dimm:DIMM_A1",
        "serial 802C0F",
    ),
    number("host.edac.corrected", f"{MC}/ce_count", 99, 100, "warning", "edac:mc0"),
    Row(
        "host.edac.logged",
        ["EDAC MC0: 1 UE memory read error on CPU_SrcID#0_MC#0_Chan#1_DIMM#0 (channel:1 slot:0)"],
        ["EDAC MC0: Giving out device to module skx_edac"],
        "critical",
        "dimm:CPU_SrcID#0_MC#0_Chan#1_DIMM#0",
        "uncorrected",
    ),
    Row("host.edac.logged", ["EDAC MC0: 2 CE memory read error on DIMM_B2 (x)"], [], "info", "dimm:DIMM_B2"),
    Row(
        "host.mce",
        ["mce: [Hardware Error]: CPU 12: Machine Check Exception: 5 Bank 9: be00000000800400"],
        [],
        "critical",
    ),
    Row("host.mce", ["mce: [Hardware Error]: Machine check events logged"], [], "info", says="corrected"),
    Row("host.ghes", ["{1}[Hardware Error]: event severity: fatal"], [], "critical"),
    Row("host.ghes", ["{1}[Hardware Error]: event severity: recoverable"], [], "warning"),
    Row("host.ghes", ["{1}[Hardware Error]: event severity: corrected"], [], "info"),
    number("host.memory.corrupt", "system/memory/hardware_corrupted_bytes", 0, 4096, "warning"),
    # AER fatal on a GPU or its root port
    Row(
        "host.aer.fatal",
        {f"{GPU}/kind": "gpu", f"{GPU}/aer_fatal": {"DLP": 1}},
        {f"{GPU}/aer_fatal": {"DLP": 0}},
        "critical",
        "gpu:0000:3b:00.0",
    ),
    Row(
        "host.aer.fatal",
        UNDER | {f"{ROOT}/aer_root_fatal": 2},
        UNDER | {f"{ROOT}/aer_root_fatal": 0},
        "critical",
        "pci:0000:3a:01.0",
        "0000:3b:00.0",
    ),
    Row(
        "host.aer.fatal",
        {f"{ROOT}/kind": "bridge", f"{ROOT}/aer_root_fatal": 2},
        {f"{ROOT}/aer_fatal": {}},
        "warning",
        "pci:0000:3a:01.0",
    ),
    Row(
        "host.aer.fatal",
        {f"{NIC}/kind": "nic", f"{NIC}/aer_fatal": {"DLP": 1, "TOTAL_ERR_FATAL": 1}},
        {f"{NIC}/aer_fatal": {}},
        "warning",
        "pci:0000:5e:00.0",
    ),
    Row(
        "host.aer.correctable",
        {f"{GPU}/aer_correctable": {"RxErr": 10_000}},
        {f"{GPU}/aer_correctable": {"RxErr": 99}},
        "warning",
    ),
    Row(
        "host.aer.correctable",
        {f"{GPU}/aer_correctable": {"RxErr": 9_999}},
        {f"{GPU}/aer_correctable": {"RxErr": 99}},
        "info",
    ),
    Row(
        "host.aer.logged",
        [AER.format("Uncorrected (Fatal)")],
        ["pcieport 0000:3a:00.0: AER: enabled with IRQ 33"],
        "critical",
        "pci:0000:3b:00.0",
    ),
    Row("host.aer.logged", [AER.format("Uncorrected (Non-Fatal)")], [], "warning"),
    Row("host.aer.logged", [AER.format("Corrected")], [], "info"),
    Row(
        "host.pci.dead",
        {f"{NIC}/kind": "nic", f"{NIC}/answers": False},
        {f"{NIC}/kind": "nic", f"{NIC}/answers": True},
        "critical",
        "pci:0000:5e:00.0",
    ),
    # SMART, NVMe
    Row(
        "host.smart.failed",
        smart(passed=False, serial="ZA1"),
        smart(exit_bits=["error_log", "command_failed"]),
        "critical",
        "disk:sda",
        "ZA1",
    ),
    Row("host.smart.failed", smart(exit_bits=["failing"]), smart(), "critical", "disk:sda"),
    Row("host.smart.failed", health(passed=False), health(), "critical", "disk:nvme0n1"),
    Row("host.smart.attributes", smart(pending_sectors=1), smart(pending_sectors=0), "warning", "disk:sda"),
    Row("host.smart.attributes", smart(reallocated_sectors=10), smart(reallocated_sectors=0), "warning"),
    Row("host.smart.attributes", smart(grown_defects=9), smart(grown_defects=0), "info"),
    Row(
        "host.smart.prefail",
        smart(exit_bits=["prefail_below_threshold"]),
        smart(exit_bits=["was_below_threshold"]),
        "critical",
    ),
    Row("host.smart.cable", smart(crc_errors=1), smart(crc_errors=0), "info"),
    *(
        Row("host.nvme.critical_warning", health(critical_warning=1 << bit), health(), severity, "disk:nvme0n1", says)
        for bit, severity, says in (
            (0, "critical", "spare"),
            (1, "warning", "temperature"),
            (2, "critical", "reliable"),
            (3, "critical", "read-only"),
            (4, "critical", "backup"),
            (5, "critical", "persistent"),
            (7, "critical", "0x80"),
        )
    ),
    Row("host.nvme.critical_warning", health(critical_warning=6), health(), "critical", says="reliable"),
    Row("host.nvme.spare", health(spare_percent=9), health(spare_percent=10), "critical"),
    Row("host.nvme.used", health(used_percent=100), health(used_percent=99), "warning"),
    Row("host.nvme.media_errors", health(media_errors=1), health(), "warning"),
    Row(
        "host.nvme.state",
        {"storage/nvme/nvme0/state": "dead"},
        {"storage/nvme/nvme0/state": "live"},
        "critical",
        "nvme:nvme0",
    ),
    Row("host.nvme.state", {"storage/nvme/nvme0/state": "resetting"}, {"storage/nvme/nvme0/state": "live"}, "warning"),
    # file system read-only, NVMe reset or disabled, md failure, buffer I/O error
    Row(
        "host.nvme.logged",
        ["nvme nvme1: Removing after probe failure status: -19"],
        ["nvme nvme0: 8/0/0 default/read/poll queues"],
        "critical",
        "nvme:nvme1",
    ),
    Row(
        "host.nvme.logged",
        ["nvme nvme1: controller is down; will reset: CSTS=0xffffffff, PCI_STATUS=0xffff"],
        [],
        "critical",
    ),
    Row("host.nvme.logged", ["nvme nvme1: I/O 12 QID 3 timeout, reset controller"], [], "warning", "nvme:nvme1"),
    Row(
        "host.io_errors", ["Buffer I/O error on dev sdb, logical block 0, async page read"], [], "critical", "disk:sdb"
    ),
    Row("host.fs.read_only", FS | {f"{VAR}/read_only": True}, FS, "warning", "fs:/var"),
    Row(
        "host.fs.read_only",
        FS | {f"{VAR}/read_only": True, f"{VAR}/type": "xfs"},
        FS | {f"{VAR}/read_only": True, f"{VAR}/type": "squashfs"},
        "warning",
    ),
    Row(
        "host.fs.read_only",
        FS | {f"{VAR}/read_only": True},
        FS | {f"{VAR}/read_only": True, f"{VAR}/mount_point": "/usr"},
        "warning",
    ),
    Row(
        "host.fs.remounted",
        ["EXT4-fs (sda3): Remounting filesystem read-only"],
        ["EXT4-fs (sda3): mounted filesystem"],
        "critical",
        "disk:sda3",
    ),
    Row(
        "host.fs.errors",
        ["EXT4-fs error (device sda3): ext4_find_entry:1455: inode #2: comm ls: x"],
        [],
        "critical",
        "disk:sda3",
    ),
    Row(
        "host.md.failed",
        {f"{MD}/failed": ["sdb2"], f"{MD}/state": "active"},
        {f"{MD}/failed": [], f"{MD}/state": "active"},
        "critical",
        "md:md0",
        "sdb2",
    ),
    Row("host.md.failed", {f"{MD}/failed": [], f"{MD}/state": "inactive"}, {f"{MD}/failed": []}, "critical"),
    Row(
        "host.md.degraded",
        {f"{MD}/wanted": 2, f"{MD}/working": 1},
        {f"{MD}/wanted": 2, f"{MD}/working": 2},
        "warning",
        "md:md0",
    ),
    Row("host.md.degraded", {f"{MD}/degraded": 1}, {f"{MD}/level": "raid0"}, "warning"),
    Row("host.md.logged", ["md/raid1:md0: Disk failure on sdb1, disabling device."], [], "critical", "md:md0", "sdb1"),
    Row(
        "host.zfs.pool",
        {"storage/zfs/tank/state": "DEGRADED"},
        {"storage/zfs/tank/state": "ONLINE"},
        "warning",
        "zfs:tank",
    ),
    Row(
        "host.zfs.pool",
        {"storage/zfs/tank/state": "ONLINE", "storage/zfs/tank/errors": "3 data errors"},
        {"storage/zfs/tank/state": "ONLINE", "storage/zfs/tank/errors": "No known data errors"},
        "critical",
    ),
    # free < 500 MB / < 10 %
    Row(
        "host.fs.space",
        FS | {f"{VAR}/available_bytes": 40 * GB, f"{VAR}/used_percent": 90.1},
        FS | {f"{VAR}/available_bytes": 40 * GB, f"{VAR}/used_percent": 90.0},
        "warning",
        "fs:/var",
    ),
    Row(
        "host.fs.space",
        FS | {f"{VAR}/available_bytes": 499_999_999, f"{VAR}/used_percent": 50.0},
        FS | {f"{VAR}/available_bytes": 500_000_000, f"{VAR}/used_percent": 50.0},
        "warning",
    ),
    Row(
        "host.fs.space",
        FS | {f"{VAR}/available_bytes": 1, f"{VAR}/used_percent": 50.0},
        FS | {f"{VAR}/available_bytes": 4 * 10**8, f"{VAR}/used_percent": 5.0, f"{VAR}/size_bytes": 5 * 10**8},
        "warning",
    ),
    Row(
        "host.fs.space",
        FS | {f"{VAR}/type": "nfs4", f"{VAR}/available_bytes": GB, f"{VAR}/used_percent": 99.0},
        FS | {f"{VAR}/read_only": True, f"{VAR}/available_bytes": 0, f"{VAR}/used_percent": 100.0},
        "info",
    ),
    Row(
        "host.fs.inodes",
        FS | {f"{VAR}/inodes_used_percent": 90.0},
        FS | {f"{VAR}/inodes_used_percent": 89.9},
        "warning",
    ),
    # OOM kill, hung task (5 consecutive), soft lockup
    Row(
        "host.oom",
        ["Out of memory: Killed process 4242 (python) total-vm:1kB, anon-rss:1kB"],
        [],
        "warning",
        says="python",
    ),
    Row(
        "host.oom",
        ["Memory cgroup out of memory: Killed process 4242 (python) total-vm:1kB, anon-rss:1kB"],
        [],
        "info",
        says="container",
    ),
    Row("host.hung_task", [HUNG] * 5, [], "warning", says="5 times"),
    Row("host.hung_task", [HUNG] * 4, [], "info"),
    Row(
        "host.soft_lockup",
        ["watchdog: BUG: soft lockup - CPU#3 stuck for 22s! [nvidia-smi:991]"],
        [],
        "warning",
        says="CPU 3",
    ),
    Row("host.hard_lockup", ["NMI watchdog: Watchdog detected hard LOCKUP on cpu 3"], [], "critical"),
    Row("host.rcu_stall", ["rcu: INFO: rcu_sched self-detected stall on CPU"], [], "warning"),
    Row(
        "host.panic",
        ["Kernel panic - not syncing: Fatal exception"],
        ["Kernel command line: panic=10"],
        "critical",
        says="Fatal exception",
    ),
    Row("host.oops", ["BUG: unable to handle page fault for address: ffffb2c0c0d0"], [], "warning"),
    Row(
        "host.thermal",
        ["CPU3: Core temperature above threshold, cpu clock throttled (total events = 1)"],
        [],
        "warning",
    ),
    # blocked tasks, clock, services, pressure, heat
    Row(
        "host.tasks.blocked",
        {f"{TASK}_count": 1, f"{TASK}/9/name": "x", f"{TASK}/9/wchan": "rwsem_down_read_slowpath"},
        {f"{TASK}_count": 0},
        "warning",
    ),
    Row(
        "host.tasks.blocked",
        {f"{TASK}_count": 1, f"{TASK}/9/name": "dd", f"{TASK}/9/wchan": "nvme_wait_freeze"},
        {f"{TASK}_count": 0},
        "info",
    ),
    *(
        Row(
            "host.tasks.blocked",
            {f"{TASK}_count": 1, f"{TASK}/9/name": "x", f"{TASK}/9/wchan": wchan},
            {f"{TASK}_count": 0},
            "critical",
            says="NVIDIA",
        )
        for wchan in (
            "nv_wait_for_gpu",
            "_nv012345rm",
            "nvidia_ioctl",
            "uvm_down_read",
            "os_acquire_mutex",
            "rm_init_adapter",
        )
    ),
    Row("host.tasks.blocked", {f"{TASK}_count": 1, f"{TASK}/9/name": "nvidia-smi"}, {f"{TASK}_count": 0}, "critical"),
    Row(
        "host.clock.unsynchronised",
        {"system/clock/synchronized": False},
        {"system/clock/synchronized": True},
        "warning",
    ),
    Row("host.reboot_required", {"system/reboot_required": True}, {"system/reboot_required": False}, "info"),
    Row(
        "host.services.failed",
        {"services/failed": ["nvidia-fabricmanager.service"]},
        {"services/failed": []},
        "warning",
    ),
    Row("host.services.failed", {"services/failed": ["apt-daily.service"]}, {"services/failed": []}, "info"),
    number("host.memory.pressure", "system/pressure/memory/full/avg300_percent", 0.9, 10.0, "warning"),
    number("host.memory.pressure", "system/pressure/memory/full/avg300_percent", 0.0, 9.9, "info"),
    number("host.cpu.throttled", "system/cpu/package_throttled/largest", 0, 1000, "warning"),
    number("host.cpu.throttled", "system/cpu/core_throttled/largest", 0, 999, "info"),
    Row(
        "host.temperature.critical",
        {"system/sensors/k/t/temperature_c": 100.0, "system/sensors/k/t/critical_c": 100.0},
        {"system/sensors/k/t/temperature_c": 99.0, "system/sensors/k/t/critical_c": 100.0},
        "critical",
        "sensor:k/t",
    ),
    # IB down / insufficient slot power / module hot
    Row(
        "net.ib.down",
        {f"{PORT}/state": "DOWN", f"{PORT}/physical_state": "Polling"},
        {f"{PORT}/state": "ACTIVE"},
        "warning",
        "ib:mlx5_0/1",
        "Polling",
    ),
    Row(
        "net.ib.down",
        {f"{PORT}/state": "INIT", f"{PORT}/physical_state": "LinkUp"},
        {f"{PORT}/state": "ACTIVE_DEFER"},
        "warning",
    ),
    Row(
        "net.ib.down",
        {f"{PORT}/state": "DOWN", f"{PORT}/physical_state": "Disabled"},
        {f"{PORT}/state": "ACTIVE"},
        "info",
    ),
    Row(
        "net.ib.errors",
        {f"{PORT}/counters": {"link_downed": 1}},
        {f"{PORT}/counters": {"link_downed": 0, "port_xmit_data": 9}},
        "info",
    ),
    Row(
        "net.ib.slot_power",
        ["mlx5_core 0000:5c:00.0: mlx5_pcie_event:301:(pid 2): Detected insufficient power on the PCIe slot (27W)."],
        [],
        "warning",
        "pci:0000:5c:00.0",
        "27 W",
    ),
    Row(
        "net.ib.module_hot",
        ["mlx5_core 0000:5c:00.0: Port module event[error]: module 0, Cable error, High Temperature"],
        [],
        "warning",
        "pci:0000:5c:00.0",
    ),
    Row(
        "net.link.down",
        UP | {f"{ETH}/operstate": "down", "memory/baseline": KNOWN},
        UP | {"memory/baseline": KNOWN},
        "warning",
        "net:eth0",
        "2026-11-01",
    ),
    Row(
        "net.link.down",
        UP | {f"{ETH}/operstate": "down", f"{ETH}/carrier_changes": 2},
        UP | {f"{ETH}/operstate": "down"},
        "info",
    ),
    Row(
        "net.link.down",
        UP | {f"{ETH}/carrier": False, "network/interfaces/bond0/bond/slaves": ["eth0", "eth1"]},
        UP | {f"{ETH}/physical": False, f"{ETH}/operstate": "down", "memory/baseline": KNOWN},
        "warning",
        says="bond",
    ),
    Row("net.link.logged", ["ixgbe 0000:17:00.0 eth0: NIC Link is Down"], [], "info"),
    Row("net.link.logged", ["ixgbe 0000:17:00.0 eth0: NIC Link is Down"] * 10, [], "warning"),
    Row(
        "net.link.errors",
        UP | {f"{ETH}/counters/rx_errors": 999, f"{ETH}/counters/tx_errors": 1},
        UP | {f"{ETH}/counters/rx_errors": 999, f"{ETH}/counters/tx_errors": 0},
        "warning",
        "net:eth0",
    ),
)
