"""What can be had: the prices and promises of the five documents, and which of them fit a need."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bilbs_cli.plan import catalog, catalog_text, needs
from bilbs_cli.plan.catalog import Offer
from bilbs_cli.providers import loading
from tests.conftest import Bilbs

# By hand, from the documents: price a month, first responses from the most severe level on.
SEEDS = {
    "bilbs:mini": ("$249 a month", ["1h", "4h", "4h", "next monthly review"]),
    "bilbs:box": ("$399 a month", ["1h", "4h", "4h", "next monthly review"]),
    "bilbs:pro": ("$799 a month", ["1h", "4h", "4h", "next monthly review"]),
    "bilbs:cluster": ("from $2,500 a month", ["1h", "4h", "4h", "next monthly review"]),
    "aethel:community": ("free", ["best effort"] * 4),
    "aethel:professional": ("$5,000 a month", ["4h", "8h", "24h", "48h"]),
    "aethel:enterprise": ("from $25,000 a month", ["15min", "1h", "4h", "8h"]),
    "aetherlink:enterprise": ("no price is published", ["1h", "4h", "8h", "24h"]),
    "aetherlink:professional": ("no price is published", ["4h", "8h", "24h", "48h"]),
    "aetherlink:starter": ("no price is published", ["8h", "24h", "48h", "72h"]),
    "briqmind": ("no price is published", ["15min", "1h", "4h"]),
    "controlplane": ("no price is published", ["4h", "8h", "12h", "24h"]),
}
OTHER_PRICES = {
    "bilbs:mini": "$150 an hour (consulting, prepaid)",
    "bilbs:box": "$150 an hour (consulting, prepaid)",
    "bilbs:pro": "-",
    "aethel:professional": "$50,000 a year (annual commitment); $500 an hour (consulting beyond the included hours)",
    "aethel:enterprise": (
        "$400 an hour (consulting beyond the included hours); $400 an hour (development beyond the included hours)"
    ),
}
HOURS = {
    "bilbs:mini": 0,
    "bilbs:box": 0,
    "bilbs:pro": 4,
    "bilbs:cluster": 4,
    "aethel:professional": 4,
    "aethel:enterprise": 20,
}


def everything() -> dict[str, Offer]:
    return {one.name: one for file in loading.found(env={}) for one in catalog.offers(loading.read(file))}


def test_every_price_and_response_of_the_documents_is_there() -> None:
    found = everything()
    assert list(found) == list(SEEDS)
    for name, (price, times) in SEEDS.items():
        row = {line.name: line.cells[0] for line in catalog.rows([found[name]])}
        assert row["price"] == price
        limits = [
            target.limit.text if (target := found[name].response(level.id)) else None
            for level in found[name].provider.severities
        ]
        assert limits == times
    for name, text in OTHER_PRICES.items():
        row = {line.name: line.cells[0] for line in catalog.rows([found[name]])}
        assert row.get("other prices", "-") == text
    for name, amount in HOURS.items():
        assert next(one.amount for one in found[name].entitlements if one.id == "consulting") == amount


def test_the_entitlements_of_the_documents_are_there() -> None:
    found = everything()
    pro, cluster = (found[f"bilbs:{name}"].tier.includes_by_id() for name in ("pro", "cluster"))  # type: ignore[union-attr]
    assert (pro["onsite"].amount, pro["onsite"].per) == (1, "once")
    assert (cluster["onsite"].amount, cluster["onsite"].per) == (2, "year")
    assert [
        found[name].percent("attainment") for name in ("aethel:professional", "aethel:enterprise", "bilbs:pro")
    ] == [99.5, 99.9, None]
    assert [
        found[f"aetherlink:{name}"].percent("availability") for name in ("enterprise", "professional", "starter")
    ] == [99.9, 99.5, 99]


def fitting(text: str) -> list[str]:
    wanted = needs.parsed(text)
    return [name for name, offer in everything().items() if not any(need.unmet(offer) for need in wanted)]


@pytest.mark.parametrize(
    ("need", "names"),
    [
        ("response:critical<=15min", ["aethel:enterprise", "briqmind"]),
        (
            "response:critical<=1h,24x7",
            [
                "bilbs:mini",
                "bilbs:box",
                "bilbs:pro",
                "bilbs:cluster",
                "aethel:enterprise",
                "aetherlink:enterprise",
                "briqmind",
            ],
        ),
        ("response:sev2<=1h,24x7", ["aethel:enterprise", "briqmind"]),
        ("response:low<=8h", ["aethel:enterprise", "briqmind"]),  # BriqMind's lowest is P3, within 4 h
        ("price<=399", ["bilbs:mini", "bilbs:box", "aethel:community"]),
        ("price<=2500", ["bilbs:mini", "bilbs:box", "bilbs:pro", "aethel:community"]),  # from 2,500 is not 2,500
        ("consulting>=4", ["bilbs:pro", "bilbs:cluster", "aethel:professional", "aethel:enterprise"]),
        ("contacts>=100", ["aethel:enterprise"]),  # unlimited
        ("attainment>=99.5", ["aethel:professional", "aethel:enterprise"]),
        ("availability>=99.9%", ["aetherlink:enterprise"]),
        ("channel:video", ["aethel:enterprise"]),
        ("self-service, consulting >= 1", ["bilbs:pro"]),
        ("24x7:high", ["aethel:professional", "aethel:enterprise", "aetherlink:enterprise", "briqmind"]),
    ],
)
def test_a_need_is_met_by_those_who_promise_it(need: str, names: list[str]) -> None:
    assert fitting(need) == names


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("response:critical<1h", "is no need"),
        ("response:critical<=soon", "'soon' is no time"),
        ("response:critical<=2 business days", "is no time"),
        ("price<=cheap", "'cheap' is no number"),
        ("price<=1e9", "is no number"),
        ("respons:critical<=1h", "did you mean response?"),
        ("24x7,,price<=1", "between two commas"),
        ("", "between two commas"),
        ("self-servce", "did you mean self-service?"),
    ],
)
def test_a_need_that_is_none_says_what_to_write(text: str, said: str) -> None:
    with pytest.raises(ValueError, match=r".") as error:
        needs.parsed(text)
    assert said in str(error.value)


@given(st.text(max_size=60))
def test_any_text_is_a_need_or_a_clear_no(text: str) -> None:
    try:
        found = needs.parsed(text)
    except ValueError:
        return
    for need in found:
        for offer in everything().values():
            need.unmet(offer)


def test_the_screens_fit_and_need_no_network(bilbs: Bilbs, tmp_path: object) -> None:
    for arguments in (
        ("list",),
        ("list", "--all"),
        ("show", "pro"),
        ("compare",),
        ("compare", "bilbs", "aethel:enterprise"),
    ):
        ended = bilbs("plan", *arguments, env={"BILBS_API_URL": "http://192.0.2.1/v1"})
        assert ended.status == 0, ended.stderr
        assert max(map(len, ended.stdout.splitlines())) <= 80
        assert bilbs("plan", *arguments, "--json").json["data"]


def test_compare_says_who_does_not_fit_and_exits_3_where_nobody_does(bilbs: Bilbs) -> None:
    ended = bilbs("plan", "compare", "bilbs", "--need", "consulting>=4")
    assert (ended.status, "2 of 4 do not have it:" in ended.stdout, "Bilbs Pro" in ended.stdout) == (0, True, True)
    none = bilbs("plan", "compare", "--need", "price<=1,consulting>=4", "--json")
    assert none.status == 3
    assert all(one["unmet"] and not one["meets"] for one in none.json["data"]["tiers"])
    assert bilbs("plan", "compare", "--need", "chocolate").status == 2
    assert bilbs("plan", "compare", "bilbs:prp").status == 5


def test_markdown_is_a_table_that_no_plan_can_leave(bilbs: Bilbs) -> None:
    text = bilbs("plan", "compare", "bilbs", "--format", "markdown", "--need", "price<=799").stdout
    rows = [line for line in text.splitlines() if line.startswith("|")]
    assert {line.replace("\\|", "").count("|") for line in rows} == {5}
    assert "$399 a month" in text
    assert "bilbs" not in catalog_text._cell("a | b [x](y) `c` <d>").replace("\\|", "").split("|")[1:]
    assert catalog_text._cell("a | b\n[x](y)") == "a \\| b \\[x\\](y)"


def test_a_broken_plan_costs_only_itself(bilbs: Bilbs, tmp_path: object) -> None:
    import os
    from pathlib import Path

    folder = Path(os.environ["HOME"]) / ".config" / "bilbs" / "providers.d"
    folder.mkdir(parents=True)
    (folder / "acme.toml").write_text("schema = 1\nid = ")
    ended = bilbs("plan", "list", "--all", "--json")
    assert (ended.status, len(ended.json["data"]["tiers"])) == (0, len(SEEDS))
    assert "acme.toml" in json.dumps(ended.json["warnings"])
