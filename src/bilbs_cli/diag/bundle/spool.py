"""The work folder of a run: what is finished survives Ctrl-C, SIGKILL and power loss, and waits for the seal."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bilbs_cli.diag import model
from bilbs_cli.diag.bundle import journal, runs
from bilbs_cli.diag.bundle.contents import Content, Past, Written, is_whole, replay, settled, trim
from bilbs_cli.diag.bundle.encrypt import SUFFIX, Recipients
from bilbs_cli.diag.bundle.frames import Compression, Frame
from bilbs_cli.diag.bundle.journal import Journal
from bilbs_cli.diag.bundle.manifest import Item
from bilbs_cli.diag.bundle.naming import freed_name, member_name, parents
from bilbs_cli.diag.bundle.parts import Parts, Piece, is_part
from bilbs_cli.diag.bundle.volume import Volume, clear, open_folder, refuse, sync_folder
from bilbs_cli.diag.model import Status, Tree
from bilbs_cli.errors import BilbsError, NotFound, OutputUnwritable

FRONT = ("SUMMARY.txt", "report.html", "manifest.json", "facts.json", "findings.json", "redaction.json")
SYNC_SHARE = 10  # syncs take at most about a tenth of the time: on a slow disk several items share one
BATCH, BATCH_S = 64, 0.1  # facts that go to the kernel together, and how long one waits at most for the next


@dataclass(slots=True)
class Spool:
    """One run's work folder, `.<name>.work` beside the archive to be.

    `items` and `facts` tell what has come so far, in order; `notes` what else the run kept; `header` what it was
    started with. Made by `create` or `reopen`; ended by `seal.seal`, by `remove`, or by `close` (for a later resume).
    """

    name: str
    out_dir: Path
    compression: Compression
    recipients: Recipients | None
    header: Mapping[str, Any]
    volume: Volume
    out: int  # handle of the output folder
    state_dir: Path | None
    journal: Journal
    parts: Parts
    items: list[Item] = field(default_factory=list)
    facts: Tree = field(default_factory=dict)
    notes: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    plan: list[Piece] | None = None
    sealed: list[str] = field(default_factory=list)  # sha256 of each archive that was about to get its name
    _contents: dict[str, Content] = field(default_factory=dict)  # of finished members, by their name in the bundle
    _open: dict[str, Content] = field(default_factory=dict)  # of members in work, by the caller's name
    _taken: set[str] = field(default_factory=lambda: set(FRONT))
    _folders: set[str] = field(default_factory=set)
    _pending: list[dict[str, Any]] = field(default_factory=list)
    _flushed: float = 0.0
    _synced: float = 0.0
    _sync_took: float = 0.0
    _ended: bool = False

    @classmethod
    def create(
        cls,
        out_dir: Path,
        name: str,
        header: Mapping[str, Any],
        compression: Compression = Compression.ZSTD,
        *,
        recipients: Recipients | None = None,
        state_dir: Path | None = None,
    ) -> Spool:
        """Start a run: the archive will be `name` and its suffix in `out_dir`, which is made when it does not exist.

        `header` is any JSON object, kept for a resume; `started_at` and `folders` (a folder of the bundle to its
        collector) are looked at here. With `state_dir` a link there leads `bilbs diag resume` to this run.
        Raises `OutputUnwritable`.
        """
        folder, out = open_folder(out_dir)
        volume = None
        try:
            refuse(out, folder / (name + compression.suffix + (SUFFIX if recipients else "")))
            volume = Volume.make(out, folder / runs.work_name(name))
            spool = cls(
                name,
                folder,
                compression,
                recipients,
                dict(header),
                volume,
                out,
                state_dir,
                Journal.begin(volume),
                Parts(volume),
            )
            keys = recipients.keys if recipients else ()
            spool._log({"k": "start", "name": name, "compression": compression, "keys": keys, "header": dict(header)})
            spool.sync()
            with volume.errors():
                sync_folder(out)
        except OutputUnwritable:
            if volume:
                clear(volume, out)
            os.close(out)
            raise
        runs.announce(state_dir, name, volume.path)
        return spool

    @classmethod
    def reopen(cls, work: Path, *, state_dir: Path | None = None) -> Spool:
        """Take over the work folder of a run that was interrupted, with everything that is whole in it.

        Members that were being written become `failed` items, cut after their last good frame. Raises `NotFound` when
        there is nothing to finish (the folder is removed then), `BilbsError` (`run-is-live`), `OutputUnwritable`.
        """
        folder, out = open_folder(work.parent)
        try:
            volume = Volume.reopen(out, folder / work.name)
        except BaseException:
            os.close(out)
            raise
        whole = journal.has_beginning(volume)
        past = replay(journal.read(volume))
        if past.withheld or not whole or not past.records:
            clear(volume, out)
            os.close(out)
            runs.forget(state_dir, runs.bundle_of(work.name))
            raise NotFound(f"{work} held nothing to finish; it was removed")
        if past.start is None:
            volume.close()
            os.close(out)
            raise BilbsError(
                f"{work} was made by another version of bilbs", code="work-damaged", safe="it was not touched"
            )
        start = past.start
        spool = cls(
            start.name,
            folder,
            start.compression,
            Recipients(start.keys) if start.keys else None,
            start.header,
            volume,
            out,
            state_dir,
            Journal.begin(volume),
            Parts(volume),
            facts=past.facts,
            notes=past.notes,
            plan=past.plan,
            sealed=past.sealed,
        )
        if spool.plan is None:
            spool._take_over(past)
        else:
            spool.items = past.items
        return spool

    @property
    def target(self) -> str:
        """Return the file name of the finished archive."""
        return self.name + self.compression.suffix + (SUFFIX if self.recipients else "")

    def write(self, member: str, frame: Frame) -> None:
        """Append a frame to a member. Raises `OutputUnwritable`; what was written of the member before stays."""
        content = self._open.get(member) or self._start(member)
        if content.broken:
            return  # the frame before this one is missing
        try:
            pieces = self.parts.put_frame(content.path, frame.data)
        except OutputUnwritable:
            content.broken = True
            raise
        content.frames.append(Written(tuple(pieces), frame.size, frame.sha256))
        self._log({"k": "frame", "m": content.path, "p": pieces, "s": frame.size, "h": frame.sha256})
        self._flush()

    def finish(self, item: Item) -> Item:
        """End a member, or record a gap; return the item as it stands in the bundle.

        Its name may have been made safe, and its size and digest are those of what the disk took. It survives a kill
        when this returns, and a power loss after the next sync: here, or in `sync`. Raises `OutputUnwritable`; the item
        is kept in memory then, and written when the seal has freed space.
        """
        content = self._open.pop(item.path, None) or self._start(item.path)
        self._open.pop(item.path, None)
        self.parts.end_lane(content.path)
        done = settled(item, content)
        self._contents[content.path] = content
        self.items.append(done)
        self._log({"k": "item", "i": done.as_dict()})
        if time.monotonic() - self._synced >= SYNC_SHARE * self._sync_took:
            self.sync()
        else:
            self._flush()
        return done

    def fact(self, path: Sequence[str], leaf: object) -> None:
        """Keep a fact (`leaf` as `model.encode` makes it); it goes to the disk in a batch. Raises `OutputUnwritable`."""
        model.insert(self.facts, tuple(path), model.decode(leaf))
        self._log({"k": "fact", "p": list(path), "l": leaf})
        if len(self._pending) >= BATCH or time.monotonic() - self._flushed >= BATCH_S:
            self._flush()

    def note(self, kind: str, data: dict[str, Any]) -> None:
        """Keep a JSON object that a resume will want. Raises `OutputUnwritable`."""
        self.notes.append((kind, data))
        self._log({"k": "note", "n": kind, "d": data})
        self._flush()

    def sync(self) -> None:
        """Make everything given so far durable; call it when there is time. Raises `OutputUnwritable`."""
        began = time.monotonic()
        self._flush()
        self.parts.sync()
        self._log({"k": "synced"})  # whatever the journal says after this may have reached the disk before its content
        self._flush()
        self.journal.sync()
        self._synced = time.monotonic()
        self._sync_took = self._synced - began

    def interrupt(self, reason: str) -> None:
        """End every member that is still being written as a `failed` item that keeps what came of it."""
        for member, content in list(self._open.items()):
            self.finish(self._broken_item(member, content.path, reason))

    def commit(self, plan: list[Piece]) -> None:
        """Make the order of the archive final: from here on a resume goes on joining. Raises `OutputUnwritable`."""
        self.parts.sync()
        self._log({"k": "plan", "p": plan, "i": [item.as_dict() for item in self.items]})
        self.plan = plan
        self.sync()

    def about_to_publish(self, sha256: str) -> None:
        """Note the digest of the archive that gets its name next, so that a resume knows it again."""
        self.sealed.append(sha256)
        self._log({"k": "sealed", "h": sha256})
        self.sync()

    def pieces(self, path: str) -> list[Piece]:
        """Return where the compressed content of a finished member is."""
        return self._contents[path].pieces

    def remove(self) -> None:
        """End the run: remove the work folder and the link to it. Nothing when it has ended."""
        if not self._ended:
            self._end()
            clear(self.volume, self.out)
            os.close(self.out)
            runs.forget(self.state_dir, self.name)

    def withhold(self) -> None:
        """End the run without a bundle, for good: a removal that is cut short goes on with the next resume."""
        with suppress(OutputUnwritable):
            self._log({"k": "withheld"})
            self.sync()
        self.remove()

    def close(self) -> None:
        """Leave the work folder as it is, for a resume. Nothing when the run has ended."""
        if not self._ended:
            with suppress(OutputUnwritable):
                self._flush()
            self._end()
            self.volume.close()
            os.close(self.out)

    def _end(self) -> None:
        self._ended = True
        self.parts.close()
        self.journal.close()

    def _log(self, record: dict[str, Any]) -> None:
        self._pending.append(record)

    def _flush(self) -> None:
        pending, self._pending = self._pending, []
        self._flushed = time.monotonic()
        self.journal.append(pending)

    def claim(self, name: str) -> str:
        """Return a safe name near `name` that no member has, and keep it for the caller."""
        path = freed_name(member_name(name), self._taken, self._folders)
        self._taken.add(path)
        self._folders.update(parents(path))
        return path

    def _start(self, member: str) -> Content:
        path = self.claim(member)
        content = self._open[member] = Content(path)
        return content

    def _take_over(self, past: Past) -> None:
        """Keep what an earlier process finished, as far as it is really there, and end what it was writing."""
        for number, item in enumerate(past.items):
            content = past.contents.get(item.path, Content(item.path))
            if number >= past.durable or not is_whole(self.volume, content):
                trim(self.volume, self.compression, content)
            self._adopt(settled(item, content), content)
        done = {item.path for item in past.items}
        for path, content in past.contents.items():
            if path not in done:
                trim(self.volume, self.compression, content)
                item = self._broken_item(path, path, "the run was interrupted while it was written")
                self._adopt(settled(item, content), content)
        used = {part for content in self._contents.values() for part, _, _ in content.pieces}
        for name in self.volume.names():
            if is_part(name) and name not in used:  # half a seal, or frames that the journal never heard of
                self.volume.unlink(name)

    def _adopt(self, item: Item, content: Content) -> None:
        self._taken.add(item.path)
        self._folders.update(parents(item.path))
        self._contents[item.path] = content
        self.items.append(item)

    def _broken_item(self, member: str, path: str, reason: str) -> Item:
        folder = path.partition("/")[0]
        folders = self.header.get("folders")
        collector = str(folders.get(folder, folder)) if isinstance(folders, Mapping) else folder
        started = str(self.header.get("started_at") or datetime.now(UTC).isoformat(timespec="milliseconds"))
        return Item(
            path=member,
            collector=collector,
            source=path,
            status=Status.FAILED,
            started_at=started,
            duration_s=0.0,
            exit_status=None,
            size_bytes=0,
            raw_bytes=0,
            sha256=None,
            reason=reason,
        )
