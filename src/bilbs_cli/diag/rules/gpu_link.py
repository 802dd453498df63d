"""Rules about a GPU's PCIe link: lanes, generation, replays, errors. The errors of its ports are the PCI rules' part."""

from __future__ import annotations

import math
from collections.abc import Iterator
from datetime import timedelta

from bilbs_cli.diag.findings import Case, Found, Rule, Severity, Unjudged, Verdict
from bilbs_cli.diag.rules import gpu_past
from bilbs_cli.diag.rules.gpu_advice import CAPTURE, SWAP_TEST
from bilbs_cli.diag.rules.gpu_readings import counter, most, shown
from bilbs_cli.diag.rules.scopes import GPU

DCGM = "https://github.com/NVIDIA/DCGM/blob/master/modules/health/DcgmHealthWatch.cpp"
NVML = "https://docs.nvidia.com/deploy/nvml-api/group__nvmlDeviceQueries.html"
FIELDS = "https://docs.nvidia.com/deploy/nvml-api/api/group__nvmlFieldValueEnums.html"

# DCGM: replays a minute and lane that a bit error rate of 1e-12 explains, by generation
REPLAYS_A_MINUTE = {1: 0.15, 2: 0.3, 3: 0.48, 4: 0.96, 5: 1.92, 6: 3.84}
REPLAYS = ("pcie/replays", "pcie/replay_counter")
MINUTE = timedelta(minutes=1)
MOST_LANES = 32
FATAL, NON_FATAL = "pcie/fatal_errors", "pcie/non_fatal_errors"
RESEAT = f"at the next window: {CAPTURE}; shut the box down, reseat the card and its riser or cable; if it stays, {SWAP_TEST}"


def pcie_width(case: Case) -> Iterator[Found]:
    """PCIe link of the GPU has fewer lanes than GPU and slot can do.

    Lanes do not fall when a GPU is idle (the generation does), so this counts in any state. A link that had more lanes in
    the baseline counts too: a slot that lost some then looks as if it never had them. What stays after the card was
    reseated is the card, its riser or the board.

    Fires:
        gpu/devices/0/pcie/width_current = 8
        gpu/devices/0/pcie/width_max = 16
    Quiet:
        gpu/devices/0/pcie/width_current = 16
        gpu/devices/0/pcie/width_max = 16
    """
    now, limit = most(case, "pcie/width_current")[0], most(case, "pcie/width_max")[0]
    place = gpu_past.known_place(case)
    before = place.pcie_width if place and place.pcie_width and place.pcie_width <= MOST_LANES else 0
    cited = (case.cite("pcie/width_current"), case.cite("pcie/width_max"))
    if now < limit:
        yield Found(f"the PCIe link has {now} lanes of {limit}", cited)
    elif now < before:
        yield Found(
            f"the PCIe link has {now} lanes, {before} in the baseline",
            (*cited, case.cite(gpu_past.BASELINE, f"{before} lanes")),
        )


def pcie_generation(case: Case) -> Iterator[Found]:
    """PCIe link of the GPU is slower than GPU and slot can do, while the GPU works.

    An idle link falls to a lower generation to save power: one that is slow is only judged in performance state P0 or
    while a kernel runs. That limit is ours; NVML's documents only say that the generation falls at idle.

    Fires:
        gpu/devices/0/performance_state = "P0"
        gpu/devices/0/pcie/generation_current = 4
        gpu/devices/0/pcie/generation_max = 5
    Quiet:
        gpu/devices/0/performance_state = "P0"
        gpu/devices/0/pcie/generation_current = 5
        gpu/devices/0/pcie/generation_max = 5
    """
    now, limit = most(case, "pcie/generation_current")[0], most(case, "pcie/generation_max")[0]
    if now >= limit:
        return
    load = case.number("utilization/gpu_percent")
    if case.get("performance_state") != "P0" and not load:
        raise Unjudged("performance_state", "the GPU is idle, and an idle link is slow on purpose")
    yield Found(
        f"the PCIe link runs at generation {now} of {limit} while the GPU works",
        tuple(map(case.cite, ("pcie/generation_current", "pcie/generation_max", "performance_state"))),
    )


def pcie_replays(case: Case) -> Iterator[Found]:
    """PCIe link of the GPU repeats packets more often than a good link does.

    DCGM's limits, per minute and lane: 0.15, 0.3, 0.48, 0.96, 1.92 and 3.84 for generations 1 to 6 (a bit error rate of
    1e-12). Two counts of one boot are needed, because the counter starts anew with the driver; over the hours between two
    checks a short burst is averaged away. The best generation of the link is taken: at idle it is slower.

    Fires:
        system/booted_at = "2026-11-20T00:00:00+00:00"
        gpu/devices/0/serial = "1652324000311"
        gpu/devices/0/pcie/replays = 400
        gpu/devices/0/pcie/generation_max = 5
        gpu/devices/0/pcie/width_current = 16
        memory/history = {"samples": [{"at": "2026-11-21T03:50:00+00:00", "pci": "0000:3b:00.0", "serial": "1652324000311", "counters": {"pcie_replays": 10}}]}
    Quiet:
        system/booted_at = "2026-11-20T00:00:00+00:00"
        gpu/devices/0/serial = "1652324000311"
        gpu/devices/0/pcie/replays = 310
        gpu/devices/0/pcie/generation_max = 5
        gpu/devices/0/pcie/width_current = 16
        memory/history = {"samples": [{"at": "2026-11-21T03:50:00+00:00", "pci": "0000:3b:00.0", "serial": "1652324000311", "counters": {"pcie_replays": 10}}]}
    """
    count, path = most(case, *REPLAYS)
    generation, lanes = (
        most(case, "pcie/generation_max", "pcie/generation_current")[0],
        most(case, "pcie/width_current")[0],
    )
    sample, before = gpu_past.since_boot(case, "pcie_replays", MINUTE)
    if count < before:
        raise Unjudged(gpu_past.HISTORY, "the replay counter was set back since the last check")
    rate = (count - before) / ((case.box.now - sample.at) / MINUTE)
    per_lane = REPLAYS_A_MINUTE[min(max(generation, 1), max(REPLAYS_A_MINUTE))]
    limit = math.ceil(per_lane * min(lanes, MOST_LANES))
    if rate > limit:
        text = f"{shown(rate)} PCIe replays a minute since {sample.at:%Y-%m-%d %H:%M} UTC, {limit} are normal for this link"
        yield Found(text, (case.cite(path), case.cite(gpu_past.HISTORY, f"{before} replays at {sample.at:%H:%M}")))


def pcie_errors(case: Case) -> Iterator[Found]:
    """PCIe error that took the GPU's link down (fatal), counted by the GPU since its driver was loaded.

    Fires:
        gpu/devices/0/pcie/fatal_errors = 1
    Quiet:
        gpu/devices/0/pcie/fatal_errors = 0
    """
    count, path = most(case, FATAL)
    if count:
        text = f"{count} fatal PCIe error{'s' * (count > 1)} since the driver was loaded"
        yield Found(text, (case.cite(path),))


def pcie_nonfatal(case: Case) -> Iterator[Found]:
    """PCIe errors of the GPU's link that were not corrected and did not take it down, since its driver was loaded.

    Requests that the GPU does not support count among them and come with every scan of the bus: as many are left out as
    the GPU counted of those.

    Fires:
        gpu/devices/0/pcie/non_fatal_errors = 3
        gpu/devices/0/pcie/unsupported_requests = 2
    Quiet:
        gpu/devices/0/pcie/non_fatal_errors = 2
        gpu/devices/0/pcie/unsupported_requests = 2
    """
    count, path = most(case, NON_FATAL)
    if count > (counter(case, "pcie/unsupported_requests") or 0):
        text = f"{count} PCIe error{'s' * (count > 1)} not corrected since the driver was loaded"
        yield Found(text, (case.cite(path),))


GPU_LINK_RULES: tuple[Rule, ...] = (
    Rule(
        "gpu.pcie.width",
        Severity.WARNING,
        Verdict.INSPECT,
        needs=("pcie/width_current", "pcie/width_max"),
        source=NVML,
        judge=pcie_width,
        scope=GPU,
        next=RESEAT,
    ),
    Rule(
        "gpu.pcie.generation",
        Severity.WARNING,
        Verdict.INSPECT,
        needs=("pcie/generation_current", "pcie/generation_max", "performance_state|utilization/gpu_percent"),
        source=NVML,
        judge=pcie_generation,
        scope=GPU,
        next=RESEAT,
    ),
    Rule(
        "gpu.pcie.replays",
        Severity.WARNING,
        Verdict.INSPECT,
        needs=(
            "|".join(REPLAYS),
            "pcie/generation_max|pcie/generation_current",
            "pcie/width_current",
            gpu_past.HISTORY,
        ),
        source=DCGM,
        judge=pcie_replays,
        scope=GPU,
        next=RESEAT,
    ),
    Rule(
        "gpu.pcie.errors",
        Severity.CRITICAL,
        Verdict.INSPECT,
        needs=(FATAL,),
        source=FIELDS,
        judge=pcie_errors,
        scope=GPU,
        next=RESEAT,
    ),
    Rule(
        "gpu.pcie.nonfatal",
        Severity.WARNING,
        Verdict.INSPECT,
        needs=(NON_FATAL,),
        source=FIELDS,
        judge=pcie_nonfatal,
        scope=GPU,
        next=RESEAT,
    ),
)
