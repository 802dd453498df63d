"""Run one collector in this process and keep what it sent: for tests of what a collector reads.

Everything is real (files, programs, redaction, frames) but the child and its pipe; `diag.collect` tests those.
"""

from __future__ import annotations

import gzip
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from bilbs_cli.diag import model
from bilbs_cli.diag.bundle.frames import Compression
from bilbs_cli.diag.bundle.manifest import Item
from bilbs_cli.diag.child import ChildJob, Later, pack, unpack
from bilbs_cli.diag.job import Collector, Options
from bilbs_cli.diag.redaction import Redactor


@dataclass
class Gathered:
    """What a collector left: the facts tree (its name on top), members by name, items in order, announced keys."""

    facts: model.Tree = field(default_factory=dict)
    members: dict[str, bytes] = field(default_factory=dict)
    items: list[Item] = field(default_factory=list)
    begun: list[str] = field(default_factory=list)
    later: list[Later] = field(default_factory=list)

    def item(self, path: str) -> Item:
        """Return the item of a member; KeyError with what there is otherwise."""
        found = [item for item in self.items if item.path == path]
        if not found:
            raise KeyError(f"{path} is not among {[item.path for item in self.items]}")
        return found[-1]


@cache
def redactor() -> Redactor:
    """Return the one redactor of the tests: compiling the rules takes 30 ms."""
    return Redactor()


def gather(
    collector: Collector,
    options: Options | None = None,
    *,
    skip: frozenset[str] = frozenset(),
    memo: Mapping[str, Any] | None = None,
    later: bool = True,
) -> Gathered:
    """Run `collector` here and now; large files and long commands follow at once unless `later` is False."""
    got = Gathered()

    def emit(header: Mapping[str, Any], payload: bytes) -> None:
        buffer = bytearray(pack(header, payload))  # through the wire form, as in a real child
        for message, body in unpack(buffer):
            _hear(got, message, body)

    def job(*, heavy: bool) -> ChildJob:
        return ChildJob(
            collector.name,
            collector.folder,
            options or Options(root=True),
            redactor(),
            Compression.GZIP,
            emit,
            skip=skip,
            memo=memo or {},
            heavy=heavy,
        )

    collector.collect(job(heavy=False))
    for work in list(got.later) if later else ():
        job(heavy=True).run_later(work)
    return got


def _hear(got: Gathered, header: dict[str, Any], payload: bytes) -> None:
    match header["t"]:
        case "begin":
            got.begun.append(header["key"])
        case "fact":
            model.insert(got.facts, tuple(header["path"]), model.decode(header["leaf"]))
        case "frame":
            got.members[header["member"]] = got.members.get(header["member"], b"") + gzip.decompress(payload)
        case "item":
            got.items.append(Item.from_dict(header["item"]))
        case "later":
            what = header["what"]
            good = what["good"]
            got.later.append(
                Later(**(what | {"argv": tuple(what["argv"]), "good": None if good is None else tuple(good)}))
            )
