"""The log: quiet by default, and nothing secret or hostile in a line of it."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator

import pytest

from bilbs_cli import crash, log

Said = Callable[[], str]


@pytest.fixture
def said(capsys: pytest.CaptureFixture[str]) -> Iterator[Said]:
    """Give what was logged to stderr, by our handler alone; the logging of the test run is put back."""
    root = logging.getLogger()
    before = (root.handlers[:], root.level, logging.raiseExceptions)
    root.handlers.clear()
    yield lambda: capsys.readouterr().err
    root.handlers[:], logging.raiseExceptions = before[0], before[2]
    root.setLevel(before[1])
    log._hidden.clear()


def test_only_warnings_are_said_unless_asked(said: Said) -> None:
    log.setup(0, str)
    logging.getLogger("bilbs.x").info("quiet")
    logging.getLogger("httpx").warning("loud")
    assert said() == "bilbs: WARNING: httpx: loud\n"


@pytest.mark.parametrize(
    ("verbose", "variable", "level"),
    [
        (0, "", logging.WARNING),
        (1, "", logging.INFO),
        (2, "", logging.DEBUG),
        (9, "", logging.DEBUG),
        (0, "debug", logging.DEBUG),
        (0, "ERROR", logging.ERROR),
        (1, "error", logging.INFO),
        (0, "nonsense", logging.WARNING),
    ],
)
def test_the_level_comes_from_the_flag_and_the_variable(verbose: int, variable: str, level: int) -> None:
    assert log.level_for(verbose, {"BILBS_LOG": variable}) == level


def test_secrets_in_messages_arguments_and_tracebacks_are_masked(said: Said) -> None:
    log.setup(0, crash.mask)
    log.hide("orange-9")
    logger = logging.getLogger("pyipmi")
    logger.warning("session opened with %s and password=%s", "orange-9", "hunter2hunter2")
    error = RuntimeError("token: hunter2hunter2 for orange-9")
    logger.error("failed", exc_info=error)
    text = said()
    assert "hunter2hunter2" not in text
    assert "orange-9" not in text
    assert "RuntimeError" in text


def test_a_hostile_message_stays_on_one_line_and_is_not_obeyed(said: Said) -> None:
    log.setup(0, str)
    logging.getLogger("bmc").warning("name %s", "a\nbilbs: ERROR: forged\x1b[2J")
    assert said() == "bilbs: WARNING: bmc: name a\\nbilbs: ERROR: forged\\x1b[2J\n"


def test_a_record_whose_arguments_do_not_fit_is_said_anyway(said: Said) -> None:
    log.setup(0, str)
    logging.getLogger("lib").warning("%d things", "many")
    assert "lib: %d things (arguments do not fit" in said()


def test_setting_up_twice_says_everything_once(said: Said) -> None:
    log.setup(0, str)
    log.setup(0, str)
    logging.getLogger("x").warning("once")
    assert said().count("once") == 1
