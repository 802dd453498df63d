"""Completion for bash, zsh and fish: the tree is in the script; tickets and the outbox ask this disk at a key press."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

from bilbs_cli import completion_words
from bilbs_cli.command_tree import Command
from bilbs_cli.completing import WORD
from bilbs_cli.completion_words import FILES


class Place(NamedTuple):
    """A place in the tree: what can stand there. `values` holds for each flag that takes one its words."""

    path: str
    commands: tuple[tuple[str, str], ...]
    flags: tuple[tuple[str, str], ...]
    values: tuple[tuple[str, tuple[str, ...]], ...]
    words: tuple[str, ...]


def places(root: Command) -> list[Place]:
    """Return every place of the tree, the root first, whose path is empty."""
    return [_place(one) for one in root.everything()]


def _place(one: Command) -> Place:
    taking = [option for option in one.options if option.value]
    return Place(
        " ".join(one.path),
        tuple((below.path[-1], below.line) for below in one.commands),
        (*((name, option.help) for option in one.options for name in option.names), ("--help", "Show the help.")),
        tuple((name, completion_words.of_option(option)) for option in taking for name in option.names),
        tuple(
            dict.fromkeys(word for argument in one.arguments for word in completion_words.of_argument(one, argument))
        ),
    )


def bash(root: Command) -> str:
    """Return the script for bash: /usr/share/bash-completion/completions/bilbs."""
    found = places(root)
    words = ((one.path, f"echo {_q(' '.join([*dict(one.commands), *one.words]))}") for one in found)
    flags = ((one.path, f"echo {_q(' '.join(dict(one.flags)))}") for one in found)
    return "\n".join(
        [
            "# bash completion for bilbs and diag; made from the program (bilbs completion bash)",
            *_ASK,
            *_by_place("_bilbs_words", words),
            *_by_place("_bilbs_flags", flags),
            *_by_place("_bilbs_values", _values(found)),
            *_BASH.splitlines(),
            "",
        ]
    )


_ASK = ("_bilbs_ask() {", f'    bilbs {WORD} "$1" 2>/dev/null', "}")


def _by_place(name: str, cases: Iterable[tuple[str, str]], *otherwise: str) -> Iterator[str]:
    """Yield a function of bash and zsh that does something for each place."""
    yield f"{name}() {{"
    yield '    case "$1" in'
    for place, what in cases:
        yield f"    {_q(place)}) {what} ;;"
    yield from otherwise
    yield "    esac"
    yield "}"


def _values(found: list[Place]) -> Iterator[tuple[str, str]]:
    for one in found:
        for flag, words in one.values:
            yield f"{one.path}|{flag}", f"echo {_q(' '.join(words) or '-')}"


_BASH = r"""
_bilbs_offer() {
    # $1: words; those with @ are looked up, @files is the shell's own
    local word more=""
    for word in $1; do
        case "$word" in
        @files) COMPREPLY+=($(compgen -f -- "$cur")); compopt -o filenames 2>/dev/null ;;
        @*) more+=" $(_bilbs_ask "${word#@}")" ;;
        -) ;;
        *) more+=" $word" ;;
        esac
    done
    COMPREPLY+=($(compgen -W "$more" -- "$cur"))
}
_bilbs() {
    local cur path="" word before i words
    COMPREPLY=()
    cur="${COMP_WORDS[COMP_CWORD]}"
    [ "${COMP_WORDS[0]##*/}" = diag ] && path=diag
    for ((i = 1; i < COMP_CWORD; i++)); do
        word="${COMP_WORDS[i]}"
        before="${COMP_WORDS[i - 1]}"
        [ -n "$(_bilbs_values "$path|$before")" ] && continue
        case "$word" in -*) continue ;; esac
        case " $(_bilbs_words "$path") " in
        *" $word "*) [ -n "$(_bilbs_flags "${path:+$path }$word")" ] && path="${path:+$path }$word" ;;
        esac
    done
    before="${COMP_WORDS[COMP_CWORD - 1]}"
    words="$(_bilbs_values "$path|$before")"
    if [ -n "$words" ]; then
        _bilbs_offer "$words"
        return 0
    fi
    case "$cur" in
    -*) _bilbs_offer "$(_bilbs_flags "$path")" ;;
    *) _bilbs_offer "$(_bilbs_words "$path")" ;;
    esac
    if [[ "$cur" == *:* ]] && declare -F __ltrim_colon_completions >/dev/null; then
        __ltrim_colon_completions "$cur"
    fi
}
complete -F _bilbs bilbs diag
"""


def zsh(root: Command) -> str:
    """Return the script for zsh: a file `_bilbs` in a folder of `fpath`."""
    found = places(root)
    none = "    *) reply=() ;;"
    commands = ((one.path, f"reply=({_described(one.commands)})") for one in found if one.commands)
    flags = ((one.path, f"reply=({_described(one.flags)})") for one in found)
    arguments = ((one.path, f"echo {_q(' '.join(one.words))}") for one in found if one.words)
    return "\n".join(
        [
            "#compdef bilbs diag",
            "# zsh completion for bilbs and diag; made from the program (bilbs completion zsh)",
            *_ASK,
            *_by_place("_bilbs_commands", commands, none),
            *_by_place("_bilbs_flags", flags, none),
            *_by_place("_bilbs_arguments", arguments),
            *_by_place("_bilbs_values", _values(found)),
            *_ZSH.splitlines(),
            "",
        ]
    )


def _described(rows: tuple[tuple[str, str], ...]) -> str:
    return " ".join(_q(f"{name.replace(':', chr(92) + ':')}:{line}") for name, line in rows)


_ZSH = r"""
_bilbs_offer() {
    local word
    local -a found
    for word in ${=1}; do
        case "$word" in
        @files) _files ;;
        @*) found+=(${(f)"$(_bilbs_ask "${word#@}")"}) ;;
        -) ;;
        *) found+=("$word") ;;
        esac
    done
    (( ${#found} )) && compadd -a found
}
_bilbs() {
    local where="" word before values i
    local -a reply
    [[ "${words[1]:t}" == diag ]] && where=diag
    for ((i = 2; i < CURRENT; i++)); do
        word="${words[i]}"
        before="${words[i - 1]}"
        [[ -n "$(_bilbs_values "$where|$before")" || "$word" == -* ]] && continue
        _bilbs_flags "${where:+$where }$word"
        (( ${#reply} )) && where="${where:+$where }$word"
    done
    values="$(_bilbs_values "$where|${words[CURRENT - 1]}")"
    if [[ -n "$values" ]]; then
        _bilbs_offer "$values"
        return
    fi
    if [[ "$PREFIX" == -* ]]; then
        _bilbs_flags "$where"
        _describe -o option reply
        return
    fi
    _bilbs_commands "$where"
    (( ${#reply} )) && _describe command reply
    _bilbs_offer "$(_bilbs_arguments "$where")"
}
if [[ "$funcstack[1]" == _bilbs ]]; then
    _bilbs "$@"
else
    compdef _bilbs bilbs diag
fi
"""


def fish(root: Command) -> str:
    """Return the script for fish: /usr/share/fish/vendor_completions.d/bilbs.fish."""
    found = places(root)
    lines = [
        "# fish completion for bilbs and diag; made from the program (bilbs completion fish)",
        "function __bilbs_place",
        "    set -l tokens (commandline -opc)",
        '    set -l place ""',
        '    string match -q -r "(^|/)diag\\$" -- $tokens[1]; and set place diag',
        "    for word in $tokens[2..-1]",
        '        string match -q -- "-*" $word; and continue',
        '        set -l next (string trim -- "$place $word")',
        "        contains -- $next $__bilbs_places; and set place $next",
        "    end",
        '    echo -- "$place"',
        "end",
        "function __bilbs_at",
        '    test "$(__bilbs_place)" = "$argv[1]"',
        "end",
        f"set -g __bilbs_places {' '.join(_f(one.path) for one in found if one.path)}",
        "complete -c bilbs -f",
        "complete -c diag -f",
    ]
    for one in found:
        at = f'-n "__bilbs_at {_f(one.path)}"'
        for program in ("bilbs", "diag") if one.path.startswith("diag") else ("bilbs",):
            lines += _fish_place(one, f"complete -c {program} {at}")
    return "\n".join([*lines, ""])


def _fish_place(one: Place, head: str) -> Iterator[str]:
    for name, line in one.commands:
        yield f"{head} -a {_f(name)} -d {_f(line)}"
    values = dict(one.values)
    for name, line in one.flags:
        kind = f"-l {name[2:]}" if name.startswith("--") else f"-s {name[1:]}"
        words = values.get(name)
        yield f"{head} {kind} -d {_f(line)}" + ("" if words is None else f" {_fish_words(words)}")
    if one.words:
        yield f"{head} {_fish_words(one.words).removeprefix('-x ').removeprefix('-r -F')}".rstrip() + (
            " -F" if FILES in one.words else ""
        )


def _fish_words(words: tuple[str, ...]) -> str:
    if FILES in words:
        return "-r -F"
    parts = [f"(bilbs {WORD} {word[1:]} 2>/dev/null)" if word.startswith("@") else word for word in words]
    return f"-x -a {_f(' '.join(parts))}"


def _q(text: str) -> str:
    """Return text as one word of bash and zsh."""
    return "'" + text.replace("'", "'\\''").replace("\n", " ") + "'"


def _f(text: str) -> str:
    """Return text as one word of fish, where a backslash is one in single quotes, too."""
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'").replace("\n", " ") + "'"


SCRIPTS: dict[str, Callable[[Command], str]] = {"bash": bash, "zsh": zsh, "fish": fish}
