"""The records of the BMC's event log, paired: which asserted events were taken back later, and by what."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from bilbs_cli.diag.findings import Box, moment
from bilbs_cli.diag.model import value
from bilbs_cli.diag.rules.ipmi_states import LOGGING, REDUNDANCY, SPECIFIC, UNIT, Numbers

TEXT = 100
SYSTEM_EVENT = 0x02  # record type: the others are the maker's own
TWO_SIDED = frozenset({0x03, 0x04, 0x05, 0x06, 0x07, REDUNDANCY})  # offset 0 is "all is well again" (table 42-2)
CLEARED = (LOGGING, SPECIFIC, 2)  # log area cleared: what it said of its own size before is over
AC_LOST = (UNIT, SPECIFIC, 4)
RUNNING = frozenset(  # events that only a box with power sends (table 42-3)
    {
        *((0x1D, SPECIFIC, offset) for offset in range(8)),
        *((0x1F, SPECIFIC, offset) for offset in range(7)),
        (0x22, SPECIFIC, 0),
        (0x12, SPECIFIC, 1),
    }
)


@dataclass(frozen=True, slots=True)
class Event:
    """One record of a system event. `place` is its place in the list of the facts, `at` None where it has no time."""

    place: int
    id: int | None
    sensor: str
    key: str
    numbers: Numbers
    asserted: bool
    text: str
    raw: str
    at: datetime | None


@dataclass(frozen=True, slots=True)
class Pair:
    """An asserted event, and the place of the record that took it back; None while it is open."""

    event: Event
    closed_by: int | None


def events(records: object) -> Iterator[Event]:
    """Yield the system events of the log that can be understood, in the log's order."""
    for place, one in enumerate(records if isinstance(records, list) else ()):
        if event := _event(place, one):
            yield event


def _event(place: int, one: object) -> Event | None:
    if not isinstance(one, Mapping):
        return None
    found = [one.get(name) for name in ("sensor_type", "event_type", "offset")]
    numbers = [number for number in found if isinstance(number, int) and not isinstance(number, bool)]
    asserted, number = one.get("asserted"), one.get("id")
    if len(numbers) != 3 or not isinstance(asserted, bool):
        return None
    return Event(
        place,
        number if isinstance(number, int) and not isinstance(number, bool) and 0 <= number <= 0xFFFF else None,
        _text(one, "sensor"),
        _text(one, "sensor_key"),
        (numbers[0], numbers[1], numbers[2]),
        asserted,
        _text(one, "text"),
        _text(one, "raw"),
        moment(one.get("host_time")) or moment(one.get("bmc_time")),
    )


def _text(one: Mapping[str, Any], name: str) -> str:
    found = one.get(name)
    return found[:TEXT] if isinstance(found, str) else ""


def pairs(found: Iterator[Event]) -> tuple[Pair, ...]:
    """Return every asserted event with what took it back later in the log, in its order.

    That is the same sensor's deassertion of the same offset; offset 0 of a two-sided event type ("redundancy: fully
    redundant"); the clearing of the log, for events about the log; and for lost AC any sign that the box runs again.
    The order of the log counts, not its times: a BMC's clock jumps.
    """
    asserted: list[Event] = []
    closed: dict[int, int] = {}
    open_: dict[tuple[str, int], dict[tuple[int, int], list[int]]] = defaultdict(dict)

    def close(rows: dict[tuple[int, int], list[int]], key: tuple[int, int], by: int) -> None:
        closed.update(dict.fromkeys(rows.pop(key, ()), by))

    for event in found:
        kind, event_type, offset = event.numbers
        mine = open_[event.key, event_type]
        if not event.asserted:
            close(mine, (kind, offset), event.place)
            continue
        if offset == 0 and event_type in TWO_SIDED:
            for key in list(mine):
                close(mine, key, event.place)
        for rows in _elsewhere(event.numbers, open_):
            for key in [key for key in rows if _is_over(event.numbers, key)]:
                close(rows, key, event.place)
        asserted.append(event)
        mine.setdefault((kind, offset), []).append(event.place)
    return tuple(Pair(event, closed.get(event.place)) for event in asserted)


def _elsewhere(
    numbers: Numbers, open_: Mapping[tuple[str, int], dict[tuple[int, int], list[int]]]
) -> list[dict[tuple[int, int], list[int]]]:
    """Return where events may stand that this one ends although another sensor sent them."""
    if numbers == CLEARED or numbers in RUNNING:
        return [rows for (_, event_type), rows in open_.items() if event_type == SPECIFIC]
    return []


def _is_over(numbers: Numbers, key: tuple[int, int]) -> bool:
    return key[0] == LOGGING and key[1] != CLEARED[2] if numbers == CLEARED else key == (AC_LOST[0], AC_LOST[2])


def of_box(box: Box) -> tuple[Pair, ...]:
    """Return the pairs of the box's event log."""
    return pairs(events(value(box.facts, "bmc", "sel", "records")))


def others(box: Box) -> tuple[tuple[int, str], ...]:
    """Return place and text of the records that are no system events, or whose event only the maker can read."""
    records = value(box.facts, "bmc", "sel", "records")
    rows = enumerate(records if isinstance(records, list) else ())
    return tuple((place, _text(one, "text")) for place, one in rows if isinstance(one, Mapping) and _is_oem(one))


def _is_oem(one: Mapping[str, Any]) -> bool:
    kind, sensor, event = (one.get(name) for name in ("record_type", "sensor_type", "event_type"))
    foreign = isinstance(kind, int) and kind != SYSTEM_EVENT
    return foreign or (isinstance(sensor, int) and sensor >= 0xC0) or (isinstance(event, int) and 0x70 <= event <= 0x7F)
