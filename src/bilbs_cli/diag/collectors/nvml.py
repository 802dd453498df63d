"""One NVML reading as data, and how it is taken (the readings themselves: nvml_table.py, nvml_fields.py).

pynvml is a parameter and names of its constants are resolved when a reading is taken: importing this loads no pynvml.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from bilbs_cli.diag.collectors import nvml_values as values
from bilbs_cli.diag.model import ReadError

PREFIX = "nvmlDevice"


@dataclass(frozen=True, slots=True)
class Part:
    """One of several facts that one call gives; `smi` is the element below `gpu` in `nvidia-smi -q -x`."""

    fact: str
    smi: str = ""


@dataclass(frozen=True, slots=True)
class Query:
    """One call and the fact it gives, or with `parts` the facts that `convert`'s list gives in their order.

    `fact` is the path below `devices/<index>`; `call` is the function without its prefix `nvmlDevice`. `arguments`
    follow the handle; a str is the name of a pynvml constant. `older` has the same arguments and result and is asked
    where a driver lacks `call` (FunctionNotFound). `special` stands for the plain call where NVML wants a structure.
    """

    fact: str
    call: str
    convert: values.Convert = values.whole
    smi: str = ""
    arguments: tuple[int | str, ...] = ()
    parts: tuple[Part, ...] = ()
    older: str = ""
    special: Callable[..., Any] | None = None


def ask(nvml: Any, handle: Any, query: Query, *between: int) -> Any:
    """Call NVML and return what the answer means. `between` stands before the query's own arguments (a link, a fan).

    Raises pynvml's `NVMLError_*` or `Implausible`.
    """
    if query.special:
        return query.convert(query.special(nvml, handle, *between))
    arguments = [getattr(nvml, one) if isinstance(one, str) else one for one in query.arguments]
    try:
        raw = _function(nvml, query.call)(handle, *between, *arguments)
    except nvml.NVMLError_FunctionNotFound:
        if not query.older:
            raise
        raw = _function(nvml, query.older)(handle, *between, *arguments)
    return query.convert(raw)


def _function(nvml: Any, name: str) -> Callable[..., Any]:
    """Return a function of pynvml; one that this pynvml does not know yet is FunctionNotFound as well."""
    try:
        found: Callable[..., Any] = getattr(nvml, PREFIX + name)
    except AttributeError as error:
        raise nvml.NVMLError_FunctionNotFound from error
    return found


def as_error(error: Exception) -> ReadError:
    """Return an exception of NVML (or a value it cannot mean) as evidence: class, words, number."""
    code = getattr(error, "value", None)
    return ReadError(type(error).__name__, str(error) or type(error).__name__, code if isinstance(code, int) else None)
