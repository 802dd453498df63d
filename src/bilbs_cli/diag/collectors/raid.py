"""Software RAID and pools: /proc/mdstat, `zpool status`, and the reports of LVM."""

from __future__ import annotations

import re
from typing import Any

ARRAY = re.compile(r"(md\S*) : (active|inactive)(?: \(([^)]*)\))? ?(.*)")


def mdstat(text: str) -> dict[str, dict[str, Any]]:
    r"""Return the arrays of /proc/mdstat (md(4)): state, level, members, which failed, how many work.

    >>> found = mdstat("md0 : active raid1 sdb2[1](F) sda2[0]\n      1000 blocks super 1.2 [2/1] [U_]\n"
    ...                "      [=>...]  recovery =  7.5% (75/1000) finish=1.0min\n")
    >>> found["md0"]["failed"], found["md0"]["wanted"], found["md0"]["working"], found["md0"]["progress"]
    (['sdb2'], 2, 1, 'recovery = 7.5%')
    """
    heads = ((block, ARRAY.match(block)) for block in re.split(r"\n(?=\S)", text))
    return {head[1]: _array(block, head) for block, head in heads if head}


def _array(block: str, head: re.Match[str]) -> dict[str, Any]:
    words = head[4].split()
    members = [(re.sub(r"\[.*", "", word), "(F)" in word) for word in words if "[" in word]
    counts = re.search(r"\[(\d{1,6})/(\d{1,6})\]", block)
    progress = re.search(r"(recovery|resync|reshape|check)\s*=\s*([\d.]+%|\w+)", block)
    return {
        "state": " ".join(filter(None, (head[2], head[3]))),
        "level": next((word for word in words if "[" not in word), None),
        "members": sorted(name for name, _ in members),
        "failed": sorted(name for name, failed in members if failed),
        "wanted": int(counts[1]) if counts else None,
        "working": int(counts[2]) if counts else None,
        "progress": f"{progress[1]} = {progress[2]}" if progress else "none",
    }


def zpools(text: str) -> dict[str, dict[str, Any]]:
    r"""Return the pools of `zpool status -p`: state and the line on data errors.

    >>> zpools("  pool: tank\n state: DEGRADED\nerrors: No known data errors\n")
    {'tank': {'state': 'DEGRADED', 'errors': 'No known data errors'}}
    """
    found: dict[str, dict[str, Any]] = {}
    pool = ""
    for name, value in re.findall(r"^ *(pool|state|errors): (.*)$", text, re.MULTILINE):
        if name == "pool":
            pool = value.strip()
            found[pool] = {"state": None, "errors": None}
        elif pool:
            found[pool][name] = value.strip()
    return found
