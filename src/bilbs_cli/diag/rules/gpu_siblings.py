"""Rules that compare a GPU with the others of its model in the box: one that differs from at least three that agree."""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

from bilbs_cli.diag.findings import Box, Case, Found, Gap, Rule, Severity, Unjudged, Verdict
from bilbs_cli.diag.model import branch, value
from bilbs_cli.diag.rules.gpu_advice import COOLING, DIAGNOSE
from bilbs_cli.diag.rules.gpu_link import RESEAT
from bilbs_cli.diag.rules.gpu_readings import number, shown, word
from bilbs_cli.diag.rules.scopes import GPU

Device = Mapping[str, Any]

SOURCE = "https://docs.nvidia.com/deploy/gpu-debug-guidelines/index.html"
FEWEST = 3  # siblings that agree: fewer prove nothing
AGREE = 0.75  # of the siblings, at least
MOST = 64  # GPUs of one model that are compared
HOTTER_C = 15.0  # ours: above the median of siblings that draw as much power
SAME_POWER = 0.8  # ours: siblings that draw at least this share of its power
BUSY_PERCENT = 80  # ours: clocks are only compared between GPUs that work
SLOWER = 0.8  # ours: of the median clock of busy siblings


def _models(box: Box) -> dict[str, list[tuple[str, Device]]]:
    """Return the GPUs of each model, with their index."""
    found: dict[str, list[tuple[str, Device]]] = {}
    for index in branch(box.facts, "gpu", "devices"):
        device = branch(box.facts, "gpu", "devices", index)
        if isinstance(name := value(device, "name"), str) and len(found.setdefault(name, [])) < MOST:
            found[name].append((index, device))
    return found


def siblings(case: Case) -> list[Device]:
    """Return the facts of the other GPUs of the same model."""
    name = case.get("name")
    rows = case.box.derive(_models).get(name, []) if isinstance(name, str) else []
    return [device for index, device in rows if index != case.path[-1]]


def _numbers(devices: list[Device], *path: str) -> list[tuple[Device, float]]:
    found = ((one, value(one, *path)) for one in devices)
    return [
        (one, float(v)) for one, v in found if isinstance(v, int | float) and not isinstance(v, bool) and abs(v) < 1e9
    ]


def _enough(count: int, what: str = "") -> None:
    if count < FEWEST:
        reason = f"fewer than {FEWEST} other GPUs of this model{what} to compare it with"
        raise Unjudged("name", reason, Gap.UNSUPPORTED)


def _common(case: Case, path: str, kind: type) -> Any:
    """Return the value that nearly all siblings have, None where they do not agree. Raises `Unjudged`."""
    found = [value(one, *path.split("/")) for one in siblings(case)]
    known = [one for one in found if isinstance(one, kind) and not isinstance(one, bool)]
    _enough(len(known))
    common, count = Counter(known).most_common(1)[0]
    return common if count >= FEWEST and count >= AGREE * len(known) else None


def _differs(case: Case, path: str, what: str) -> Iterator[Found]:
    own, common = word(case, path), _common(case, path, str)
    if common is not None and own != common:
        text = f"the {what} is {own[:64]}, the other GPUs of this model have {common[:64]}"
        yield Found(text, (case.cite(path),))


def outlier_vbios(case: Case) -> Iterator[Found]:
    """VBIOS of one GPU is another version than that of the others.

    Mostly a card that came back from repair. Mixed versions are allowed and make GPUs behave differently.

    Fires:
        gpu/devices/0/name = "NVIDIA H100 80GB HBM3"
        gpu/devices/0/vbios = "96.00.30.00.01"
        gpu/devices/1/name = "NVIDIA H100 80GB HBM3"
        gpu/devices/1/vbios = "96.00.99.00.01"
        gpu/devices/2/name = "NVIDIA H100 80GB HBM3"
        gpu/devices/2/vbios = "96.00.99.00.01"
        gpu/devices/3/name = "NVIDIA H100 80GB HBM3"
        gpu/devices/3/vbios = "96.00.99.00.01"
    Quiet:
        gpu/devices/0/name = "NVIDIA H100 80GB HBM3"
        gpu/devices/0/vbios = "96.00.99.00.01"
        gpu/devices/1/name = "NVIDIA H100 80GB HBM3"
        gpu/devices/1/vbios = "96.00.99.00.01"
        gpu/devices/2/name = "NVIDIA H100 80GB HBM3"
        gpu/devices/2/vbios = "96.00.99.00.01"
        gpu/devices/3/name = "NVIDIA H100 80GB HBM3"
        gpu/devices/3/vbios = "96.00.99.00.01"
    """
    yield from _differs(case, "vbios", "VBIOS")


def outlier_inforom(case: Case) -> Iterator[Found]:
    """InfoROM image of one GPU is another version than that of the others.

    Fires:
        gpu/devices/0/name = "NVIDIA H100 80GB HBM3"
        gpu/devices/0/inforom/image = "G520.0200.00.03"
        gpu/devices/1/name = "NVIDIA H100 80GB HBM3"
        gpu/devices/1/inforom/image = "G520.0200.00.05"
        gpu/devices/2/name = "NVIDIA H100 80GB HBM3"
        gpu/devices/2/inforom/image = "G520.0200.00.05"
        gpu/devices/3/name = "NVIDIA H100 80GB HBM3"
        gpu/devices/3/inforom/image = "G520.0200.00.05"
    Quiet:
        gpu/devices/0/name = "NVIDIA H100 80GB HBM3"
        gpu/devices/0/inforom/image = "G520.0200.00.05"
        gpu/devices/1/name = "NVIDIA H100 80GB HBM3"
        gpu/devices/1/inforom/image = "G520.0200.00.05"
        gpu/devices/2/name = "NVIDIA H100 80GB HBM3"
        gpu/devices/2/inforom/image = "G520.0200.00.05"
        gpu/devices/3/name = "NVIDIA H100 80GB HBM3"
        gpu/devices/3/inforom/image = "G520.0200.00.05"
    """
    yield from _differs(case, "inforom/image", "InfoROM image")


def outlier_width(case: Case) -> Iterator[Found]:
    """PCIe link of one GPU has fewer lanes than those of the others.

    Told even where the GPU believes that its slot has no more: a riser or cable that lost lanes looks like a small slot.

    Fires:
        gpu/devices/0/name = "NVIDIA L40S"
        gpu/devices/0/pcie/width_current = 8
        gpu/devices/1/name = "NVIDIA L40S"
        gpu/devices/1/pcie/width_current = 16
        gpu/devices/2/name = "NVIDIA L40S"
        gpu/devices/2/pcie/width_current = 16
        gpu/devices/3/name = "NVIDIA L40S"
        gpu/devices/3/pcie/width_current = 16
    Quiet:
        gpu/devices/0/name = "NVIDIA L40S"
        gpu/devices/0/pcie/width_current = 16
        gpu/devices/1/name = "NVIDIA L40S"
        gpu/devices/1/pcie/width_current = 16
        gpu/devices/2/name = "NVIDIA L40S"
        gpu/devices/2/pcie/width_current = 16
        gpu/devices/3/name = "NVIDIA L40S"
        gpu/devices/3/pcie/width_current = 16
    """
    own, common = number(case, "pcie/width_current"), _common(case, "pcie/width_current", int)
    if common is not None and own < common:
        text = f"the PCIe link has {shown(own)} lanes, those of the other GPUs of this model have {shown(common)}"
        yield Found(text, (case.cite("pcie/width_current"),))


def outlier_temperature(case: Case) -> Iterator[Found]:
    """One GPU is much hotter than the others that draw as much power.

    Compared with the median of the GPUs of its model that draw at least 80 percent of its power; 15 degrees more is our
    limit. Bad contact of a cooler, a fan, a blocked air way show like this long before a limit of the GPU is reached.
    Where it works harder than the others there is nothing to compare it with.

    Fires:
        gpu/devices/0/name = "NVIDIA L40S"
        gpu/devices/0/temperature_c = 84
        gpu/devices/0/power_w = 300.0
        gpu/devices/1/name = "NVIDIA L40S"
        gpu/devices/1/temperature_c = 61
        gpu/devices/1/power_w = 310.0
        gpu/devices/2/name = "NVIDIA L40S"
        gpu/devices/2/temperature_c = 63
        gpu/devices/2/power_w = 305.0
        gpu/devices/3/name = "NVIDIA L40S"
        gpu/devices/3/temperature_c = 60
        gpu/devices/3/power_w = 298.0
    Quiet:
        gpu/devices/0/name = "NVIDIA L40S"
        gpu/devices/0/temperature_c = 66
        gpu/devices/0/power_w = 300.0
        gpu/devices/1/name = "NVIDIA L40S"
        gpu/devices/1/temperature_c = 61
        gpu/devices/1/power_w = 310.0
        gpu/devices/2/name = "NVIDIA L40S"
        gpu/devices/2/temperature_c = 63
        gpu/devices/2/power_w = 305.0
        gpu/devices/3/name = "NVIDIA L40S"
        gpu/devices/3/temperature_c = 60
        gpu/devices/3/power_w = 298.0
    """
    own, power = number(case, "temperature_c"), number(case, "power_w")
    alike = [one for one, watts in _numbers(siblings(case), "power_w") if watts >= SAME_POWER * power]
    degrees = [one for _, one in _numbers(alike, "temperature_c")]
    _enough(len(degrees), " that draw as much power")
    usual = statistics.median(degrees)
    if own - usual >= HOTTER_C:
        text = f"{shown(own)} °C, the other GPUs of this model have {shown(usual)} °C at the same power"
        yield Found(text, (case.cite("temperature_c"), case.cite("power_w")))


def outlier_clocks(case: Case) -> Iterator[Found]:
    """One GPU runs slower than the others while all of them work.

    Compared are the SM clocks of GPUs of one model that are at least 80 percent busy; less than 80 percent of the median
    is our limit. The reasons for reduced clocks, power and temperature of that GPU say why.

    Fires:
        gpu/devices/0/name = "NVIDIA L40S"
        gpu/devices/0/clocks/sm_mhz = 900
        gpu/devices/0/utilization/gpu_percent = 99
        gpu/devices/1/name = "NVIDIA L40S"
        gpu/devices/1/clocks/sm_mhz = 2100
        gpu/devices/1/utilization/gpu_percent = 99
        gpu/devices/2/name = "NVIDIA L40S"
        gpu/devices/2/clocks/sm_mhz = 2130
        gpu/devices/2/utilization/gpu_percent = 98
        gpu/devices/3/name = "NVIDIA L40S"
        gpu/devices/3/clocks/sm_mhz = 2115
        gpu/devices/3/utilization/gpu_percent = 99
    Quiet:
        gpu/devices/0/name = "NVIDIA L40S"
        gpu/devices/0/clocks/sm_mhz = 2085
        gpu/devices/0/utilization/gpu_percent = 99
        gpu/devices/1/name = "NVIDIA L40S"
        gpu/devices/1/clocks/sm_mhz = 2100
        gpu/devices/1/utilization/gpu_percent = 99
        gpu/devices/2/name = "NVIDIA L40S"
        gpu/devices/2/clocks/sm_mhz = 2130
        gpu/devices/2/utilization/gpu_percent = 98
        gpu/devices/3/name = "NVIDIA L40S"
        gpu/devices/3/clocks/sm_mhz = 2115
        gpu/devices/3/utilization/gpu_percent = 99
    """
    own, load = number(case, "clocks/sm_mhz"), number(case, "utilization/gpu_percent")
    if load < BUSY_PERCENT:
        raise Unjudged("utilization/gpu_percent", "the GPU is not busy: clocks are compared under load only")
    busy = [one for one, percent in _numbers(siblings(case), "utilization", "gpu_percent") if percent >= BUSY_PERCENT]
    clocks = [one for _, one in _numbers(busy, "clocks", "sm_mhz")]
    _enough(len(clocks), " that are busy")
    usual = statistics.median(clocks)
    if own < SLOWER * usual:
        text = f"{shown(own)} MHz under load, the other GPUs of this model run at {shown(usual)} MHz"
        cited = ("clocks/sm_mhz", "utilization/gpu_percent", "clocks_event_reasons")
        yield Found(text, tuple(map(case.cite, cited)))


GPU_SIBLING_RULES: tuple[Rule, ...] = (
    Rule(
        "gpu.outlier.vbios",
        Severity.INFO,
        Verdict.IGNORE,
        needs=("name", "vbios"),
        source=SOURCE,
        judge=outlier_vbios,
        scope=GPU,
        next="ask the OEM which version this board should have, and bring all to one",
    ),
    Rule(
        "gpu.outlier.inforom",
        Severity.INFO,
        Verdict.IGNORE,
        needs=("name", "inforom/image"),
        source=SOURCE,
        judge=outlier_inforom,
        scope=GPU,
        next="ask the OEM which version this board should have",
    ),
    Rule(
        "gpu.outlier.width",
        Severity.WARNING,
        Verdict.INSPECT,
        needs=("name", "pcie/width_current"),
        source=SOURCE,
        judge=outlier_width,
        scope=GPU,
        next=RESEAT,
    ),
    Rule(
        "gpu.outlier.temperature",
        Severity.WARNING,
        Verdict.INSPECT,
        needs=("name", "temperature_c", "power_w"),
        source=SOURCE,
        judge=outlier_temperature,
        scope=GPU,
        next=COOLING,
    ),
    Rule(
        "gpu.outlier.clocks",
        Severity.WARNING,
        Verdict.INSPECT,
        needs=("name", "clocks/sm_mhz", "utilization/gpu_percent"),
        source=SOURCE,
        judge=outlier_clocks,
        scope=GPU,
        next=f"look at its clocks event reasons, power and temperature; {DIAGNOSE}",
    ),
)
