"""The remap runway: how many row remaps a GPU's memory has left, how fast they go, and between when and when they end.

NVIDIA's rule (https://docs.nvidia.com/deploy/a100-gpu-mem-error-mgmt/rma-policy-thresholds-for-row-remapping.html): the
failure flag is set by a remap in a bank that has eight already, by a second one of the same row, or after 512 in all.
Which bank the next error hits is not known, so the end is a span: the soonest if all hit the worst bank, the latest if
they spread and the total decides. A second remap of one row can end it sooner still, and on Blackwell a channel repair
can put it off; nobody can forecast either.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from bilbs_cli.diag.baseline import Sample

MOST_REMAPS = 512  # uncorrectable, over the whole GPU
MOST_IN_BANK = 8
# The least number of spare rows in a bank of each class of the histogram. NVML defines only the ends (`max`: all of
# them, `none`: not one); the order of the others gives the rest.
LEAST_SPARES = {"none": 0, "low": 1, "partial": 2, "high": 3, "max": MOST_IN_BANK}
FEWEST_SAMPLES = 3
SHORTEST = timedelta(days=7)  # less time gives no rate per week
WEEK = timedelta(days=7)
FARTHEST = datetime(9999, 1, 1, tzinfo=UTC)
COUNTER = "remapped_uncorrectable"


@dataclass(frozen=True, slots=True)
class Runway:
    """What is left. None where it is not known.

    `banks_left` are the banks with a spare row, of `banks`; `left_at_least` how many remaps the worst bank still takes,
    `left_at_most` how many the whole GPU. `rate_per_week` is None with too few samples; `soonest` and `latest` bound the
    first remap that fails, both None when there is no rate or it is 0.
    """

    remapped: int | None = None
    banks: int | None = None
    banks_left: int | None = None
    left_at_least: int | None = None
    left_at_most: int | None = None
    rate_per_week: float | None = None
    samples: int = 0
    soonest: datetime | None = None
    latest: datetime | None = None

    @property
    def words(self) -> str:
        """Return it in a sentence."""
        return "; ".join(part for part in (self._left(), self._speed(), self._end()) if part)

    def _left(self) -> str:
        if self.banks is None:
            return "the banks with spare rows could not be read"
        return f"{self.banks_left} of {self.banks} banks have spare rows"

    def _speed(self) -> str:
        if self.rate_per_week is None:
            return f"too few samples for a forecast ({self.samples}, over at least {SHORTEST.days} days)"
        return f"{self.rate_per_week:.2g} remaps a week"

    def _end(self) -> str:
        if self.soonest is None or self.latest is None:
            return "no end in sight" if self.rate_per_week == 0 and self.banks_left == self.banks else ""
        late = f"{self.latest:%Y-%m-%d}" if self.latest < FARTHEST else "never"
        return f"spent between {self.soonest:%Y-%m-%d} (all in the worst bank) and {late} (spread)"


def runway(samples: Iterable[Sample], counters: Mapping[str, int], now: datetime, serial: str, pci: str) -> Runway:
    """Return the runway of one GPU from its earlier samples and its `counters` now (see `inventory.counters_of`).

    Samples are the card's by serial; by PCI address only where its serial is not known. Those of the future (a clock
    that jumped) are left out.
    """
    remapped, banks = counters.get(COUNTER), _banks(counters)
    points = [(one.at, one.counters[COUNTER]) for one in _own(samples, serial, pci) if COUNTER in one.counters]
    points = sorted(point for point in points if point[0] < now) + ([(now, remapped)] if remapped is not None else [])
    rate = rate_per_week(points)
    at_least = None if banks is None else _worst(banks)
    at_most = None if remapped is None else max(MOST_REMAPS - remapped, 0)
    if at_least is not None and at_most is not None:
        at_least = min(at_least, at_most)
    return Runway(
        remapped=remapped,
        banks=None if banks is None else sum(banks.values()),
        banks_left=None if banks is None else sum(banks.values()) - banks["none"],
        left_at_least=at_least,
        left_at_most=at_most,
        rate_per_week=rate,
        samples=len(points),
        soonest=_end(now, at_least, rate),
        latest=_end(now, at_most, rate),
    )


def _own(samples: Iterable[Sample], serial: str, pci: str) -> list[Sample]:
    if serial:
        return [one for one in samples if one.serial == serial]
    return [one for one in samples if pci and one.pci == pci and not one.serial]


def _banks(counters: Mapping[str, int]) -> dict[str, int] | None:
    """Return the histogram of the banks, None where it is not whole or says that there are none."""
    banks = {name: counters[f"banks_{name}"] for name in LEAST_SPARES if f"banks_{name}" in counters}
    return banks if len(banks) == len(LEAST_SPARES) and sum(banks.values()) > 0 else None


def _worst(banks: Mapping[str, int]) -> int:
    return min(LEAST_SPARES[name] for name, count in banks.items() if count)


def rate_per_week(points: Sequence[tuple[datetime, int]]) -> float | None:
    """Return remaps per week between the first and the last point, in order of time; None with too few.

    A count that went down is another card or a lie: only what came after it counts.
    """
    for number in range(len(points) - 1, 0, -1):
        if points[number][1] < points[number - 1][1]:
            points = points[number:]
            break
    if len(points) < FEWEST_SAMPLES or points[-1][0] - points[0][0] < SHORTEST:
        return None
    return (points[-1][1] - points[0][1]) / ((points[-1][0] - points[0][0]) / WEEK)


def _end(now: datetime, left: int | None, rate: float | None) -> datetime | None:
    """Return when `left` remaps are used up and the next one fails."""
    if left is None or not rate:
        return None
    weeks = (left + 1) / rate
    return now + weeks * WEEK if weeks < (FARTHEST - now) / WEEK else FARTHEST
