"""Every rule, in one tuple; docs/rules/ has a page for each."""

from __future__ import annotations

from bilbs_cli.diag.findings import Rule
from bilbs_cli.diag.rules import bmc, gpu, host, memory, network, sel, storage, sxid, xid

RULES: tuple[Rule, ...] = (
    *xid.XID_RULES,
    *sxid.SXID_RULES,
    *gpu.GPU_RULES,
    *bmc.BMC_RULES,
    *sel.SEL_RULES,
    *host.HOST_RULES,
    *storage.STORAGE_RULES,
    *network.NETWORK_RULES,
    *memory.RULES,
)
