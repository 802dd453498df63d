"""What keeps secrets in: the host's own secrets, read before a run; the gate after it; the pseudonyms of this box."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from bilbs_cli import files, fork, paths
from bilbs_cli.diag.bundle import gate as gates
from bilbs_cli.diag.bundle.reader import Reader
from bilbs_cli.diag.job import Options
from bilbs_cli.diag.redaction import CustomRule, Gate, Pseudonyms, Redactor, known_secrets, pseudonyms

READ_S = 3.0  # a home folder on a dead server must not hold the run up


def secrets_of_host(options: Options | None) -> dict[str, bytes]:
    """Return this host's real secrets by their source; read in a child, so that a hung file costs 3 s and no more.

    They live in memory only. `options` gives the BMC password of this run.
    """
    bmc = options.bmc if options else None
    given = {"the BMC password": bmc.password.encode("utf-8", "surrogateescape")} if bmc else {}

    def listed() -> bytes:
        homes = {"/root", os.environ.get("HOME", ""), *map(str, Path("/home").glob("*"))} - {""}
        found = known_secrets(
            root=options.sysroot if options else None, env=os.environ, homes=sorted(homes), given=given
        )
        return json.dumps({name: secret.hex() for name, secret in found.items()}).encode()

    Redactor()  # compiles the rules here, once: the child and the run's own redactor find them compiled
    answer = fork.call(listed, READ_S)
    return {name: bytes.fromhex(text) for name, text in json.loads(answer).items()} if answer else given


def gate_for(known: Mapping[str, bytes]) -> Callable[[Reader], None]:
    """Return the last check of an archive: it raises `SecretFound` when one of the known secrets is in it."""
    return lambda reader: gates.search(reader, lambda: Gate(known))


def custom_rules(pairs: Iterable[tuple[str, str]]) -> list[CustomRule]:
    """Return the rules of the settings."""
    return [CustomRule(name, pattern) for name, pattern in pairs]


def names_of_box() -> Pseudonyms:
    """Return the pseudonyms of this box, with its key and names. Raises `OutputUnwritable` when the key cannot be kept."""
    return pseudonyms.of_box(files.private_dir(paths.state_dir()))


def keep_pairs(pairs: dict[str, str]) -> None:
    """Store pseudonyms that a child made, so that `bilbs diag reveal` knows them."""
    pseudonyms.save(paths.state_dir(), pairs)
