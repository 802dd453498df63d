"""Which words may stand where, beyond what the command tree knows itself: settings, topics, rules, tiers, severities."""

from __future__ import annotations

from collections.abc import Callable

from bilbs_cli.command_tree import Argument, Command, Option

TICKETS, OUTBOX, FILES = "@tickets", "@outbox", "@files"  # asked for at the key press; files by the shell itself


def of_argument(command: Command, one: Argument) -> tuple[str, ...]:
    """Return the words for an argument; a word with @ is asked for at the key press."""
    if "TICKET" in one.shown:
        return (TICKETS,)
    match command.path, one.name:
        case ("support", "outbox", _), "entry":
            return (OUTBOX,)
        case ("help",), _:
            return _topics()
        case ("config", _), "key":
            return _settings()
        case ("diag", "explain"), _:
            return _rules()
        case ("plan", ("subscribe" | "cancel" | "resume")), _:
            return ("support",)
        case ("plan", "show"), _:
            return _tiers(whole=False)
        case ("plan", "compare"), _:
            return _tiers(whole=True)
        case ("support", "providers", "show"), _:
            return _providers()
        case ("support", "ticket", "severity"), "severity":
            return _severities()
    return one.choices or ((FILES,) if one.path else ())


def of_option(one: Option) -> tuple[str, ...]:
    """Return the words for the value of an option."""
    if one.choices:
        return one.choices
    known: dict[str, Callable[[], tuple[str, ...]]] = {
        "--only": _collectors,
        "--skip": _collectors,
        "--provider": _providers,
        "--severity": _severities,
        "--tier": lambda: _tiers(whole=False),
    }
    for name in one.names:
        if name in known:
            return known[name]()
    return (FILES,) if one.path else ()


def _topics() -> tuple[str, ...]:
    from bilbs_cli.help_topics import TOPICS

    return tuple(TOPICS)


def _settings() -> tuple[str, ...]:
    from bilbs_cli.settings import SETTINGS

    return tuple(one.name for one in SETTINGS)


def _rules() -> tuple[str, ...]:
    from bilbs_cli.diag.rules import RULES

    return tuple(sorted({one.id for one in RULES}))


def _collectors() -> tuple[str, ...]:
    from bilbs_cli.diag.collectors import COLLECTORS

    return tuple(one.name for one in COLLECTORS)


def _providers() -> tuple[str, ...]:
    from bilbs_cli.providers import loading

    return tuple(sorted(path.stem for path in loading.BUILT_IN.glob("*.toml")))


def _tiers(*, whole: bool) -> tuple[str, ...]:
    from bilbs_cli.providers import loading

    if not whole:
        return tuple(one.id for one in loading.read(loading.built_in("bilbs")).tiers)
    plans = [loading.read(loading.built_in(name)) for name in _providers()]
    return tuple(name for plan in plans for name in (plan.id, *(f"{plan.id}:{tier.id}" for tier in plan.tiers)))


def _severities() -> tuple[str, ...]:
    from bilbs_cli.providers import loading

    return tuple(one.id for one in loading.read(loading.built_in("bilbs")).severities)
