"""The exit table and the errors."""

from __future__ import annotations

import re

from bilbs_cli import errors
from bilbs_cli.errors import EXIT_MEANING, BilbsError, Exit


def every_error() -> list[type[BilbsError]]:
    found = [BilbsError]
    for kind in found:
        found += kind.__subclasses__()
    return [kind for kind in found if kind.__module__ == errors.__name__]


def test_the_exit_table_is_the_promised_one() -> None:
    promised = {0, 1, 2, 3, 4, 5, 6, 7, 10, 11, 20, 69, 73, 75, 77, 78, 130}
    assert {int(status) for status in Exit} == promised


def test_every_exit_has_a_meaning_for_people() -> None:
    assert set(EXIT_MEANING) == set(Exit)
    assert all(EXIT_MEANING.values())


def test_every_error_has_a_code_of_its_own_and_a_failing_exit() -> None:
    kinds = every_error()
    assert len({kind.code for kind in kinds}) == len(kinds)
    for kind in kinds:
        assert re.fullmatch(r"[a-z]+(-[a-z]+)*", kind.code), kind
        assert kind.exit in Exit, kind
        assert kind.exit != Exit.OK, kind


def test_the_picture_of_the_tree_names_every_error_and_its_exit() -> None:
    picture = dict(re.findall(r"[├└]── (\w+)\s+(\d+)", errors.__doc__ or ""))
    assert picture == {kind.__name__: str(int(kind.exit)) for kind in every_error() if kind is not BilbsError}


def test_an_error_carries_what_happened_what_is_safe_and_what_to_type() -> None:
    error = errors.OutputUnwritable("no space", code="disk-full", safe="three items", next="df -h")
    assert (str(error), error.code, error.safe, error.next, error.exit) == (
        "no space",
        "disk-full",
        "three items",
        "df -h",
        73,
    )


def test_a_code_given_to_one_error_does_not_change_its_class() -> None:
    errors.OutputUnwritable("x", code="disk-full")
    assert errors.OutputUnwritable("y").code == "cannot-write"
