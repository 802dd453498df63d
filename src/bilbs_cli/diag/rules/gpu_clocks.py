"""Rules about what slows a GPU down: its reasons for reduced clocks, heat, and a power limit below the default."""

from __future__ import annotations

from collections.abc import Iterator

from bilbs_cli.diag.findings import Case, Found, Rule, Severity, Verdict
from bilbs_cli.diag.rules.gpu_advice import COOLING
from bilbs_cli.diag.rules.gpu_readings import number, shown
from bilbs_cli.diag.rules.scopes import GPU

REASONS = "https://docs.nvidia.com/deploy/nvml-api/group__nvmlClocksEventReasons.html"
THRESHOLDS = "https://docs.nvidia.com/deploy/nvml-api/group__nvmlDeviceEnumvs.html"
MARGIN = "https://docs.nvidia.com/deploy/nvml-api/structnvmlMarginTemperature__v1__t.html"
QUERIES = "https://docs.nvidia.com/deploy/nvml-api/group__nvmlDeviceQueries.html"

HOT = 0.0  # degrees of margin (T.Limit): lower is hotter
LEAST_W = 1.0  # a limit that differs by less is the default, rounded
THERMAL, BRAKE, SLOWDOWN = "hw_thermal_slowdown", "hw_power_brake_slowdown", "hw_slowdown"


def _reasons(case: Case) -> list[str]:
    found = case.get("clocks_event_reasons")
    if not isinstance(found, list):
        raise case.unread("clocks_event_reasons")
    return [one for one in found if isinstance(one, str)]


def hw_slowdown(case: Case) -> Iterator[Found]:
    """Hardware of the GPU halves its clocks or worse, and does not say whether for heat or power.

    The bit stands for heat, for the power brake, or for a power draw that is too high. Where one of the bits that name
    the reason is set too, that rule tells. One look is a warning; gpud calls it a fault at six in ten minutes.

    Fires:
        gpu/devices/0/clocks_event_reasons = ["hw_slowdown"]
    Quiet:
        gpu/devices/0/clocks_event_reasons = ["gpu_idle", "sw_power_cap"]
    """
    reasons = _reasons(case)
    if SLOWDOWN in reasons and not {THERMAL, BRAKE} & set(reasons):
        yield Found("the hardware slows this GPU down", (case.cite("clocks_event_reasons"),))


def hw_thermal(case: Case) -> Iterator[Found]:
    """Hardware of the GPU slows it down because it is too hot.

    Fires:
        gpu/devices/0/clocks_event_reasons = ["hw_slowdown", "hw_thermal_slowdown"]
    Quiet:
        gpu/devices/0/clocks_event_reasons = []
    """
    if THERMAL in _reasons(case):
        known = [one for one in ("temperature_c", "temperature_margin_c") if case.number(one) is not None]
        cited = (case.cite("clocks_event_reasons"), *map(case.cite, known))
        yield Found("the hardware slows this GPU down because it is too hot", cited)


def power_brake(case: Case) -> Iterator[Found]:
    """Power brake: something outside the GPU asks it to slow down.

    The signal comes from the chassis: a power supply that is lost or overloaded, or the BMC. The GPU itself is well.

    Fires:
        gpu/devices/0/clocks_event_reasons = ["hw_slowdown", "hw_power_brake_slowdown"]
    Quiet:
        gpu/devices/0/clocks_event_reasons = ["sw_power_cap"]
    """
    if BRAKE in _reasons(case):
        yield Found("the chassis asks this GPU to slow down (power brake)", (case.cite("clocks_event_reasons"),))


def temperature_margin(case: Case) -> Iterator[Found]:
    """GPU is so hot that it slows down.

    Hopper and later tell the distance to the limit (T.Limit): there LOWER is hotter, and 0 is the limit. NVIDIA's
    hardware steps in a few degrees past it (field 194). Older GPUs tell their temperature and the threshold.

    Fires:
        gpu/devices/0/temperature_margin_c = 0
    Quiet:
        gpu/devices/0/temperature_c = 91
        gpu/devices/0/temperature_thresholds/slowdown_c = 92
    """
    if case.get("temperature_margin_c") is not None:
        margin = number(case, "temperature_margin_c")
        if margin <= HOT:
            known = [one for one in ("temperature_c", "temperature_tlimits/slowdown_c") if case.number(one) is not None]
            text = f"{shown(margin)} °C left to the limit of this GPU's temperature"
            yield Found(text, (case.cite("temperature_margin_c"), *map(case.cite, known)))
        return
    degrees, limit = number(case, "temperature_c"), number(case, "temperature_thresholds/slowdown_c")
    if degrees >= limit:
        text = f"{shown(degrees)} °C, this GPU slows down from {shown(limit)} °C on"
        yield Found(text, (case.cite("temperature_c"), case.cite("temperature_thresholds/slowdown_c")))


def temperature_memory(case: Case) -> Iterator[Found]:
    """Memory of the GPU is too hot.

    At its maximum the software slows the GPU down. Where the driver tells no threshold in degrees (Ada and later) there
    is nothing to compare with: the GPU's own margin covers it.

    Fires:
        gpu/devices/0/memory_temperature_c = 97
        gpu/devices/0/temperature_thresholds/memory_max_c = 97
    Quiet:
        gpu/devices/0/memory_temperature_c = 96
        gpu/devices/0/temperature_thresholds/memory_max_c = 97
    """
    limit = number(case, "temperature_thresholds/memory_max_c")
    degrees = number(case, "memory_temperature_c")
    if limit > 0 and degrees >= limit:
        text = f"the memory has {shown(degrees)} °C, its limit is {shown(limit)} °C"
        yield Found(text, (case.cite("memory_temperature_c"), case.cite("temperature_thresholds/memory_max_c")))


def power_limit(case: Case) -> Iterator[Found]:
    """Power limit of the GPU is below its default.

    Somebody or something set it so (nvidia-smi -pl, a power cap of the chassis): wanted or not, the GPU is slower.

    Fires:
        gpu/devices/0/power_limit_enforced_w = 650.0
        gpu/devices/0/power_limit_default_w = 700.0
    Quiet:
        gpu/devices/0/power_limit_enforced_w = 700.0
        gpu/devices/0/power_limit_default_w = 700.0
    """
    enforced, default = number(case, "power_limit_enforced_w"), number(case, "power_limit_default_w")
    if enforced <= default - LEAST_W:
        text = f"the power limit is {shown(enforced)} W, its default is {shown(default)} W"
        yield Found(text, (case.cite("power_limit_enforced_w"), case.cite("power_limit_default_w")))


_CLOCKS = ("clocks_event_reasons",)
_POWER = "look at the power supplies and the BMC's event log: bilbs diag check"

GPU_CLOCK_RULES: tuple[Rule, ...] = (
    Rule(
        "gpu.clocks.hw_slowdown",
        Severity.WARNING,
        Verdict.INSPECT,
        needs=_CLOCKS,
        source=REASONS,
        judge=hw_slowdown,
        scope=GPU,
        next=f"{_POWER}; {COOLING}",
    ),
    Rule(
        "gpu.clocks.hw_thermal",
        Severity.WARNING,
        Verdict.INSPECT,
        needs=_CLOCKS,
        source=REASONS,
        judge=hw_thermal,
        scope=GPU,
        next=COOLING,
    ),
    Rule(
        "gpu.clocks.power_brake",
        Severity.WARNING,
        Verdict.INSPECT,
        needs=_CLOCKS,
        source=REASONS,
        judge=power_brake,
        scope=GPU,
        next=_POWER,
    ),
    Rule(
        "gpu.temperature.margin",
        Severity.CRITICAL,
        Verdict.INSPECT,
        needs=(
            "temperature_margin_c|temperature_c",
            "temperature_margin_c|temperature_thresholds/slowdown_c",
        ),
        source=MARGIN,
        judge=temperature_margin,
        scope=GPU,
        next=COOLING,
    ),
    Rule(
        "gpu.temperature.memory",
        Severity.WARNING,
        Verdict.INSPECT,
        needs=("memory_temperature_c", "temperature_thresholds/memory_max_c"),
        source=THRESHOLDS,
        judge=temperature_memory,
        scope=GPU,
        next=COOLING,
    ),
    Rule(
        "gpu.power.limit",
        Severity.INFO,
        Verdict.IGNORE,
        needs=("power_limit_enforced_w", "power_limit_default_w"),
        source=QUERIES,
        judge=power_limit,
        scope=GPU,
        next="if nobody wanted that: nvidia-smi -pl with the default, or ask who caps the chassis",
    ),
)
