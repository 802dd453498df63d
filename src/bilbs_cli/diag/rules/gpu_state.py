"""Rules about how a GPU runs right now: reduced clocks, heat, power limit, InfoROM, and the action that the driver asks for."""

from __future__ import annotations

from collections.abc import Iterator

from bilbs_cli.diag.findings import Case, Found, Rule, Severity, Verdict
from bilbs_cli.diag.model import ReadError
from bilbs_cli.diag.rules.gpu_advice import CAPTURE, COOLING, DIAGNOSE, FIELD_DIAGNOSTIC, REBOOT, reset
from bilbs_cli.diag.rules.gpu_memory import FLAGS
from bilbs_cli.diag.rules.gpu_readings import number, set_in, shown, word
from bilbs_cli.diag.rules.scopes import GPU

REASONS = "https://docs.nvidia.com/deploy/nvml-api/group__nvmlClocksEventReasons.html"
THRESHOLDS = "https://docs.nvidia.com/deploy/nvml-api/group__nvmlDeviceEnumvs.html"
MARGIN = "https://docs.nvidia.com/deploy/nvml-api/structnvmlMarginTemperature__v1__t.html"
PERSISTENCE = "https://docs.nvidia.com/deploy/driver-persistence/index.html"
QUERIES = "https://docs.nvidia.com/deploy/nvml-api/group__nvmlDeviceQueries.html"
FIELDS = "https://docs.nvidia.com/deploy/nvml-api/api/group__nvmlFieldValueEnums.html"

HOT = 0.0  # degrees of margin (T.Limit): lower is hotter
LEAST_W = 1.0  # a limit that differs by less is the default, rounded
THERMAL, BRAKE, SLOWDOWN = "hw_thermal_slowdown", "hw_power_brake_slowdown", "hw_slowdown"
ACTION = "fields/recovery_action"
CORRUPT = "NVMLError_CorruptedInforom"

# NVML_GPU_RECOVERY_ACTION_*, from the least to do to the most; what each wants: FLAGS and nvml.h
ACTIONS: dict[str, tuple[Severity, Verdict]] = {
    "drain p2p": (Severity.WARNING, Verdict.RESTART_APP),
    "recover imex domain": (Severity.WARNING, Verdict.RESTART_APP),
    "drain and reset": (Severity.WARNING, Verdict.RESET_GPU),
    "gpu reset": (Severity.CRITICAL, Verdict.RESET_GPU),
    "bus reset": (Severity.CRITICAL, Verdict.REBOOT),
    "node reboot": (Severity.CRITICAL, Verdict.REBOOT),
    "system reboot": (Severity.CRITICAL, Verdict.REBOOT),
}


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


def inforom_corrupt(case: Case) -> Iterator[Found]:
    """InfoROM of the GPU is corrupt.

    It holds the serial, the ECC history and the retired pages: with it broken, the other counters of this card cannot be
    trusted. NVML tells it by the error CorruptedInforom; any other error says nothing about the InfoROM.

    Fires:
        gpu/devices/0/inforom/valid = error NVMLError_CorruptedInforom 14 Corrupted infoROM
    Quiet:
        gpu/devices/0/inforom/valid = true
    """
    reading = case.reading("inforom/valid")
    corrupt = isinstance(reading, ReadError) and reading.kind == CORRUPT
    if corrupt or not set_in(case, "inforom/valid"):
        yield Found(
            "the InfoROM of this GPU is corrupt",
            (case.cite("inforom/valid"),),
            have=("NVML's check of the InfoROM",),
            missing=(FIELD_DIAGNOSTIC, "the same after a reboot"),
        )


def recovery_action(case: Case) -> Iterator[Found]:
    """Driver asks for an action to recover the GPU.

    NVIDIA's own word on what has to be done, and it overrides what single Xids suggest. A driver that does not know the
    field answers with an error and the number 0, which would mean "none": that is not evaluated here, never a pass.

    Fires:
        gpu/devices/0/fields/recovery_action = "gpu reset"
    Quiet:
        gpu/devices/0/fields/recovery_action = "none"
    """
    action = word(case, ACTION)
    if action == "none":
        return
    severity, verdict = ACTIONS.get(action, (Severity.WARNING, Verdict.INSPECT))
    yield Found(
        f"the driver asks for: {action[:64]}",
        (case.cite(ACTION),),
        severity=severity,
        verdict=verdict,
        next=_recover(case, action, verdict),
        immediate=action[:64],
    )


def _recover(case: Case, action: str, verdict: Verdict) -> str:
    match action:
        case "drain p2p":
            return "stop the programs that use peer-to-peer between GPUs, then look what the driver asks for: bilbs diag check"
        case "recover imex domain":
            return "look at nvidia-imex on every node of the domain (systemctl status nvidia-imex), and restart it"
        case "drain and reset":
            return f"give this GPU no new work and let what runs end; {reset(case)}"
    if verdict is Verdict.INSPECT:
        return f"bilbs does not know this action: look it up in NVIDIA's NVML documentation; {CAPTURE}"
    return reset(case) if verdict is Verdict.RESET_GPU else REBOOT


def reset_required(case: Case) -> Iterator[Found]:
    """GPU has to be reset before it can be used again (where the driver names no other action).

    Fires:
        gpu/devices/0/fields/reset_required = true
    Quiet:
        gpu/devices/0/fields/reset_required = false
    """
    if (path := set_in(case, "fields/reset_required")) and not _names_action(case):
        yield Found("this GPU has to be reset before it can be used again", (case.cite(path),), next=reset(case))


def reset_recommended(case: Case) -> Iterator[Found]:
    """GPU should be drained and reset (where the driver names no other action).

    Fires:
        gpu/devices/0/fields/drain_and_reset_recommended = true
    Quiet:
        gpu/devices/0/fields/drain_and_reset_recommended = false
    """
    if (path := set_in(case, "fields/drain_and_reset_recommended")) and not _names_action(case):
        text = "this GPU should get no new work and be reset"
        yield Found(text, (case.cite(path),), next=f"let what runs end; {reset(case)}")


def _names_action(case: Case) -> bool:
    """Say whether gpu.recovery_action tells it already."""
    action = case.get(ACTION)
    return isinstance(action, str) and action != "none"


def persistence(case: Case) -> Iterator[Found]:
    """Persistence mode is off.

    The driver lets go of the GPU when nothing uses it: the next program waits for its start, and volatile counters are
    lost with every such pause.

    Fires:
        gpu/devices/0/persistence_mode = false
    Quiet:
        gpu/devices/0/persistence_mode = true
    """
    if not set_in(case, "persistence_mode"):
        yield Found("persistence mode is off", (case.cite("persistence_mode"),))


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

GPU_STATE_RULES: tuple[Rule, ...] = (
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
        "gpu.inforom.corrupt",
        Severity.CRITICAL,
        Verdict.INSPECT,
        needs=(),
        source=QUERIES,
        judge=inforom_corrupt,
        scope=GPU,
        next=f"{REBOOT}; where it stays, open a case; until then: {DIAGNOSE}",
    ),
    Rule(
        "gpu.recovery_action",
        Severity.CRITICAL,
        Verdict.RESET_GPU,
        needs=(ACTION,),
        source=FLAGS,
        judge=recovery_action,
        scope=GPU,
    ),
    Rule(
        "gpu.reset.required",
        Severity.CRITICAL,
        Verdict.RESET_GPU,
        needs=("fields/reset_required",),
        source=FIELDS,
        judge=reset_required,
        scope=GPU,
    ),
    Rule(
        "gpu.reset.recommended",
        Severity.WARNING,
        Verdict.RESET_GPU,
        needs=("fields/drain_and_reset_recommended",),
        source=FIELDS,
        judge=reset_recommended,
        scope=GPU,
    ),
    Rule(
        "gpu.persistence",
        Severity.INFO,
        Verdict.IGNORE,
        needs=("persistence_mode",),
        source=PERSISTENCE,
        judge=persistence,
        scope=GPU,
        next="systemctl enable --now nvidia-persistenced",
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
