"""Every rule, in one tuple; docs/rules/ has a page for each."""

from __future__ import annotations

from bilbs_cli.diag.findings import Rule
from bilbs_cli.diag.rules import (
    bmc_sel,
    bmc_self,
    bmc_sensors,
    gpu,
    host_disks,
    host_kernel,
    host_memory,
    host_network,
    host_pcie,
    host_storage,
    host_system,
    memory,
    sxid,
    xid,
)

RULES: tuple[Rule, ...] = (
    *xid.XID_RULES,
    *sxid.SXID_RULES,
    *gpu.GPU_RULES,
    *bmc_sensors.BMC_SENSOR_RULES,
    *bmc_self.BMC_SELF_RULES,
    *bmc_sel.BMC_SEL_RULES,
    *host_memory.HOST_MEMORY_RULES,
    *host_pcie.HOST_PCIE_RULES,
    *host_disks.HOST_DISK_RULES,
    *host_storage.HOST_STORAGE_RULES,
    *host_kernel.HOST_KERNEL_RULES,
    *host_system.HOST_SYSTEM_RULES,
    *host_network.HOST_NETWORK_RULES,
    *memory.RULES,
)
