"""Every rule about the state of the GPUs, in the order of the report."""

from __future__ import annotations

from bilbs_cli.diag.findings import Rule
from bilbs_cli.diag.rules.gpu_clocks import GPU_CLOCK_RULES
from bilbs_cli.diag.rules.gpu_count import GPU_COUNT_RULES
from bilbs_cli.diag.rules.gpu_driver import GPU_DRIVER_RULES
from bilbs_cli.diag.rules.gpu_ecc import GPU_ECC_RULES
from bilbs_cli.diag.rules.gpu_fabric import GPU_FABRIC_RULES
from bilbs_cli.diag.rules.gpu_link import GPU_LINK_RULES
from bilbs_cli.diag.rules.gpu_lost import GPU_LOST_RULES
from bilbs_cli.diag.rules.gpu_memory import GPU_MEMORY_RULES
from bilbs_cli.diag.rules.gpu_nvlink import GPU_NVLINK_RULES
from bilbs_cli.diag.rules.gpu_siblings import GPU_SIBLING_RULES
from bilbs_cli.diag.rules.gpu_state import GPU_STATE_RULES

GPU_RULES: tuple[Rule, ...] = (
    *GPU_LOST_RULES,
    *GPU_COUNT_RULES,
    *GPU_DRIVER_RULES,
    *GPU_MEMORY_RULES,
    *GPU_ECC_RULES,
    *GPU_LINK_RULES,
    *GPU_NVLINK_RULES,
    *GPU_FABRIC_RULES,
    *GPU_CLOCK_RULES,
    *GPU_STATE_RULES,
    *GPU_SIBLING_RULES,
)
