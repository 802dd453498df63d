"""What changed between two bundles: of one box, or of two, which is said first."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from datetime import UTC

from bilbs_cli.diag import diff_events, diff_parts, diff_sensors, diff_watched
from bilbs_cli.diag.checked import Checked
from bilbs_cli.diag.diff_change import Change, Diff, Group, Kind, Side, as_json, change
from bilbs_cli.diag.diff_readings import Subject, Tally, compared
from bilbs_cli.diag.findings import Facts, moment
from bilbs_cli.diag.model import Value, value

__all__ = ["Change", "Diff", "Group", "Kind", "Side", "as_json", "compare"]

MOST = 200  # changes of one group; the rest is counted
SERIALS = ("product_serial", "chassis_serial", "board_serial", "product_uuid")
NO_SERIALS = frozenset(
    {"", "default string", "not specified", "none", "unknown", "to be filled by o.e.m.", "0123456789", "0"}
)
NAMES = frozenset(  # readings that hold an identity: of no use where one side has stand-ins for them
    {"serial", *SERIALS, "hostname", "mac", "address", "gateway", "node_guid", "host", "cluster_uuid"}
)
SAME_BOOT_S = 120.0  # the time of the boot is worked out from the uptime, and a clock is set now and then


def compare(before: Checked, after: Checked) -> Diff:
    """Return what changed from `before` to `after`. Pure; no facts make it raise, and a bundle equals itself."""
    between_s = (after.collected_at - before.collected_at).total_seconds()
    sides = _side(before), _side(after)
    tally = Tally(between_s)
    alike = sides[0].disguised == sides[1].disguised
    found = list(_changes(before, after, tally, by_serial=alike))
    if not alike:
        found = [one for one in found if not _names_identity(one)]
        found.append(_disguised(sides))
    changes, left_out = _ordered(found)
    return Diff(
        before=sides[0],
        after=sides[1],
        between_s=between_s,
        changes=changes,
        another=_another(before, after) if alike else "",
        notes=tuple(_notes(before, after, between_s)),
        compared=tally.compared,
        neither=tally.neither,
        left_out=left_out,
    )


def _changes(before: Checked, after: Checked, tally: Tally, *, by_serial: bool) -> Iterator[Change]:
    old, new = before.facts, after.facts
    if before.host != after.host:
        sides = Value(before.host), Value(after.host)
        yield change(Group.BOX, Kind.CHANGED, "host", sides, "host", weight=3)
    yield from diff_events.findings(before, after)
    yield from diff_parts.gpus(before, after, tally, by_serial=by_serial)
    yield from diff_parts.parts(old, new, tally, by_serial=by_serial)
    yield from compared(diff_watched.BOX, Subject("", old, ""), Subject("", new, ""), tally)
    yield from diff_sensors.sensors(old, new)
    yield from diff_events.sel(old, new)
    yield from diff_events.events(old, new, tally.between_s)


def _ordered(found: Iterable[Change]) -> tuple[tuple[Change, ...], dict[str, int]]:
    order = list(Group)
    ranked = sorted(found, key=lambda one: (order.index(one.group), -one.weight, one.what, one.path))
    seen: Counter[str] = Counter()
    kept = []
    for one in ranked:
        seen[one.group.value] += 1
        if seen[one.group.value] <= MOST:
            kept.append(one)
    return tuple(kept), {name: count - MOST for name, count in seen.items() if count > MOST}


def _side(checked: Checked) -> Side:
    at = checked.collected_at.astimezone(UTC).isoformat(timespec="seconds")
    return Side(checked.host, at, checked.source, disguised(checked))


def disguised(checked: Checked) -> bool:
    """Say whether a bundle has pseudonyms in place of names, addresses and serial numbers."""
    options = checked.header.get("options")
    inner = options.get("pseudonymized") if isinstance(options, dict) else None
    return inner is True or checked.header.get("pseudonymized") is True


def _names_identity(change: Change) -> bool:
    return change.path.rpartition("/")[2] in NAMES and change.group is not Group.FINDINGS


def _disguised(sides: tuple[Side, Side]) -> Change:
    shown = [Value("pseudonyms" if side.disguised else "real names") for side in sides]
    what = "host name, serial numbers and addresses"
    note = "one side has stand-ins for them; bilbs diag reveal on that box gives the real ones"
    return change(Group.UNKNOWN, Kind.UNKNOWN, what, shown, "redaction", note=note, weight=2)


def _another(before: Checked, after: Checked) -> str:
    """Return why these are two boxes: other serial numbers, or another name where no serial is known on both sides."""
    pairs = [(name, _serial(before.facts, name), _serial(after.facts, name)) for name in SERIALS]
    known = [(name, one, other) for name, one, other in pairs if one and other]
    others = [f"{name.replace('_', ' ')} {one} and {other}" for name, one, other in known if one != other]
    if others and len(others) == len(known):
        return "; ".join(others)
    if not known and before.host != after.host:
        return f"host {before.host or '(unnamed)'} and {after.host or '(unnamed)'}, and no serial number on both sides"
    return ""


def _serial(facts: Facts, name: str) -> str:
    found = value(facts, "system", "dmi", name)
    text = found.strip()[:80] if isinstance(found, str) else ""
    return "" if text.lower() in NO_SERIALS else text


def _notes(before: Checked, after: Checked, between_s: float) -> Iterator[str]:
    if between_s < 0:
        yield "the second bundle is the older one: read every change backwards"
    boots = [moment(value(one.facts, "system", "booted_at")) for one in (before, after)]
    if boots[0] and boots[1] and abs((boots[1] - boots[0]).total_seconds()) > SAME_BOOT_S:
        yield "the box was started anew in between: counters that a reboot resets start again there"
    swapped = [_serial(one.facts, "board_serial") for one in (before, after)]
    if before.host == after.host and all(swapped) and swapped[0] != swapped[1] and not _another(before, after):
        yield "the board has another serial number: it was replaced"
    profiles = [one.header.get("profile") for one in (before, after)]
    if profiles[0] != profiles[1] and all(isinstance(one, str) for one in profiles):
        yield f"the bundles have different profiles ({profiles[0]} and {profiles[1]}): not all was read in both"
    tools = [one.tool for one in (before, after)]
    if tools[0] != tools[1] and all(tools):
        yield f"they were made by {tools[0]} and {tools[1]}: a version may read what another one did not"
