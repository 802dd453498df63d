"""What to do next about a GPU: the sentences that several rules share. A reset wipes volatile counters: capture first."""

from __future__ import annotations

from bilbs_cli.diag.findings import Case

CAPTURE = "capture first, because this wipes the volatile counters: bilbs diag collect"
FIELD_DIAGNOSTIC = "the field diagnostic (NVIDIA fieldiag, or dcgmi diag -r 4) that confirms it"
SWAP_TEST = "a swap test: the same card in another slot"
REBOOT = f"drain the box; {CAPTURE}; then reboot it"
POWER_CYCLE = (
    f"drain the box; {CAPTURE}; then shut it down, take its power away for 30 s and start it: after a warm reboot the GPU "
    "may still be gone"
)
DIAGNOSE = "at the next window drain the box and run dcgmi diag -r 3"
COOLING = "look at fans, air flow, inlet temperature and dust; the BMC's sensors tell more: bilbs diag check"


def index_of(case: Case) -> str:
    """Return the GPU's index for a command line, a placeholder where the facts have none that is a number."""
    index = case.path[-1] if case.path else ""
    return index if index.isascii() and index.isdigit() and len(index) < 6 else "INDEX"


def reset(case: Case) -> str:
    """Return how to reset a GPU (nvidia-smi(1), --gpu-reset): where NVSwitches join GPUs, only all of them together."""
    return (
        f"stop what runs on this GPU; {CAPTURE}; then nvidia-smi --gpu-reset -i {index_of(case)} "
        "(with NVSwitches all GPUs at once: nvidia-smi --gpu-reset)"
    )
