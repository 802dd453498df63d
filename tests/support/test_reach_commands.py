"""`bilbs support contacts`, `severity`, `providers` as whole processes, and all of it in a dead rack."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from bilbs_cli.providers import loading
from tests.conftest import Bilbs
from tests.terminals import on_terminal

BUILT_IN = ["bilbs", "aethel", "aetherlink", "briqmind", "controlplane"]
SOURCE = Path(loading.__file__).parent


def providers_d() -> Path:
    folder = Path(os.environ["HOME"], ".config", "bilbs", "providers.d")
    folder.mkdir(parents=True, exist_ok=True)
    return folder


# --- contacts ---------------------------------------------------------------------------------------------------------


def test_contacts_say_whom_to_reach_and_what_to_paste(bilbs: Bilbs) -> None:
    bilbs("support", "card", "set", "--slack", "#bilbs-acme", "--pager", "+12015550123", "--company", "ACME")
    ended = bilbs("support", "contacts", "--severity", "sev1", "--subject", "UI returns 500", "--json")
    channels = ended.json["data"]["channels"]
    assert [(one["id"], one["address"], one["origin"]) for one in channels] == [
        ("slack", "#bilbs-acme", "card"),
        ("pager", "+12015550123", "card"),
        ("email", "support@groupebilbs.com", "plan"),
    ]
    assert channels[0]["paste"] == "@bilbs-oncall Sev-1: UI returns 500"
    assert channels[1]["paste"] == "Sev-1 at ACME: UI returns 500"
    page = bilbs("support", "contacts", "--severity", "sev1", "--subject", "UI returns 500").stdout
    assert "@bilbs-oncall Sev-1: UI returns 500" in page


def test_the_pager_without_a_card_is_null_and_not_made_up(bilbs: Bilbs) -> None:
    channels = bilbs("support", "contacts", "--json").json["data"]["channels"]
    assert next(one for one in channels if one["id"] == "pager")["address"] is None
    assert "on your wallet card" in bilbs("support", "contacts").stdout


def test_a_mild_ticket_is_not_sent_to_the_pager(bilbs: Bilbs) -> None:
    assert "Pager" not in bilbs("support", "contacts", "--severity", "sev3").stdout.split("Not for support")[0]


# --- severity ---------------------------------------------------------------------------------------------------------


def test_the_guide_shows_every_level_of_every_plan(bilbs: Bilbs) -> None:
    for name in BUILT_IN:
        plan = loading.load(name, env={})
        page = bilbs("support", "severity", "--provider", name).stdout
        for one in plan.severities:
            assert one.name in page


def test_the_guide_is_json_too(bilbs: Bilbs) -> None:
    data = bilbs("support", "severity", "--json").json["data"]
    assert (data["default"], [one["id"] for one in data["severities"]]) == ("sev3", ["sev1", "sev2", "sev3", "sev4"])


CHECK = {
    "schema_version": 1,
    "kind": "diag.check",
    "warnings": [],
    "errors": [],
    "data": {"status": "critical", "suggested": {"severity": "sev2", "why": "1 of 2 GPUs is offline"}},
}


def test_help_me_choose_takes_what_a_check_said(bilbs: Bilbs) -> None:
    ended = bilbs("support", "severity", "--help-me-choose", "--from", "-", "--json", stdin=json.dumps(CHECK))
    data = ended.json["data"]
    assert (data["severity"], data["findings_suggest"], data["status"]) == ("sev2", "sev2", "critical")
    other = bilbs(
        "support", "severity", "--help-me-choose", "--from", "-", "--provider", "controlplane", stdin=json.dumps(CHECK)
    )
    assert "suggested: Level 2 - High" in other.stdout
    assert "1 of 2 GPUs is offline" in other.stdout


def test_answers_and_facts_are_put_together(bilbs: Bilbs) -> None:
    ended = bilbs("support", "severity", "--help-me-choose", "--from", "-", "--answers", "yes", stdin=json.dumps(CHECK))
    assert "suggested: Sev-1" in ended.stdout
    assert "the more severe of the two is taken; you decide" in ended.stdout.replace("\n           ", " ")


def test_on_a_terminal_it_looks_at_the_box_and_asks(tmp_path: Path) -> None:
    status, shown = on_terminal(
        ["-m", "bilbs_cli", "support", "severity", "--help-me-choose"], typed=b"no\nyes\n", timeout_s=60
    )
    assert status == 0
    assert "Is the box down or unresponsive, or is production hit? [y/N]" in shown
    assert "diag check of this box" in shown
    assert "suggested: Sev-2" in shown or "suggested: Sev-1" in shown


def test_it_never_asks_without_a_terminal_and_names_the_flag(bilbs: Bilbs) -> None:
    ended = bilbs("support", "severity", "--help-me-choose", "--no-check")
    assert (ended.status, "--answers" in ended.stderr) == (2, True)


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["--answers", "yes"], "belong to --help-me-choose"),
        (["--help-me-choose", "--answers", "maybe"], "write yes or no"),
        (["--help-me-choose", "--answers", "no,no,no,no,no"], "at most 3"),
        (["--help-me-choose", "--from", "/nonexistent"], "there is no such file"),
    ],
)
def test_a_wrong_way_to_choose_is_refused(bilbs: Bilbs, flags: list[str], said: str) -> None:
    ended = bilbs("support", "severity", *flags)
    assert (ended.status, said in ended.stderr) == (2, True)


# --- providers --------------------------------------------------------------------------------------------------------


def test_the_five_plans_are_there(bilbs: Bilbs) -> None:
    rows = bilbs("support", "providers", "list", "--json").json["data"]["providers"]
    assert [(row["id"], row["origin"]) for row in rows] == [(name, "built-in") for name in BUILT_IN]


def test_a_file_of_the_user_comes_on_top_and_says_what_it_hides(bilbs: Bilbs) -> None:
    text = (
        (SOURCE / "bilbs.toml")
        .read_text()
        .replace('name = "Bilbs"', 'name = "Bilbs for ACME"')
        .replace('limit = "1h"', 'limit = "30min"', 1)
    )
    (providers_d() / "bilbs.toml").write_text(text)
    row = bilbs("support", "providers", "list", "--json").json["data"]["providers"][0]
    assert (row["name"], row["origin"], row["hides"]) == ("Bilbs for ACME", "user", [str(SOURCE / "bilbs.toml")])
    assert bilbs("support", "sla", "-s", "sev1", "--json").json["data"]["targets"][0]["limit"] == "30min"


def test_the_machine_s_files_count_below_the_user_s() -> None:
    script = """
        mount -t tmpfs tmpfs /etc && mkdir -p /etc/bilbs/providers.d "$HOME/.config/bilbs/providers.d"
        sed 's/^id = .*/id = "acme"/; s/^name = "Briq.*/name = "of the machine"/' "$1/briqmind.toml" > /etc/bilbs/providers.d/acme.toml
        "$0" -m bilbs_cli support providers list
        sed 's/^id = .*/id = "acme"/; s/^name = "Briq.*/name = "of the user"/' "$1/briqmind.toml" > "$HOME/.config/bilbs/providers.d/acme.toml"
        "$0" -m bilbs_cli support providers list
    """
    done = subprocess.run(
        ["unshare", "-m", "sh", "-ec", script, sys.executable, str(SOURCE)], capture_output=True, text=True, check=True
    )
    lines = [line.split(None, 1)[1] for line in done.stdout.split("\n") if line.startswith("acme")]
    assert lines[0].startswith("of the machine")
    assert lines[1].startswith("of the user")
    assert "hides /etc/bilbs/providers.d/acme.toml" in " ".join(done.stdout.split())


def test_a_broken_file_is_named_with_line_and_key_and_costs_only_itself(bilbs: Bilbs) -> None:
    (providers_d() / "acme.toml").write_text(
        (SOURCE / "controlplane.toml")
        .read_text()
        .replace('limit = "8h"', 'limit = "8x"')
        .replace('"controlplane"', '"acme"')
    )
    line = next(
        number for number, text in enumerate((providers_d() / "acme.toml").read_text().split("\n"), 1) if "8x" in text
    )
    listed = bilbs("support", "providers", "list")
    assert listed.status == 0
    assert f"acme.toml:{line}: targets[2].limit: '8x' is no limit" in listed.stderr
    assert "ControlPlane" in listed.stdout
    used = bilbs("support", "sla", "--provider", "acme", "-s", "level1")
    assert (used.status, f"acme.toml:{line}: targets[2].limit" in used.stderr) == (78, True)
    assert bilbs("support", "pager", env={"BILBS_PAGER": "+12015550123"}).stdout == "+12015550123\n"


def test_show_prints_the_whole_plan_with_what_is_assumed_and_what_contradicts(bilbs: Bilbs) -> None:
    page = bilbs("support", "providers", "show", "bilbs").stdout
    for text in (
        "$249 a month",
        "from $2,500 a month",
        "(assumed: holidays, hours, zone)",
        "shown: 4 business hours",
        "admin@groupebilbs.com",
    ):
        assert text in page.replace("\n             ", " ").replace("\n  ", " "), text
    data = bilbs("support", "providers", "show", "aethel", "--json").json["data"]
    assert [one["id"] for one in data["tiers"]] == ["community", "professional", "enterprise"]


def test_validate_names_every_problem(bilbs: Bilbs, tmp_path: Path) -> None:
    path = tmp_path / "p.toml"
    path.write_text((SOURCE / "controlplane.toml").read_text())
    good = bilbs("support", "providers", "validate", str(path))
    assert (good.status, good.stdout) == (0, f"{path}: good\n")
    path.write_text(
        path.read_text()
        .replace('metric = "first_response"', 'metric = "frist_response"')
        .replace('default_severity = "level3"', "")
    )
    bad = bilbs("support", "providers", "validate", str(path), "--json")
    assert bad.status == 78
    problems = bad.json["data"]["problems"]
    assert len(problems) == 5
    assert problems[-1]["key"] == "default_severity"
    assert "did you mean first_response" in problems[0]["what"]
    odd = bilbs("support", "providers", "validate", str(SOURCE / "aetherlink.toml"))
    assert (odd.status, "is stricter than its target" in " ".join(odd.stdout.split())) == (10, True)
    assert bilbs("support", "providers", "validate", "/nonexistent").status == 5


# --- the dead rack ----------------------------------------------------------------------------------------------------

DRILL = """
import os, sys
assert os.getuid() == 65534 and "HOME" not in os.environ
os.setsid()
for place in ("/tmp/x", "/var/x", "/x"):
    try:
        open(place, "w")
    except OSError:
        continue
    sys.exit(f"{place} can be written")
from bilbs_cli.__main__ import main
sys.argv = ["bilbs", *sys.argv[1:]]
sys.exit(main())
"""


@pytest.mark.parametrize(
    ("command", "said"),
    [
        (["support", "pager"], "+12015550123"),
        (["support", "card"], "+12015550123"),
        (["support", "contacts", "--severity", "sev1"], "@bilbs-oncall Sev-1:"),
        (["support", "severity"], "Box is down or unresponsive"),
        (["support", "sla", "-s", "sev1", "--opened", "Sat 3:30 AM", "--now", "2026-11-28T03:00:00Z"], "Sat 28 Nov 2026 04:30 CET"),
        (["support", "sla", "simulate", "Tue 23:47", "-s", "sev3", "--now", "2026-11-22T00:00:00Z"], "Wed 25 Nov 2026 13:00 CET"),
    ],
)  # fmt: skip
def test_in_a_dead_rack_it_says_whom_to_call_what_to_say_and_when_the_answer_is_due(
    command: list[str], said: str
) -> None:
    """Nobody, no HOME, no network, no terminal, every disk read-only.

    The one right that nobody gets is to read where this test's own interpreter lies.
    """
    script = """
        mount --make-rprivate / && mount -o remount,ro,bind /
        for place in /tmp /var /var/tmp /run /dev/shm; do mount -o remount,ro,bind $place 2>/dev/null || true; done
        exec setpriv --reuid 65534 --regid 65534 --clear-groups --inh-caps=-all,+dac_read_search --ambient-caps=-all,+dac_read_search "$@"
    """
    done = subprocess.run(
        ["unshare", "-m", "-n", "sh", "-ec", script, "sh", sys.executable, "-c", DRILL, *command],
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
        stdin=subprocess.DEVNULL,
        env={
            "PYTHONPATH": os.environ["PYTHONPATH"],
            "PATH": os.environ["PATH"],
            "BILBS_PAGER": "+12015550123",
            "TZ": "Europe/Paris",
        },
    )
    assert done.returncode == 0, done.stderr
    assert said in done.stdout
    assert "Traceback" not in done.stderr
