"""Settings: their order, their origins, and what broken ones get."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest

from bilbs_cli import config
from bilbs_cli.config import Config, load
from bilbs_cli.errors import ConfigProblem, NotFound, OutputUnwritable, PermissionNeeded
from bilbs_cli.settings import BY_NAME, ENVIRONMENT, SETTINGS
from bilbs_cli.toml_file import set_values
from tests.conftest import Bilbs
from tests.people import as_user


def loaded(tmp_path: Path, user: str | None = None, system: str | None = None, **variables: str) -> Config:
    """Load settings from a user's and a machine's file with this text, and from these variables."""
    machine = tmp_path / "etc.toml"
    if system is not None:
        machine.write_text(system)
    if user is not None:
        (tmp_path / "bilbs").mkdir(exist_ok=True)
        (tmp_path / "bilbs" / "config.toml").write_text(user)
    return load({"XDG_CONFIG_HOME": str(tmp_path), **variables}, system=machine)


def test_the_highest_place_wins_and_each_value_says_where_it_came_from(tmp_path: Path) -> None:
    user, machine = tmp_path / "bilbs" / "config.toml", tmp_path / "etc.toml"
    everywhere = loaded(tmp_path, "\n[diag]\nnice = 2\n", "[diag]\nnice = 3\nprofile = 'full'\n", BILBS_DIAG_NICE="1")
    assert everywhere.value("diag.nice", flag=0) == 0
    assert everywhere.find("diag.nice") == config.Found(1, "env BILBS_DIAG_NICE")
    files = loaded(tmp_path)
    assert files.find("diag.nice") == config.Found(2, f"{user}:3")
    assert files.find("diag.profile") == config.Found("full", f"{machine}:3")
    assert files.find("bmc.port") == config.Found(623, "default")


def test_an_empty_variable_sets_nothing(tmp_path: Path) -> None:
    assert loaded(tmp_path, BILBS_BMC_PORT=" ").find("bmc.port").origin == "default"


def test_every_setting_can_be_set_in_a_file_and_by_its_variable(tmp_path: Path) -> None:
    values: dict[str, Any] = {
        "diag.output_dir": "/x",
        "diag.profile": "full",
        "diag.deadline_s": "2m",
        "diag.services": "a,b",
        "diag.max_file_size": "2G",
        "diag.nice": "5",
        "diag.encrypt_to": "age1x",
        "bmc.host": "10.0.0.1",
        "bmc.user": "admin",
        "bmc.port": "624",
        "bmc.cipher_suite": "17",
        "bmc.password_file": "/p",
        "redaction.pseudonymize": "yes",
        "account.id": "a-1",
        "api.url": "https://api.example/v1",
        "api.ca_bundle": "/ca",
        "api.proxy": "http://proxy:3128",
        "api.client_cert_file": "/c.pem",
        "api.client_key_file": "/k.pem",
        "api.timeout_s": "5s",
        "api.budget_s": "1m",
        "support.provider": "aethel",
        "support.tier": "pro",
        "support.timezone": "Europe/Paris",
        "support.country": "US-NY",
        "support.holidays": "2026-12-24,2026-12-31",
    }
    wanted: dict[str, Any] = values | {
        "diag.deadline_s": 120.0,
        "diag.services": ("a", "b"),
        "diag.max_file_size": 2 << 30,
        "diag.nice": 5,
        "diag.encrypt_to": ("age1x",),
        "bmc.port": 624,
        "bmc.cipher_suite": 17,
        "api.timeout_s": 5.0,
        "api.budget_s": 60.0,
        "redaction.pseudonymize": True,
        "support.holidays": ("2026-12-24", "2026-12-31"),
    }
    assert set(values) == set(BY_NAME) - {"redaction.rules"}
    for name, text in values.items():
        setting = BY_NAME[name]
        assert loaded(tmp_path, **{setting.env: text}).value(name) == wanted[name], name
        path = tmp_path / "set.toml"
        set_values(path, {setting.path: setting.kind.as_toml(text)})
        assert load({"BILBS_CONFIG": str(path)}).value(name) == wanted[name], name


def test_every_default_is_a_value_of_its_own_type() -> None:
    for setting in SETTINGS:
        if setting.default is not None:
            assert setting.kind.parse(setting.default) == setting.default, setting.name
        assert setting.show(setting.default) is not None


def test_no_setting_holds_a_secret_and_no_two_share_a_variable() -> None:
    assert not [
        name
        for name in BY_NAME
        if any(word in name.split(".")[1].split("_") for word in ("password", "token", "secret", "key"))
        and not name.endswith("_file")
    ]
    names = [setting.env for setting in SETTINGS if setting.env] + [name for name, _ in ENVIRONMENT]
    assert len(set(names)) == len(names)


def test_redaction_rules_are_tables_and_only_their_names_are_shown(tmp_path: Path) -> None:
    settings = loaded(
        tmp_path,
        "[[redaction.rules]]\nid = 'badge'\npattern = 'hunter2'\n[[redaction.rules]]\nid = 'b'\npattern = 'x'\n",
    )
    found = settings.find("redaction.rules")
    assert found.value == (("badge", "hunter2"), ("b", "x"))
    assert found.origin.endswith("config.toml:1")
    assert BY_NAME["redaction.rules"].show(found.value) == "badge, b"


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("diag.profile = 'ful'", "diag.profile .*config.toml:1.*one of triage, standard, full"),
        ("diag.profile = 3", "one of triage"),
        ("diag.nice = 20", "whole number from 0 to 19"),
        ("diag.nice = true", "whole number"),
        ("diag.nice = 1.5", "whole number"),
        ("diag.max_file_size = 'big'", "not a size"),
        ("diag.max_file_size = true", "not a size"),
        ("diag.deadline_s = 0", "more than 0"),
        ("diag.deadline_s = nan", "not a duration"),
        ("diag.output_dir = 'here'", "starts with /"),
        ("diag.output_dir = ''", "a line of text"),
        ("diag.services = 3", "a list of texts"),
        ("diag.services = ['a', 3]", "a line of text"),
        ("bmc.host = '-oProxyCommand'", "host name"),
        ("bmc.host = 'a b'", "host name"),
        ('bmc.user = "a\\u001b[2J"', "a line of text"),
        ("bmc = 3", "unknown setting"),
        ("api.url = 'ftp://x'", "https://"),
        ("api.url = 'https://'", "https://"),
        ("api.proxy = 'http://u:hunter2@proxy:1'", "holds a password"),
        ("redaction.pseudonymize = 'maybe'", "true or false"),
        ("redaction.rules = 'x'", "tables"),
        ("redaction.rules = [{id = 'x'}]", "tables"),
        ("redaction.rules = [{id = 'x', pattern = 3}]", "tables"),
        ("support.timezone = 'Mars/Olympus'", "time zone"),
        ("support.timezone = '../../etc/passwd'", "time zone"),
        ("support.country = 'france'", "a country such as US"),
        ("support.holidays = ['Christmas']", "dates such as 2026-12-24"),
        ("support.holidays = [2026-12-24, 3]", "a line of text"),
    ],
)
def test_a_wrong_value_names_its_place_and_what_is_expected(tmp_path: Path, line: str, expected: str) -> None:
    settings = loaded(tmp_path, line + "\n")
    name = line.partition(" =")[0]
    if name in BY_NAME:
        with pytest.raises(ConfigProblem, match=expected) as caught:
            settings.find(name)
        assert caught.value.exit == 78
        assert "hunter2" not in str(caught.value)
    else:
        assert any("unknown setting" in warning for warning in settings.warnings())


def test_a_wrong_value_costs_only_the_command_that_asks_for_it(tmp_path: Path) -> None:
    settings = loaded(tmp_path, "[diag]\nprofile = 'ful'\n", BILBS_BMC_PORT="x")
    assert settings.value("diag.nice") == 10
    assert settings.value("diag.profile", flag="full") == "full"
    with pytest.raises(ConfigProblem, match="env BILBS_BMC_PORT"):
        settings.value("bmc.port")


@pytest.mark.parametrize(
    ("content", "where"),
    [
        (b"[diag]\nprofile = \n", ":2: "),
        (b"[diag]\n\nx = 1\nx = 2\n", ":4: "),
        (b"[diag\n", ":1: "),
        (b"a = 1\n# \xff\n", ":2: not UTF-8"),
        (b"x = " + b"[" * 100_000, ""),
        (b"#" * (2 << 20), "over 1048576 bytes"),
        (b"\0" * 100, ":1: "),
    ],
)
def test_a_broken_file_is_named_with_its_line(tmp_path: Path, content: bytes, where: str) -> None:
    path = tmp_path / "broken.toml"
    path.write_bytes(content)
    with pytest.raises(ConfigProblem) as caught:
        load({"BILBS_CONFIG": str(path)})
    assert str(path) in str(caught.value)
    assert where in str(caught.value)
    assert "/dev/null" in caught.value.next


def test_a_mark_in_front_of_the_text_is_no_error(tmp_path: Path) -> None:
    (tmp_path / "c.toml").write_bytes(b"\xef\xbb\xbf[diag]\nnice = 1\n")
    assert load({"BILBS_CONFIG": str(tmp_path / "c.toml")}).value("diag.nice") == 1


def test_a_fifo_or_a_folder_as_settings_file_is_refused_and_never_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    for path in (tmp_path / "fifo", tmp_path):
        with pytest.raises(ConfigProblem, match="cannot read"):
            load({"BILBS_CONFIG": str(path)})


def test_a_file_without_permission_is_a_config_problem(tmp_path: Path) -> None:
    path = tmp_path / "c.toml"
    path.touch(mode=0o600)
    for folder in (tmp_path, *tmp_path.parents[:3]):
        folder.chmod(0o755)

    def attempt() -> str:
        try:
            load({"BILBS_CONFIG": str(path)})
        except ConfigProblem as error:
            return str(error)
        return "read"

    assert "Permission denied" in as_user(12345, attempt)


def test_the_file_that_bilbs_config_names_is_the_only_one_and_must_exist(tmp_path: Path) -> None:
    loaded(tmp_path, "diag.nice = 1\n", "diag.nice = 2\n")
    (tmp_path / "only.toml").write_text("bmc.port = 9\n")
    only = loaded(tmp_path, BILBS_CONFIG=str(tmp_path / "only.toml"))
    assert (only.value("bmc.port"), only.value("diag.nice")) == (9, 10)
    assert loaded(tmp_path, BILBS_CONFIG="/dev/null").layers == ()
    with pytest.raises(ConfigProblem, match="does not exist"):
        loaded(tmp_path, BILBS_CONFIG=str(tmp_path / "none.toml"))


def test_unknown_settings_warn_with_file_line_and_the_nearest_name(tmp_path: Path) -> None:
    path = tmp_path / "bilbs" / "config.toml"
    settings = loaded(
        tmp_path,
        "top = 1\n[diag]\nproflie = 'x'\nport = 1\n[bmcc]\nhost = 'x'\n[bmc]\npassword = 'hunter2'\n",
        BILBS_DIAG_PROFLIE="x",
        BILBS_OTHER="y",
    )
    warnings = list(settings.warnings())
    assert warnings == [
        f"{path}:1: unknown setting top",
        f"{path}:3: unknown setting diag.proflie; did you mean diag.profile?",
        f"{path}:4: unknown setting diag.port; did you mean bmc.port?",
        f"{path}:5: unknown setting bmcc; did you mean bmc?",
        f"{path}:8: unknown setting bmc.password; secrets do not belong here: put it into a file of its own, 0600",
        "the variable BILBS_DIAG_PROFLIE is unknown and ignored; did you mean BILBS_DIAG_PROFILE?",
    ]
    assert "hunter2" not in repr(settings)


def test_a_file_that_anyone_may_change_is_warned_about(tmp_path: Path) -> None:
    settings = loaded(tmp_path, "")
    assert list(settings.warnings()) == []
    settings.layers[0].path.chmod(0o666)
    assert any("every user" in warning for warning in settings.warnings())


def test_an_unknown_name_is_not_found_and_the_nearest_is_named(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match=r"diag\.nise; did you mean diag\.nice\?"):
        loaded(tmp_path).find("diag.nise")


def test_a_setting_is_written_with_the_mode_and_the_comments_that_were_there(tmp_path: Path) -> None:
    path = tmp_path / "c.toml"
    path.write_text("# mine\n[diag]\nnice = 1  # low\n")
    path.chmod(0o640)
    (tmp_path / "link.toml").symlink_to("c.toml")
    set_values(tmp_path / "link.toml", {("diag", "nice"): 3})
    assert path.read_text() == "# mine\n[diag]\nnice = 3  # low\n"
    assert path.stat().st_mode & 0o777 == 0o640
    assert (tmp_path / "link.toml").is_symlink()


def test_a_new_settings_file_and_its_folder_are_private(tmp_path: Path) -> None:
    set_values(tmp_path / "new" / "config.toml", {("bmc", "port"): 5})
    assert (tmp_path / "new").stat().st_mode & 0o777 == 0o700
    assert (tmp_path / "new" / "config.toml").stat().st_mode & 0o777 == 0o600


def test_a_broken_file_is_not_written_over(tmp_path: Path) -> None:
    path = tmp_path / "c.toml"
    path.write_text("[diag\n")
    with pytest.raises(ConfigProblem):
        set_values(path, {("diag", "nice"): 1})
    assert path.read_text() == "[diag\n"


def test_a_settings_folder_that_cannot_be_made_is_a_failed_write(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OutputUnwritable):
        set_values(tmp_path / "file" / "c.toml", {("diag", "nice"): 1})


def test_no_permission_says_so(tmp_path: Path) -> None:
    for folder in (tmp_path, *tmp_path.parents[:3]):
        folder.chmod(0o755)

    def attempt() -> str:
        try:
            set_values(tmp_path / "c.toml", {("diag", "nice"): 1})
        except PermissionNeeded as error:
            return f"{error.exit}"
        return "written"

    assert as_user(12345, attempt) == "77"


def test_set_get_list_and_path_agree_in_whole_processes(bilbs: Bilbs) -> None:
    assert bilbs("config", "set", "diag.max_file_size", "2G").status == 0
    assert bilbs("config", "set", "diag.services", "dcgm, slurmd").status == 0
    assert bilbs("config", "get", "diag.max_file_size").stdout == f"{2 << 30}\n"
    path = bilbs("config", "path", "--json").json["data"]["files"][0]["path"]
    assert tomllib.loads(Path(path).read_text()) == {"diag": {"max_file_size": "2G", "services": ["dcgm", "slurmd"]}}
    rows = {row["name"]: row for row in bilbs("config", "list", "--json").json["data"]["settings"]}
    assert set(rows) == set(BY_NAME)
    assert rows["diag.services"] == {
        "name": "diag.services",
        "value": ["dcgm", "slurmd"],
        "origin": f"{path}:3",
        "error": None,
    }
    listed = bilbs("config", "list").stdout
    assert f"{path}:3" in " ".join(listed.split())


def test_a_value_that_is_overridden_is_set_with_a_warning(bilbs: Bilbs) -> None:
    done = bilbs("config", "set", "diag.nice", "3", env={"BILBS_DIAG_NICE": "7"})
    assert done.status == 0
    assert "comes from env BILBS_DIAG_NICE" in done.stderr


def test_a_wrong_value_is_never_set(bilbs: Bilbs) -> None:
    done = bilbs("config", "set", "diag.profile", "ful")
    assert (done.status, "nothing was changed" in done.stderr) == (2, True)
    assert bilbs("config", "set", "redaction.rules", "x").status == 2
    assert bilbs("config", "set", "bmc.password", "hunter2").status == 5
    assert not list(Path(os.environ["HOME"]).rglob("config.toml"))


def test_list_shows_what_it_can_and_fails_for_a_wrong_value(bilbs: Bilbs) -> None:
    done = bilbs("config", "list", "--json", env={"BILBS_DIAG_PROFILE": "ful"})
    assert done.status == 78
    assert [error["code"] for error in done.json["errors"]] == ["config-value"]
    rows = {row["name"]: row for row in done.json["data"]["settings"]}
    assert rows["diag.profile"]["value"] is None
    assert rows["diag.nice"]["value"] == 10


def test_without_a_home_a_setting_needs_a_named_file(bilbs: Bilbs, tmp_path: Path) -> None:
    done = bilbs("config", "set", "diag.nice", "3", env={"HOME": None})
    assert (done.status, "--system" in done.stderr) == (2, True)
    assert (
        bilbs("config", "set", "diag.nice", "3", env={"HOME": None, "BILBS_CONFIG": str(tmp_path / "c.toml")}).status
        == 0
    )
    assert (tmp_path / "c.toml").read_text() == "[diag]\nnice = 3\n"


def test_settings_of_the_machine_can_be_read_by_all_and_count_after_the_users(bilbs: Bilbs) -> None:
    before = Path("/etc/bilbs").exists()
    script = """
mount -t tmpfs bilbs-test /etc || exit 99
"$0" -m bilbs_cli config set --system diag.nice 3 && "$0" -m bilbs_cli config set --system diag.profile full
"$0" -m bilbs_cli config set diag.nice 4 && "$0" -m bilbs_cli config list --json
stat -c '%a %n' /etc/bilbs /etc/bilbs/config.toml >&2
"""  # in a mount namespace of its own, so that the machine's /etc stays as it is
    done = subprocess.run(
        ["unshare", "--mount", "sh", "-c", script, sys.executable], capture_output=True, text=True, check=True
    )
    rows = {row["name"]: row for row in json.loads(done.stdout.splitlines()[-1])["data"]["settings"]}
    assert (rows["diag.nice"]["value"], rows["diag.profile"]["value"]) == (4, "full")
    assert rows["diag.profile"]["origin"] == "/etc/bilbs/config.toml:3"
    assert done.stderr.splitlines() == ["755 /etc/bilbs", "644 /etc/bilbs/config.toml"]
    assert Path("/etc/bilbs").exists() is before
