"""Write the manual pages from the commands themselves: man_pages.py FOLDER [--date YYYY-MM-DD]."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from bilbs_cli import __version__, command_tree, help_topics, main
from bilbs_cli.command_tree import Argument, Command, Option


def pages(date: str) -> Iterator[tuple[str, str]]:
    """Yield each page as file name and roff: one for every command and group, one for every topic (section 7)."""
    tree = command_tree.read(main.app)
    for one in tree.everything():
        yield f"{_name(one.path)}.1", _command(one, date)
    for topic, (meaning, rows) in help_topics.TOPICS.items():
        if topic not in {"files", "settings"}:  # those are of a user: the program tells them
            yield f"bilbs-{topic}.7", _topic(topic, meaning, rows(), date)
    yield "diag.1", ".so man1/bilbs-diag.1\n"


def _name(path: tuple[str, ...]) -> str:
    return "-".join(("bilbs", *path))


def _head(name: str, section: int, line: str, date: str) -> str:
    return (
        f'.TH "{_plain(name.upper())}" "{section}" "{date}" "bilbs {__version__}" "bilbs manual"\n'
        f".SH NAME\n{_plain(name)} \\- {_plain(line.rstrip('.'))}\n"
    )


def _command(one: Command, date: str) -> str:
    usage = " ".join(("bilbs", *one.path))
    parts = [_head(_name(one.path), 1, one.line or "the command line of a Bilbs Box", date)]
    words = [argument.shown for argument in one.arguments] + (["COMMAND", "[ARGS]..."] if one.commands else [])
    parts.append(f".SH SYNOPSIS\n.B {_plain(usage)}\n{_plain(' '.join(['[OPTIONS]', *words]))}\n")
    paragraphs = [" ".join(part.split()) for part in one.text.split("\n\n")]
    parts.append(".SH DESCRIPTION\n" + "\n.PP\n".join(_plain(part) for part in paragraphs if part) + "\n")
    if one.commands:
        rows = [(below.path[-1], f"{below.line} See {_name(below.path)}(1).") for below in one.commands]
        parts.append(".SH COMMANDS\n" + _rows(rows))
    if one.arguments:
        parts.append(".SH ARGUMENTS\n" + _rows([(_argument(argument), argument.help) for argument in one.arguments]))
    options = [(_option(option), _help(option)) for option in one.options]
    parts.append(
        ".SH OPTIONS\n" + _rows([*options, ("-h, --help" if not one.path else "--help", "Show the help and exit.")])
    )
    parts.append(".SH EXIT STATUS\nSee bilbs-exit-codes(7).\n")
    above = [f"{_name(one.path[:-1])}(1)"] if one.path else ["diag(1)"]
    topics = [
        "bilbs-exit-codes(7)",
        "bilbs-environment(7)",
        "bilbs-offline(7)",
        "bilbs-air-gap(7)",
        "bilbs-redaction(7)",
    ]
    parts.append(".SH SEE ALSO\n" + _plain(", ".join([*above, *topics])) + "\n")
    return "".join(parts)


def _argument(one: Argument) -> str:
    return one.shown


def _option(one: Option) -> str:
    value = f" {one.value}" if one.value else ""
    return ", ".join(one.names) + value


def _help(one: Option) -> str:
    text = one.help
    if one.choices and not all(choice in text for choice in one.choices):
        text += f" One of {', '.join(one.choices)}."
    if one.default:
        text += f" Default: {one.default}."
    return text + (" May be repeated." if one.repeats else "")


def _rows(rows: list[tuple[str, str]]) -> str:
    return "".join(f".TP\n.B {_plain(name)}\n{_plain(text) or '(no more is said)'}\n" for name, text in rows)


def _topic(topic: str, meaning: str, rows: list[dict[str, Any]], date: str) -> str:
    parts = [_head(f"bilbs-{topic}", 7, meaning, date), ".SH DESCRIPTION\n"]
    for row in rows:
        *heads, text = [str(value) for value in row.values()]
        parts.append(f".TP\n.B {_plain('  '.join(heads))}\n{_plain(text)}\n")
    parts.append(f".SH SEE ALSO\nbilbs(1); the same on a terminal: bilbs help {_plain(topic)}\n")
    return "".join(parts)


def _plain(text: str) -> str:
    """Return text as roff shows it: no dot, quote or backslash is a request, and a hyphen is the one that is typed."""
    safe = " ".join(text.split()).replace("\\", "\\e").replace("-", "\\-").replace("'", "\\(aq")
    return f"\\&{safe}" if safe.startswith((".", '"')) else safe


def write(folder: Path, date: str) -> int:
    """Write all pages below a folder (man1, man7); return how many."""
    count = 0
    for name, text in pages(date):
        place = folder / f"man{name[-1]}"
        place.mkdir(parents=True, exist_ok=True)
        (place / name).write_text(text, encoding="utf-8")
        count += 1
    return count


if __name__ == "__main__":
    arguments = sys.argv[1:]
    when = arguments[arguments.index("--date") + 1] if "--date" in arguments else "undated"
    print(f"{write(Path(arguments[0]), when)} pages")
