"""Run the GPU collector through the real parent and print what it left: `python -m tests.parts.nvml.run OPTIONS_JSON`."""

from __future__ import annotations

import gzip
import json
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bilbs_cli.diag import collect
from bilbs_cli.diag.bundle.frames import Compression, Frame
from bilbs_cli.diag.bundle.manifest import Item
from bilbs_cli.diag.collectors import gpu, gpu_device
from bilbs_cli.diag.job import Options, Profile
from bilbs_cli.diag.redaction import Redactor


@dataclass
class Memory:
    """A sink that keeps everything."""

    members: dict[str, bytes] = field(default_factory=dict)
    items: dict[str, dict[str, Any]] = field(default_factory=dict)

    def write(self, member: str, frame: Frame) -> None:
        """Take a frame."""
        self.members[member] = self.members.get(member, b"") + gzip.decompress(frame.data)

    def finish(self, item: Item) -> Item:
        """Take an item."""
        self.items[item.path] = item.as_dict()
        return item

    def fact(self, path: Sequence[str], leaf: object) -> None:
        """Take a fact: the run has the tree."""


def main() -> None:
    """Collect and print."""
    asked = json.loads(sys.argv[1])
    deadline = asked.pop("deadline_s", 60.0)
    for name, waits in (("start_s", gpu_device.INIT_S), ("wait_s", gpu_device.READING_S)):
        if wait := asked.pop(name, None):  # a test does not wait for seconds
            waits.update(dict.fromkeys(Profile, wait))
    gpu.SMI_S = asked.pop("smi_s", gpu.SMI_S)
    if "profile" in asked:
        asked["profile"] = Profile(asked["profile"])
    if "sysroot" in asked:
        asked["sysroot"] = Path(asked["sysroot"])
    sink = Memory()
    started = time.monotonic()
    run = collect.Run(
        [gpu.GPU], Options(**asked), sink=sink, redactor=Redactor(), compression=Compression.GZIP, deadline_s=deadline
    )
    results = run.run()
    json.dump(
        {
            "facts": run.facts.get("gpu", {}),
            "items": sink.items,
            "statuses": {one.name: str(one.status) for one in results},
            "members": {name: data.decode("utf-8", "replace") for name, data in sink.members.items()},
            "abandoned": run.abandoned,
            "took_s": time.monotonic() - started,
        },
        sys.stdout,
    )


if __name__ == "__main__":
    main()
