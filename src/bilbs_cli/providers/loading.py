"""Find and read provider files: the user's over the machine's over the built-in ones; a broken one costs only itself."""

import os
from collections.abc import Mapping
from contextlib import suppress
from difflib import get_close_matches
from pathlib import Path
from typing import NamedTuple  # no __future__ annotations: each text would be compiled anew at every start

from bilbs_cli import files, paths
from bilbs_cli.errors import ConfigProblem, NotFound
from bilbs_cli.providers import plan_cache, schema
from bilbs_cli.providers.model import Provider
from bilbs_cli.providers.reading import Problem
from bilbs_cli.providers.schema import Broken

BUILT_IN = Path(__file__).parent
LIMIT = 1 << 20


class Found(NamedTuple):
    """A provider file by its name (`acme` for `acme.toml`), not yet read. `hides` are the files of lower places with that name."""

    id: str
    path: Path
    origin: str
    hides: tuple[Path, ...] = ()


def folders(env: Mapping[str, str] | None = None) -> tuple[tuple[str, Path], ...]:
    """Return the places of provider files with what they are called, highest first."""
    user = paths.user_config(os.environ if env is None else env)
    mine = (("user", user.parent / "providers.d"),) if user else ()
    return (*mine, ("system", paths.SYSTEM_CONFIG.parent / "providers.d"), ("built-in", BUILT_IN))


def found(env: Mapping[str, str] | None = None) -> tuple[Found, ...]:
    """Return the provider files there are, the built-in ones first in their order, then the others by name."""
    by_id: dict[str, list[tuple[str, Path]]] = {}
    for origin, folder in folders(env):
        try:
            there = sorted(
                path for path in folder.iterdir() if path.suffix == ".toml" and not path.name.startswith(".")
            )
        except OSError:  # no such folder, or not ours to read: then it holds nothing for this user
            continue
        for path in there:
            by_id.setdefault(path.stem, []).append((origin, path))
    order = sorted(by_id, key=lambda name: (by_id[name][-1][0] != "built-in", name != "bilbs", name))
    return tuple(
        Found(name, by_id[name][0][1], by_id[name][0][0], tuple(path for _, path in by_id[name][1:])) for name in order
    )


def built_in(name: str) -> Found:
    """Return the built-in file of that name, whatever hides it."""
    return Found(name, BUILT_IN / f"{name}.toml", "built-in")


def load(name: str, env: Mapping[str, str] | None = None) -> Provider:
    """Return the provider `name` (its id, in any case).

    Raises `NotFound` with the nearest name, `ConfigProblem` for a file that is broken, naming line and key.
    """
    wanted = name.strip().lower()
    there = {one.id: one for one in found(env)}
    if wanted not in there:
        near = get_close_matches(wanted, there, n=1, cutoff=0.5)
        raise NotFound(
            f"no support plan {name}{f'; did you mean {near[0]}?' if near else ''}",
            code="no-such-provider",
            next="bilbs support providers list",
        )
    return read(there[wanted])


def read(file: Found) -> Provider:
    """Return what a provider file says; its id must be the file's name. Raises `ConfigProblem`."""
    try:
        provider = _parsed(file)
    except Broken as error:
        raise problem(error) from error
    if provider.id != file.id:
        raise problem(Broken([Problem(str(file.path), 0, "id", f"{provider.id} in a file named {file.path.name}")]))
    return provider


def _parsed(file: Found) -> Provider:
    kept = plan_cache.read(file.path)
    if kept is not None:
        with suppress(Broken):  # kept by another schema: the file itself says what is wrong, with its lines
            return schema.build(kept, "", str(file.path), file.origin)
    text = text_of(file.path)
    data = schema.parsed(text, str(file.path))
    provider = schema.build(data, text, str(file.path), file.origin)
    plan_cache.keep(file.path, data)
    return provider


def text_of(path: Path) -> str:
    """Return the text of a provider file. Raises `Broken` where it cannot be read."""
    try:
        with files.open_regular(path) as stream:
            data = stream.read(LIMIT + 1)
        if len(data) > LIMIT:
            raise Broken([Problem(str(path), 0, "(file)", f"over {LIMIT} bytes: no provider file")])
        return data.decode("utf-8-sig").replace("\r\n", "\n")
    except UnicodeDecodeError as error:
        raise Broken([Problem(str(path), data.count(b"\n", 0, error.start) + 1, "(file)", "not UTF-8 text")]) from error
    except (OSError, files.NotReadable) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise Broken([Problem(str(path), 0, "(file)", f"cannot be read: {reason}")]) from error


def problem(broken: Broken) -> ConfigProblem:
    """Return the error of a broken provider file: its first problem, and how many more there are."""
    more = len(broken.problems) - 1
    path = broken.problems[0].path
    return ConfigProblem(
        f"{broken}{f' (and {more} more)' if more else ''}",
        code="provider-broken",
        safe="the pager and the other plans are not touched by it",
        next=f"bilbs support providers validate {path}",
    )
