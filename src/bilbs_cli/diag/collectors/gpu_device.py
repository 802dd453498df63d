"""One GPU while NVML reads it: each reading on its own, so that one dead counter costs one reading."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from bilbs_cli.diag.collectors import nvml, nvml_fields
from bilbs_cli.diag.collectors import nvml_structs as structs
from bilbs_cli.diag.collectors import nvml_table as table
from bilbs_cli.diag.collectors.nvml import Query
from bilbs_cli.diag.collectors.nvml_fields import Field
from bilbs_cli.diag.job import Job, Profile
from bilbs_cli.diag.model import NotCollected, ReadError, Reading, Value

INIT_S = {Profile.TRIAGE: 5.0, Profile.STANDARD: 15.0, Profile.FULL: 15.0}  # it may start every GPU
READING_S = {Profile.TRIAGE: 1.5, Profile.STANDARD: 4.0, Profile.FULL: 4.0}
GIVE_UP_AFTER = 3  # readings of one GPU that never returned: the budget belongs to the others then
FANS = 16
LINKS = 36  # NVML_NVLINK_MAX_LINKS


class Gpu:
    """One GPU of NVML while it is read."""

    def __init__(self, job: Job, library: Any, index: int) -> None:
        self.job, self.library, self.index = job, library, index
        self.base = ("devices", str(index))
        self.wait = READING_S[job.options.profile]
        self.handle: Any = None
        self.said: dict[str, Any] = {}

    def read(self) -> str | None:
        """Read the GPU and return its PCI address, None when it never said it."""
        hung = self.job.hung("/".join(self.base))
        if hung >= GIVE_UP_AFTER:
            reason = f"{hung} readings of this GPU never returned: the rest was not asked"
            self.job.record((*self.base, "rest"), NotCollected(reason))
            return self._address()
        self.job.say(f"GPU {self.index}")
        wait = INIT_S[self.job.options.profile]
        self.handle = self.job.attempt("/".join((*self.base, "handle")), self._get_handle, timeout_s=wait)
        if self.handle is not None:
            self._readings()
        return self._address()

    def _readings(self) -> None:
        for query in table.DEVICE:
            self.said |= self.query(query)
        counts: dict[str, Any] = {}
        for group, fields in nvml_fields.DEVICE.items():
            counts |= self.fields(group, fields)
        if uuid := self._said("uuid"):
            self.job.read((*self.base, "cper"), partial(structs.cper, self.library, uuid), timeout_s=self.wait)
        self.fans()
        self.links(counts.get("nvlink_count"))

    def _address(self) -> str | None:
        address = self._said("pci_bus_id")
        return address if isinstance(address, str) else None

    def _said(self, fact: str) -> Any:
        """Return what was read before, in this try or in an earlier one."""
        if fact not in self.said:
            self.said[fact] = self.job.read((*self.base, fact), lambda: NotCollected("this GPU could not be asked"))
        return self.said[fact]

    def _get_handle(self) -> Any:
        return self.library.nvmlDeviceGetHandleByIndex(self.index)

    def query(self, query: Query, below: Sequence[str] = (), *between: int) -> dict[str, Any]:
        """Take one reading of the table; return fact -> value of what was read."""
        base = (*self.base, *below)
        call = partial(nvml.ask, self.library, self.handle, query, *between)
        if not query.parts:
            return {query.fact: self.job.read((*base, *query.fact.split("/")), call, timeout_s=self.wait)}
        key = "/".join((*base, "calls", query.parts[0].fact.replace("/", "_")))
        answers = self.job.attempt(key, lambda: _each(call, len(query.parts)), timeout_s=self.wait)
        if answers is None:
            silent = ReadError("Timeout", f"{nvml.PREFIX}{query.call} never returned")
            answers = [silent if self.job.hung(key) else NotCollected("not asked")] * len(query.parts)
        for part, answer in zip(query.parts, answers, strict=True):
            self.job.record((*base, *part.fact.split("/")), answer)
        pairs = zip(query.parts, answers, strict=True)
        return {part.fact: answer.value for part, answer in pairs if isinstance(answer, Value)}

    def fields(
        self, group: str, fields: Sequence[Field], below: Sequence[str] = (), link: int | None = None
    ) -> dict[str, Any]:
        """Read a group of field values; return fact -> value of what was read."""
        return nvml_fields.read_group(
            self.job, self.library, self.handle, (*self.base, *below), group, fields, link=link, timeout_s=self.wait
        )

    def fans(self) -> None:
        """Read each fan; boards that are cooled by their chassis have none (NotSupported)."""
        count = self.query(table.FAN_COUNT)[table.FAN_COUNT.fact]
        for fan in range(min(count or 0, FANS)):
            for query in table.FAN:
                self.query(query, ("fans", str(fan)), fan)

    def links(self, count: int | None) -> None:
        """Read each NVLink: `count` of them, or where the GPU does not say how many until InvalidArgument.

        A link whose state cannot be read is not asked further. One NotSupported is not the end of them; when all of
        them are, one fact says it for all.
        """
        states = self._link_states(LINKS if count is None else min(count, LINKS))
        missing = (self.library.NVMLError_NotSupported, self.library.NVMLError_FunctionNotFound)
        if states and all(isinstance(state, missing) for state in states.values()):
            self.job.record((*self.base, "nvlink_states"), nvml.as_error(next(iter(states.values()))))
            return
        for link, state in states.items():
            below = ("nvlink", str(link))
            failed = isinstance(state, Exception)
            self.job.record((*self.base, *below, "state"), nvml.as_error(state) if failed else Value(state))
            if not failed:
                self._link(below, link)

    def _link_states(self, count: int) -> dict[int, Any]:
        """Return the state or the error of each link; a link that hangs the driver is left out (its fact says so)."""
        states: dict[int, Any] = {}
        for link in range(count):
            key = "/".join((*self.base, "nvlink", str(link), "state"))
            state = self.job.attempt(key, partial(self._link_state, link), timeout_s=self.wait)
            if isinstance(state, self.library.NVMLError_InvalidArgument):
                break
            if state is not None:
                states[link] = state
            if isinstance(state, self.library.NVMLError_GpuIsLost):
                break
        return states

    def _link_state(self, link: int) -> Any:
        try:
            return nvml.ask(self.library, self.handle, table.LINK_STATE, link)
        except self.library.NVMLError as error:
            return error

    def _link(self, below: Sequence[str], link: int) -> None:
        """Read one link. Those of generation 5, and those that do not say theirs, have more counters."""
        facts: dict[str, Any] = {}
        for query in table.LINK:
            facts |= self.query(query, below, link)
        self.fields("link", nvml_fields.LINK, below, link)
        version = facts.get(table.LINK_VERSION.fact)
        if version is None or version >= "5":
            self.fields("link5", nvml_fields.LINK5, below, link)


def _each(call: Callable[[], Any], parts: int) -> list[Reading]:
    """Return a reading for each fact of a call; an error is the error of each."""
    try:
        return [Value(answer) for answer in call()]
    except Exception as error:  # noqa: BLE001 - the boundary to the driver: every error is evidence
        return [nvml.as_error(error)] * parts
