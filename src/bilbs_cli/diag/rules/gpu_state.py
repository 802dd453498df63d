"""Rules about the state that the driver tells of a GPU: the action it asks for, resets, InfoROM, persistence mode."""

from __future__ import annotations

from collections.abc import Iterator

from bilbs_cli.diag.findings import Case, Found, Rule, Severity, Verdict
from bilbs_cli.diag.model import ReadError
from bilbs_cli.diag.rules.gpu_advice import CAPTURE, DIAGNOSE, FIELD_DIAGNOSTIC, REBOOT, reset
from bilbs_cli.diag.rules.gpu_memory import FLAGS
from bilbs_cli.diag.rules.gpu_readings import set_in, word
from bilbs_cli.diag.rules.scopes import GPU

PERSISTENCE = "https://docs.nvidia.com/deploy/driver-persistence/index.html"
QUERIES = "https://docs.nvidia.com/deploy/nvml-api/group__nvmlDeviceQueries.html"
FIELDS = "https://docs.nvidia.com/deploy/nvml-api/api/group__nvmlFieldValueEnums.html"

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


GPU_STATE_RULES: tuple[Rule, ...] = (
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
)
