"""Settings with the place each came from: flag > `BILBS_*` > user file > `/etc/bilbs/config.toml` > default."""

import os
from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any, NamedTuple  # no __future__ annotations: each text would be compiled anew at every start

from bilbs_cli import files, paths
from bilbs_cli.errors import ConfigProblem, NotFound
from bilbs_cli.settings import BY_NAME, ENVIRONMENT, SETTINGS, Setting

LIMIT = 1 << 20
_SECRET_WORDS = ("password", "passwd", "secret", "token", "api_key", "apikey", "passphrase")


class Layer(NamedTuple):
    """One settings file that was read."""

    path: Path
    text: str
    tables: Mapping[str, Any]

    def __repr__(self) -> str:
        """Return it without its text, which may hold what should not stand in a traceback."""
        return f"Layer({str(self.path)!r})"

    def origin(self, *key: str) -> str:
        """Return `file:line` of a key or table, or the file where no line can be told."""
        from bilbs_cli.toml_text import line_of

        line = line_of(self.text, key)
        return f"{self.path}:{line}" if line else str(self.path)


class Found(NamedTuple):
    """A setting's value and where it stands: `flag --profile`, `env BILBS_DIAG_PROFILE`, `FILE:LINE`, `default`."""

    value: Any
    origin: str


class Config(NamedTuple):
    """All layers, highest first. A bad value costs only the command that asks for it."""

    layers: tuple[Layer, ...]
    env: Mapping[str, str]

    def __repr__(self) -> str:
        """Return it without the environment, which may hold secrets."""
        return f"Config({self.layers!r})"

    def value(self, name: str, flag: Any = None) -> Any:
        """Return the setting `name`, or `flag` when it was given (is not None). Raises `ConfigProblem`."""
        return flag if flag is not None else self.find(name).value

    def find(self, name: str) -> Found:
        """Return value and origin of the setting `name`. Raises `ConfigProblem` for a bad value, naming its place."""
        setting = named(name)
        if setting.env and self.env.get(setting.env, "").strip():
            return _parsed(setting, self.env[setting.env], f"env {setting.env}")
        table, key = setting.path
        for layer in self.layers:
            values = layer.tables.get(table)
            if isinstance(values, Mapping) and key in values:
                return _parsed(setting, values[key], layer.origin(table, key))
        return Found(setting.default, "default")

    def warnings(self) -> Iterator[str]:
        """Yield what is odd and not fatal: unknown settings with the nearest name, a file that anyone may change."""
        for layer in self.layers:
            yield from _oddities(layer)
        variables = [setting.env for setting in SETTINGS] + [name for name, _ in ENVIRONMENT]
        for name in sorted(set(self.env).difference(variables)):
            near = get_close_matches(name, variables, n=1, cutoff=0.85) if name.startswith("BILBS_") else []
            if near:
                yield f"the variable {name} is unknown and ignored; did you mean {near[0]}?"


def named(name: str) -> Setting:
    """Return the setting `name`. Raises `NotFound` with the nearest name."""
    if name not in BY_NAME:
        raise NotFound(f"no setting {name}{_nearest(name)}", code="no-such-setting", next="bilbs config list")
    return BY_NAME[name]


def load(env: Mapping[str, str] | None = None, *, system: Path = paths.SYSTEM_CONFIG) -> Config:
    """Read the settings files that exist.

    `BILBS_CONFIG` names the only one to read (`/dev/null`: none); it must exist then. Raises `ConfigProblem` for a file
    that cannot be read or is not TOML, naming the line.
    """
    env = os.environ if env is None else env
    layers = (read(path, must_exist=bool(env.get("BILBS_CONFIG"))) for path in places(env, system=system))
    return Config(tuple(layer for layer in layers if layer), dict(env))


def places(env: Mapping[str, str], *, system: Path = paths.SYSTEM_CONFIG) -> tuple[Path, ...]:
    """Return the files to read, highest first."""
    only = env.get("BILBS_CONFIG", "")
    if only:
        return () if only == os.devnull else (Path(only).absolute(),)
    user = paths.user_config(env)
    return (user, system) if user else (system,)


def read(path: Path, *, must_exist: bool = False) -> Layer | None:
    """Return the settings file at `path`, None where there is none. Raises `ConfigProblem`."""
    try:
        with files.open_regular(path) as stream:
            data = stream.read(LIMIT + 1)
    except (FileNotFoundError, NotADirectoryError) as error:
        if not must_exist:
            return None
        raise _problem(f"{path} (BILBS_CONFIG) does not exist", "config-missing") from error
    except (OSError, files.NotReadable) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise _problem(f"cannot read the settings in {path}: {reason}", "config-unreadable") from error
    if len(data) > LIMIT:
        raise _problem(f"{path} is over {LIMIT} bytes: not a settings file", "config-unreadable")
    return Layer(path, *_toml(path, data))


def _toml(path: Path, data: bytes) -> tuple[str, dict[str, Any]]:
    import tomllib  # 4 ms: most boxes have no settings file

    try:
        text = data.decode("utf-8-sig")  # an editor of another system puts a mark in front
        return text, tomllib.loads(text)
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise _problem(f"{path}:{line}: not UTF-8 text", "config-syntax") from error
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise _problem(_where(path, str(error)), "config-syntax") from error


def _where(path: Path, message: str) -> str:
    """Return `FILE:LINE: what` from tomllib's `what (at line 3, column 5)`."""
    what, _, place = message.rpartition(" (at line ")
    line = place.partition(",")[0]
    return f"{path}:{line}: {what}" if line.isdigit() else f"{path}: {message}"


def _parsed(setting: Setting, raw: Any, origin: str) -> Found:
    try:
        return Found(setting.kind.parse(raw), origin)
    except ValueError as error:
        raise _problem(f"{setting.name} ({origin}): {error}", "config-value") from error


def _problem(message: str, code: str) -> ConfigProblem:
    return ConfigProblem(message, code=code, next="correct it; BILBS_CONFIG=/dev/null leaves every settings file out")


def _oddities(layer: Layer) -> Iterator[str]:
    try:
        if layer.path.stat().st_mode & 0o002:
            yield f"{layer.path} can be changed by every user of this machine; chmod o-w {layer.path}"
    except OSError:
        pass
    tables = {setting.path[0] for setting in SETTINGS}
    for table, values in layer.tables.items():
        if table not in tables or not isinstance(values, Mapping):
            yield f"{layer.origin(table)}: unknown setting {table}{_nearest(table)}"
            continue
        for key in values:
            name = f"{table}.{key}"
            if name not in BY_NAME:
                yield f"{layer.origin(table, key)}: {_unknown(name)}"


def _unknown(name: str) -> str:
    if any(word in name.lower() for word in _SECRET_WORDS):
        return f"unknown setting {name}; secrets do not belong here: put it into a file of its own, 0600"
    return f"unknown setting {name}{_nearest(name)}"


def _nearest(name: str) -> str:
    known = [*BY_NAME, *{setting.path[0] for setting in SETTINGS}]
    by_key = [setting.name for setting in SETTINGS if setting.path[1] == name.rpartition(".")[2]]
    near = by_key[:1] or get_close_matches(name, known, n=1)
    return f"; did you mean {near[0]}?" if near else ""
