"""Rules about the NVLink fabric: a GPU's registration, its health there, and the fabric manager that makes it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from bilbs_cli.diag.findings import BOX, Case, Found, Gap, Rule, Severity, Unjudged, Verdict
from bilbs_cli.diag.rules.gpu_advice import CAPTURE, reset
from bilbs_cli.diag.rules.gpu_readings import counter, word
from bilbs_cli.diag.rules.scopes import GPU

FABRIC = "https://docs.nvidia.com/deploy/nvml-api/group__nvmlFabricDefs.html"
INFO = "https://docs.nvidia.com/deploy/nvml-api/structnvmlGpuFabricInfo__v3__t.html"
GUIDE = "https://docs.nvidia.com/datacenter/tesla/fabric-manager-user-guide/index.html"

NO_FABRIC = "not supported"
BROKEN = {"degraded_bandwidth": "bandwidth is degraded", "route_unhealthy": "a route is unhealthy"}
RECOVERING = {"route_recovery": "a route recovers", "access_timeout_recovery": "it recovers from an access timeout"}
SUMMARIES = {"unhealthy": Severity.CRITICAL, "limited capacity": Severity.WARNING}
NORMAL = frozenset({"none", NO_FABRIC})

NVML = "/gpu/system/nvml"
SWITCHES = "/pci/counts/nvswitch"
PROCESS = "/services/processes/nv-fabricmanager/running"
UNIT = "/services/units/nvidia-fabricmanager.service/active_state"
ALIVE = frozenset({"active", "activating", "reloading"})
RESTART = f"systemctl restart nvidia-fabricmanager; read /var/log/fabricmanager.log; where it does not help: {CAPTURE}; reboot"


def fabric_state(case: Case) -> Iterator[Found]:
    """GPU is not registered with the NVLink fabric.

    Without it, CUDA does not start on this GPU (error 802). The status only counts once the state is "completed". It is
    "in progress" for a moment after the start of the fabric manager, and stays so where NVSwitches are shared between
    virtual machines and no partition was activated. On cards without a fabric there is none to judge.

    Fires:
        gpu/devices/0/fabric/state = "in progress"
        gpu/devices/0/fabric/status = "success"
    Quiet:
        gpu/devices/0/fabric/state = "completed"
        gpu/devices/0/fabric/status = "success"
    """
    state, status = word(case, "fabric/state"), word(case, "fabric/status")
    if state == NO_FABRIC:
        raise Unjudged("fabric/state", "this GPU has no NVLink fabric", Gap.UNSUPPORTED)
    cited = (case.cite("fabric/state"), case.cite("fabric/status"))
    if state != "completed":
        yield Found(f"the registration with the NVLink fabric is {state[:64]}", cited)
    elif status.lower() != "success":
        yield Found(f"the registration with the NVLink fabric failed: {status[:120]}", cited)


def fabric_health(case: Case) -> Iterator[Found]:
    """NVLink fabric of the GPU is not healthy.

    Lost bandwidth, an unhealthy route or a wrong configuration are critical: jobs over several GPUs fail or crawl. A
    recovery in progress is a warning. A partition that is not assigned is none: that is how shared fabrics wait.

    Fires:
        gpu/devices/0/fabric/state = "completed"
        gpu/devices/0/fabric/health = {"degraded_bandwidth": "true", "route_unhealthy": "false", "incorrect_configuration": "none"}
    Quiet:
        gpu/devices/0/fabric/state = "completed"
        gpu/devices/0/fabric/health = {"degraded_bandwidth": "false", "route_unhealthy": "not supported", "incorrect_configuration": "none"}
        gpu/devices/0/fabric/health_summary = "healthy"
    """
    if word(case, "fabric/state") == NO_FABRIC:
        raise Unjudged("fabric/state", "this GPU has no NVLink fabric", Gap.UNSUPPORTED)
    health, summary = case.get("fabric/health"), case.get("fabric/health_summary")
    if not isinstance(health, Mapping) and not isinstance(summary, str):
        raise case.unread("fabric/health")
    said = [*_unwell(health if isinstance(health, Mapping) else {})]
    if isinstance(summary, str) and summary in SUMMARIES:
        said.append((SUMMARIES[summary], f"NVML calls it {summary}"))
    if said:
        yield Found(
            f"NVLink fabric: {', '.join(words for _, words in said)}",
            (case.cite("fabric/health"), case.cite("fabric/health_summary")),
            severity=max((severity for severity, _ in said), key=lambda one: one.rank),
            next=f"{RESTART}; where only this GPU has it: {reset(case)}",
        )


def _unwell(health: Mapping[str, object]) -> Iterator[tuple[Severity, str]]:
    yield from ((Severity.CRITICAL, words) for name, words in BROKEN.items() if health.get(name) == "true")
    wrong = health.get("incorrect_configuration")
    if isinstance(wrong, str) and wrong not in NORMAL:
        yield Severity.CRITICAL, f"wrong configuration ({wrong[:64]})"
    yield from ((Severity.WARNING, words) for name, words in RECOVERING.items() if health.get(name) == "true")


def fabric_manager(case: Case) -> Iterator[Found]:
    """Fabric manager does not run, and the box has NVSwitches.

    Both together are the fault: without switches the fabric manager ends itself with NV_WARN_NOTHING_TO_DO, which is no
    error. Switches of NVLink 5 are no PCI devices of their own and are not counted here: there gpu.fabric.state tells.

    Fires:
        gpu/system/nvml = "initialised"
        pci/counts/nvswitch = 4
        services/units/nvidia-fabricmanager.service/active_state = "failed"
    Quiet:
        pci/counts/nvswitch = 0
        services/units/nvidia-fabricmanager.service/active_state = "failed"
    """
    switches = counter(case, SWITCHES)
    if switches is None:
        raise case.unread(SWITCHES)
    if switches and case.get(NVML) is None:
        raise case.unread(NVML)  # they may be another system's: without the driver nothing here uses them
    unit, runs = case.get(UNIT), case.get(PROCESS)
    if not isinstance(unit, str) and not isinstance(runs, bool):
        raise case.unread(PROCESS)
    dead = runs is not True and (unit not in ALIVE if isinstance(unit, str) else True)
    if switches and dead:
        state = f" (its unit is {unit[:32]})" if isinstance(unit, str) else ""
        text = f"the fabric manager does not run{state}, and {switches} NVSwitches need it"
        known = [path for path in (UNIT, PROCESS) if case.get(path) is not None]
        yield Found(text, (case.cite(SWITCHES), *map(case.cite, known)))


GPU_FABRIC_RULES: tuple[Rule, ...] = (
    Rule(
        "gpu.fabric.state",
        Severity.CRITICAL,
        Verdict.RESTART_APP,
        needs=("fabric/state", "fabric/status"),
        source=INFO,
        judge=fabric_state,
        scope=GPU,
        next=RESTART,
    ),
    Rule(
        "gpu.fabric.health",
        Severity.CRITICAL,
        Verdict.INSPECT,
        needs=("fabric/state", "fabric/health|fabric/health_summary"),
        source=FABRIC,
        judge=fabric_health,
        scope=GPU,
    ),
    Rule(
        "gpu.fabric.manager",
        Severity.CRITICAL,
        Verdict.RESTART_APP,
        needs=(SWITCHES, f"{PROCESS}|{UNIT}"),
        source=GUIDE,
        judge=fabric_manager,
        scope=BOX,
        next=RESTART,
    ),
)
