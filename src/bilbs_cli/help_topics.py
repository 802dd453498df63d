"""What `bilbs help TOPIC` says; tables are read from where they are true, prose from help_texts."""

from __future__ import annotations

import difflib
from collections.abc import Callable
from typing import Any

from bilbs_cli import paths, terminal
from bilbs_cli.errors import EXIT_MEANING, NotFound

Rows = list[dict[str, Any]]


def exit_codes() -> Rows:
    """Return the exit table."""
    return [{"status": int(status), "meaning": meaning} for status, meaning in EXIT_MEANING.items()]


def environment() -> Rows:
    """Return every environment variable that bilbs reads, settings included."""
    from bilbs_cli.settings import ENVIRONMENT, SETTINGS

    rows: Rows = [{"variable": name, "meaning": meaning} for name, meaning in ENVIRONMENT]
    return rows + [{"variable": s.env, "meaning": f"sets {s.name}: {s.doc}"} for s in SETTINGS if s.env]


def files() -> Rows:
    """Return the files that bilbs reads and writes, as they are for this user."""
    state, config = paths.state_dir(), paths.user_config()
    user = config.parent if config else None
    return [
        {"path": str(config or "(no HOME: none)"), "meaning": "settings of this user"},
        {"path": str(paths.SYSTEM_CONFIG), "meaning": "settings of this machine"},
        {"path": str(user / "card.toml") if user else "(no HOME: none)", "meaning": "the wallet card of this user"},
        {"path": "/etc/bilbs/card.toml", "meaning": "the wallet card of this machine"},
        {"path": str(user / "providers.d") if user else "(no HOME: none)", "meaning": "support plans of this user"},
        {"path": "/etc/bilbs/providers.d", "meaning": "support plans of this machine"},
        {"path": str(state), "meaning": "state: interrupted runs, pseudonyms; BILBS_STATE_DIR moves it"},
        {"path": str(state / "card.toml"), "meaning": "the wallet card that was last fetched from the desk"},
        {
            "path": str(state / "cache"),
            "meaning": "public holidays and support plans as last read; made anew when absent",
        },
        {"path": str(state / "crash"), "meaning": "crash logs, redacted, the newest 20"},
    ]


def settings() -> Rows:
    """Return every setting with its type and default."""
    from bilbs_cli.settings import SETTINGS

    return [{"setting": s.name, "type": s.kind.name, "default": s.show(s.default), "meaning": s.doc} for s in SETTINGS]


def _prose(name: str) -> Callable[[], Rows]:
    def rows() -> Rows:
        from bilbs_cli import help_texts

        return [{"what": what, "how": how} for what, how in getattr(help_texts, name)]

    return rows


def permissions() -> Rows:
    """Return what works as which user."""
    from bilbs_cli import help_texts

    names = ("user", "group", "root", "what")
    return [dict(zip(names, (*allowed, what), strict=True)) for what, *allowed in help_texts.PERMISSIONS]


TOPICS: dict[str, tuple[str, Callable[[], Rows]]] = {
    "exit-codes": ("what each exit status means", exit_codes),
    "environment": ("the variables that bilbs reads", environment),
    "files": ("the files that bilbs reads and writes", files),
    "settings": ("what can be set, its type and default", settings),
    "redaction": ("what is removed from bundles, and what is kept", _prose("REDACTION")),
    "offline": ("what works without a network", _prose("OFFLINE")),
    "air-gap": ("a box that never has a network", _prose("AIR_GAP")),
    "scripting": ("JSON, exit statuses, hooks, cron", _prose("SCRIPTING")),
    "permissions": ("what works as plain user, as member of the group bilbs, as root", permissions),
}


def show(topic: str) -> None:
    """Print a topic, or the list of topics. Raises `NotFound` with the nearest name."""
    if not topic:
        rows: Rows = [{"topic": name, "meaning": meaning} for name, (meaning, _) in TOPICS.items()]
    elif topic in TOPICS:
        rows = TOPICS[topic][1]()
    else:
        near = [f"; did you mean {name}?" for name in difflib.get_close_matches(topic, TOPICS, n=1)]
        raise NotFound(f"no help on {topic}{''.join(near)}", code="no-such-topic", next="bilbs help")
    terminal.emit(
        "help",
        {"topic": topic or None, "rows": rows},
        text=lambda: terminal.table(list(rows[0]), [[str(cell) for cell in row.values()] for row in rows]),
    )
