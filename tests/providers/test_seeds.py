"""The customer's own documents against the provider files: no number differs, none is missing, none is invented.

The documents are read here by a parser of their tables and lines that knows nothing of the provider files.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from bilbs_cli.providers import loading
from bilbs_cli.providers.model import Provider, Target

SEEDS = Path(__file__).parents[1] / "data" / "seeds"
FILES = {
    "bilbs": "000_43e3a084b8875c37.txt",
    "briqmind": "001_36afa2b103826a72.txt",
    "aetherlink": "002_b914fb5bbe7b6d69.txt",
    "controlplane": "003_0e8404cc3ed553ad.txt",
    "aethel": "004_f41051164af648fc.txt",
}
TEXT = {name: (SEEDS / file).read_text(encoding="utf-8") for name, file in FILES.items()}
PLANS = {name: loading.load(name, env={}) for name in FILES}


def rows(text: str, heading: str) -> list[list[str]]:
    """Return the cells of the Markdown table below a line that begins with `heading`, without its first two rows."""
    below = text[text.index(f"\n{heading}") :].split("\n")
    table = [line for line in below[1:] if line.strip()]
    start = next(number for number, line in enumerate(table) if line.startswith("|"))
    found = []
    for line in table[start:]:
        if not line.startswith("|"):
            break
        found.append([cell.strip().strip("*") for cell in line.strip("|").split("|")])
    return found[2:]


def first(pattern: str, text: str) -> str:
    """Return the first group of the first match, or the match where the pattern has none."""
    found = re.search(pattern, text)
    assert found, pattern
    return found[1] if found.re.groups else found[0]


def span(words: str) -> int:
    """Return seconds of `4 hours`, `15 minutes`, `1 h`, `12 Business hours`."""
    number, unit = re.search(r"(\d+) ?(?:Business )?(h(?:our)?s?|min(?:ute)?s?)\b", words).groups()  # type: ignore[union-attr]
    return int(number) * (3600 if unit.startswith("h") else 60)


def promised(plan: Provider, metric: str, severity: str, tier: str = "", role: str = "target") -> Target:
    """Return the one target of that kind for a ticket without a kind and a channel."""
    found = [
        one
        for one in plan.promised(severity, tier)
        if one.metric == metric and one.role == role and not one.kinds and not one.channels
    ]
    assert len(found) == 1, (metric, severity, tier, role, found)
    return found[0]


def response(name: str, severity: str, tier: str = "") -> int:
    target = promised(PLANS[name], "first_response", severity, tier)
    assert target.limit.kind == "time"
    return target.limit.seconds


# --- response times -------------------------------------------------------------------------------------------------


def test_bilbs_responses_and_definitions_are_those_of_its_severity_table() -> None:
    plan = PLANS["bilbs"]
    for name, definition, words in rows(TEXT["bilbs"], "## 02"):
        severity = plan.severity(name)
        assert severity is not None
        assert set(re.findall(r"\w+", severity.definition)) <= set(re.findall(r"\w+", definition))
        target = promised(plan, "first_response", severity.id, role="outer" if severity.id == "sev3" else "target")
        match words:
            case "< 1 h any time of day":
                assert (target.limit.seconds, plan.calendar(target.calendar).always) == (3600, True)
            case "< 4 h business hours":
                assert (target.limit.seconds, target.calendar) == (4 * 3600, "business")
            case "< 1 business day":
                assert (target.limit.kind, target.limit.days, target.calendar) == ("business_days", 1, "business")
            case "Next monthly review":
                assert (target.limit.kind, target.limit.event) == ("event", "next monthly review")
            case _:
                pytest.fail(words)


def test_bilbs_coverage_table_gives_sev_3_4_business_hours_and_the_report_5_days() -> None:
    table = dict(rows(TEXT["bilbs"], "## 01"))
    plan = PLANS["bilbs"]
    assert table["Response SLA"].startswith("< 4 business hours for Sev-3")
    assert response("bilbs", "sev3") == 4 * 3600
    assert table["Incident SLA"].startswith("< 1 hour for Sev-1")
    assert response("bilbs", "sev1") == 3600
    found = re.search(r"any Sev-1 or Sev-2 incident within (\d) business days", table["Post-incident reports"])
    assert found
    for severity in ("sev1", "sev2"):
        report = promised(plan, "rca", severity)
        assert (report.limit.days, report.start) == (int(found[1]), "resolved")
    assert [one.metric for one in plan.promised("sev3", "", "hardware")].count("rca") == 0
    assert "4 hours/month" in table["Consulting hours"]


def test_bilbs_hardware_is_opened_within_the_hour_of_section_7() -> None:
    assert "Engineer opens in ≤ 1 hour." in TEXT["bilbs"]
    for severity in PLANS["bilbs"].severities:
        opened = [one for one in PLANS["bilbs"].promised(severity.id, "", "hardware") if one.metric == "engineer_open"]
        assert [one.limit.seconds for one in opened] == [3600]
    filed = [one for one in PLANS["bilbs"].promised("sev2", "", "hardware") if one.metric == "rma_filed"]
    assert [one.limit.seconds for one in filed] == [4 * 3600]  # Thursday 9:03 -> RMA filed by 1:03 PM


def test_briqmind_levels_are_those_of_its_run_together_table() -> None:
    plan = PLANS["briqmind"]
    found = re.findall(r"(P[123])(.+?)Response within (\d+ (?:minutes|hours?))(.+)", TEXT["briqmind"])
    assert [name for name, *_ in found] == ["P1", "P2", "P3"]
    for name, definition, words, action in found:
        severity = plan.severity(name)
        assert severity is not None
        assert severity.definition == definition
        assert response("briqmind", severity.id) == span(words)
        match action:
            case "Active intervention within 4 hours":
                assert promised(plan, "work_started", severity.id).limit.seconds == 4 * 3600
            case "Action plan within the same business day":
                assert promised(plan, "action_plan", severity.id).limit.kind == "same_business_day"
            case "Planned release or documented solution":
                assert promised(plan, "resolve", severity.id).limit.event == action.lower()
            case _:
                pytest.fail(action)


def test_aetherlink_responses_are_those_of_its_table() -> None:
    table = rows(TEXT["aetherlink"], "### Response Times")
    assert len(table) == 4
    for label, *cells in table:
        severity = PLANS["aetherlink"].severity(label.partition(" (")[0])
        assert severity is not None
        assert severity.definition == label.partition(" (")[2].rstrip(")")
        for tier, words in zip(("enterprise", "professional", "starter"), cells, strict=True):
            target = promised(PLANS["aetherlink"], "first_response", severity.id, tier)
            assert target.limit.seconds == span(words), (label, tier)
            assert target.calendar == ("always" if tier == "enterprise" else "business")


def test_aetherlink_tiers_repeat_the_table_and_give_the_hours() -> None:
    for tier, soon, later in re.findall(
        r"### (\w+) Support \(Incl.*?Response Time SLA\*\*: (\d+ hours?) for critical issues, (\d+ hours) for high",
        TEXT["aetherlink"],
        re.DOTALL,
    ):
        own = PLANS["aetherlink"].tier(tier)
        assert own is not None
        assert response("aetherlink", "critical", own.id) == span(soon)
        assert response("aetherlink", "high", own.id) == span(later)
    assert TEXT["aetherlink"].count("8 AM - 6 PM EST, Monday through Friday") == 2
    business = PLANS["aetherlink"].calendar("business")
    assert (business.hours, business.zone) == ("Mon-Fri 08:00-18:00", "America/New_York")
    email = next(one for one in PLANS["aetherlink"].promised("low", "starter", "", "email") if one.role == "outer")
    assert email.limit.seconds == span(first(r"Email Support\*\*: Response within (.+)", TEXT["aetherlink"]))


def test_aetherlink_resolutions_and_availability_are_those_of_its_lists() -> None:
    plan = PLANS["aetherlink"]
    for severity, words in (
        ("critical", r"Critical Issues\*\*: Resolution within (.+)"),
        ("high", r"High Priority\*\*: Resolution within (.+)"),
    ):
        said = first(words, TEXT["aetherlink"])
        for tier in plan.tiers:
            assert promised(plan, "resolve", severity, tier.id).limit.seconds == span(said)
    assert "All Other Issues**: Best effort" in TEXT["aetherlink"]
    for severity in ("medium", "low"):
        assert promised(plan, "resolve", severity, "starter").limit.kind == "best_effort"
    uptime = dict(re.findall(r"- \*\*(\w+)\*\*: ([\d.]+)% uptime SLA", TEXT["aetherlink"]))
    assert {one.tiers[0]: one.limit.percent for one in plan.targets if one.metric == "availability"} == {
        name.lower(): float(number) for name, number in uptime.items()
    }


def test_controlplane_levels_are_those_of_its_table() -> None:
    plan = PLANS["controlplane"]
    table = re.findall(r"\| (Level (\d) - \w+) +\| (\d+ Business hours) +\| (.+?) +\|", TEXT["controlplane"])
    assert len(table) == 4
    for label, number, words, impact in table:
        severity = plan.severity(label)
        assert severity is not None
        assert (severity.id, severity.definition) == (f"level{number}", impact)
        target = promised(plan, "first_response", severity.id)
        assert (target.limit.seconds, target.calendar) == (span(words), "business")
    assert "Monday through Friday from 9:00 AM to 6:00 PM, excluding public holidays" in TEXT["controlplane"]
    assert (plan.calendar("business").hours, plan.calendar("business").holidays) == ("Mon-Fri 09:00-18:00", "account")


def aethel_section(tier: str) -> str:
    return TEXT["aethel"].split(f"### {tier} Support\n")[1].split("\n---")[0]


@pytest.mark.parametrize("tier", ["Professional", "Enterprise"])
def test_aethel_responses_are_those_of_its_lists(tier: str) -> None:
    listed = re.findall(r"^- (\w+) \((.+?)\): (\d+ \w+)(, 24/7/365)?$", aethel_section(tier), re.MULTILINE)
    assert len(listed) == 4
    for label, definition, words, always in listed:
        severity = PLANS["aethel"].severity(label)
        assert severity is not None
        assert severity.definition == definition
        target = promised(PLANS["aethel"], "first_response", severity.id, tier.lower())
        assert (target.limit.seconds, target.calendar) == (span(words), "always")
        assert bool(target.assumed) is not bool(always)
        outer = [one for one in PLANS["aethel"].promised(severity.id, tier.lower()) if one.role == "outer"]
        assert [one.limit.seconds for one in outer] == ([] if always else [span(words)])


def test_aethel_bugs_attainment_prices_and_hours_are_those_of_its_lists() -> None:
    plan, text = PLANS["aethel"], aethel_section("Professional")
    assert "Critical bugs fixed within 48 hours" in text
    assert promised(plan, "resolve", "critical", "professional").limit.seconds == 48 * 3600
    assert "High-priority bugs fixed within 1 week" in text
    assert promised(plan, "resolve", "high", "professional").limit.seconds == 7 * 24 * 3600
    assert promised(plan, "resolve", "normal", "professional").limit.event == "next release"
    for tier in ("Professional", "Enterprise"):
        said = re.search(r"- ([\d.]+)% response time SLA", aethel_section(tier))
        assert said
        assert promised(plan, "attainment", "low", tier.lower()).limit.percent == float(said[1])


def test_aethel_s_comparison_table_agrees_with_its_lists() -> None:
    plan = PLANS["aethel"]
    table = {label: cells for label, *cells in rows(TEXT["aethel"], "## Support Tier Comparison")}
    for severity in ("Critical", "High"):
        for tier, words in zip(("professional", "enterprise"), table[f"Response Time ({severity})"][1:], strict=True):
            assert response("aethel", severity.lower(), tier) == span(words)
    assert promised(plan, "first_response", "critical", "community").limit.kind == "best_effort"
    hours = {tier.id: {one.id: one for one in tier.includes_by_id().values()} for tier in plan.tiers}
    assert [hours[tier]["consulting"].amount for tier in ("professional", "enterprise")] == [
        int(first(r"\d+", cell)) for cell in table["Architecture Consulting"][1:]
    ]
    assert hours["enterprise"]["development"].amount == int(first(r"\d+", table["Custom Development"][2]))
    assert [hours[tier]["training_seats"].amount for tier in ("community", "professional", "enterprise")] == [
        0,
        2,
        None,
    ]
    assert table["Training Seats"] == ["0", "2", "Unlimited"]


# --- prices and terms -----------------------------------------------------------------------------------------------


def monthly(name: str, tier: str) -> tuple[float, bool]:
    found = [one for one in PLANS[name].tier(tier).prices if one.per == "month"]  # type: ignore[union-attr]
    assert len(found) == 1
    return found[0].amount, found[0].starts_at


def test_bilbs_prices_are_those_of_its_table() -> None:
    for tier, words in rows(TEXT["bilbs"], "## 06"):
        amount = float(first(r"\$([\d,]+)", words).replace(",", ""))
        assert monthly("bilbs", tier) == (amount, "starts" in words)
        assert PLANS["bilbs"].tier(tier).self_service is ("custom" not in words)  # type: ignore[union-attr]


def test_aethel_prices_are_those_of_its_sections() -> None:
    assert "**Cost**: $5,000/month ($50,000/year with annual commitment)" in TEXT["aethel"]
    assert "**Cost**: Starting at $25,000/month" in TEXT["aethel"]
    assert "**Cost**: Free" in TEXT["aethel"]
    assert [monthly("aethel", tier) for tier in ("community", "professional", "enterprise")] == [
        (0, False),
        (5000, False),
        (25000, True),
    ]
    hourly = {tier.id: sorted(one.amount for one in tier.prices if one.per == "hour") for tier in PLANS["aethel"].tiers}
    assert "$500/hour (Professional) or $400/hour (Enterprise)" in TEXT["aethel"]
    assert "Additional development available at $400/hour" in TEXT["aethel"]
    assert hourly == {"community": [], "professional": [500], "enterprise": [400, 400]}
    assert [one.amount for one in PLANS["aethel"].tier("professional").prices if one.per == "year"] == [50000]  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("name", "words", "term", "value"),
    [
        ("bilbs", "30-minute call, admin + Bilbs engineer", "review", 30),
        ("bilbs", "one 90-min\n  onboarding call", "onboarding", 90),
        ("bilbs", "prepaid 10 hours minimum", "consulting_minimum", 10),
        ("bilbs", "archived 30 days after cancellation", "archive", 30),
        ("bilbs", "within 6 months", "restore", 6),
        ("bilbs", "end of current billing month", "cancel", "end of billing month"),
        ("aetherlink", "Monthly maintenance windows (2-4 hours)", "maintenance", "2-4"),
        ("aetherlink", "Target >95% satisfaction", "satisfaction", 95),
        ("aetherlink", "Target >80% resolution on first contact", "first_contact", 80),
        ("controlplane", "should consist of a single request", "one_request", 1),
        ("aethel", "versions up to 2 years old", "versions", 2),
        ("aethel", "Typical response: 24-72 hours", "community_typical", "24-72"),
    ],
)
def test_a_term_has_the_number_of_its_sentence(name: str, words: str, term: str, value: Any) -> None:
    assert words in TEXT[name].replace("Effective end", "end")
    assert {one.id: one.value for one in PLANS[name].terms}[term] == value


@pytest.mark.parametrize(
    ("name", "tier", "entitlement", "amount", "words"),
    [
        ("bilbs", "pro", "consulting", 4, "4 hours/month of ad-hoc architecture"),
        ("bilbs", "cluster", "consulting", 4, "included in the base plan (Pro + Cluster)"),
        ("bilbs", "mini", "consulting", 0, "Included on Pro and Cluster Support plans (Mini / Box can add"),
        ("bilbs", "box", "consulting", 0, "Included on Pro and Cluster Support plans (Mini / Box can add"),
        ("bilbs", "pro", "onsite", 1, "one on-site install day included at Build time"),
        ("bilbs", "cluster", "onsite", 2, "up to two on-site visits per year"),
        ("aetherlink", "enterprise", "review", 1, "**Quarterly Business Reviews**"),
        ("aetherlink", "professional", "review", 1, "**Annual Business Review**"),
        ("aethel", "professional", "consulting", 4, "**Architecture Consulting** (4 hours/month)"),
        ("aethel", "professional", "contacts", 10, "Up to 10 named contacts"),
        ("aethel", "professional", "training_seats", 2, "2 seats for online training"),
        ("aethel", "professional", "exam_discount", 20, "exam discount (20%)"),
        ("aethel", "professional", "reviews", 1, "Quarterly business reviews"),
        ("aethel", "professional", "reports", 1, "Monthly service reports"),
        ("aethel", "enterprise", "consulting", 20, "**Architecture Consulting** (20 hours/month)"),
        ("aethel", "enterprise", "development", 40, "**Custom Development** (40 hours/quarter)"),
        ("aethel", "enterprise", "training_onsite", 2, "2 on-site training sessions per year"),
        ("aethel", "enterprise", "exams", 5, "exam included (5 seats)"),
        ("aethel", "enterprise", "conference", 2, "2 passes to annual Aethel conference"),
        ("aethel", "enterprise", "reviews", 1, "Quarterly business reviews with executives"),
        ("aethel", "enterprise", "reports", 1, "Monthly service reports"),
    ],
)
def test_an_entitlement_has_the_number_of_its_sentence(
    name: str, tier: str, entitlement: str, amount: int, words: str
) -> None:
    assert words in TEXT[name]
    assert PLANS[name].tier(tier).includes_by_id()[entitlement].amount == amount  # type: ignore[union-attr]


def test_every_counted_entitlement_and_every_number_among_the_terms_is_in_one_of_these_tables() -> None:
    source = Path(__file__).read_text(encoding="utf-8")
    for name, plan in PLANS.items():
        for tier in plan.tiers:
            for one in tier.entitlements:
                if one.amount is not None:
                    listed = f'("{name}", "{tier.id}", "{one.id}", {one.amount:g},'
                    assert listed in source or (name, tier.id, one.id) == ("aethel", "community", "training_seats"), (
                        listed
                    )
        for term in plan.terms:
            if re.search(r"\d", str(term.value)):
                known = re.search(rf'\("{name}", ".+?", "{term.id}", ', source)
                assert known or (name, term.id) in SAID_IN_WORDS, (name, term.id)


SAID_IN_WORDS = {  # terms whose number stands in the same words in the document
    ("bilbs", "without_plan"): "steps 3 through 7 yourself",
    ("aetherlink", "monitoring"): "**24/7 System Monitoring**",
    ("aetherlink", "onsite_addon"): "**24/7 On-site Support**",
    ("aethel", "contract_week"): "(Week 1)",
    ("aethel", "high_volume"): ">1M proofs/day",
}


@pytest.mark.parametrize(("key", "words"), SAID_IN_WORDS.items())
def test_a_term_in_words_stands_in_its_document(key: tuple[str, str], words: str) -> None:
    assert words in TEXT[key[0]]
    term = next(one for one in PLANS[key[0]].terms if one.id == key[1])
    assert (
        numbers(str(term.value)) <= numbers(words) | {2.0, 4.0}
        if key[1] == "contract_week"
        else numbers(str(term.value)) <= numbers(words)
    )


# --- every number ---------------------------------------------------------------------------------------------------


def numbers(text: str) -> set[float]:
    """Return the numbers of a text: `$5,000` is 5000, `9:03` is 9 and 3."""
    return {float(found.replace(",", "")) for found in re.findall(r"\d{1,3}(?:,\d{3})+|\d+(?:\.\d+)?", text)}


def items(plan: Provider) -> Iterator[str]:
    """Yield every piece of a plan as one text; a target with the hours of its calendar and the words of its tiers."""
    for target in plan.targets:
        hours = plan.calendar(target.calendar).hours if target.calendar else ""
        yield f"{target.severities} {target.limit.text} {target.clause} {hours}"
    for tier in plan.tiers:
        for price in tier.prices:
            yield f"{price.amount:g} {price.what}"
        for one in tier.entitlements:
            yield f"{one.text} {'' if one.amount is None else f'{one.amount:g}'}"
    for severity in plan.severities:
        yield f"{severity.id} {severity.name} {severity.definition} {severity.examples}"
    for channel in plan.channels:
        yield f"{channel.name} {channel.address} {channel.what} {channel.severities} {channel.wake_severities} {channel.paste}"
    for other in plan.elsewhere:
        yield f"{other.what} {other.address}"
    for step in plan.escalation:
        yield f"{step.name} {step.what}"
    for term in plan.terms:
        yield f"{term.text} {term.value}"
    for calendar in plan.calendars:
        yield f"{calendar.hours} {calendar.source}"


# Lines whose numbers are no promise, or a promise that other lines make and that a test above compares.
NO_PROMISE = {
    "bilbs": {
        r"4-minute read": "how long the page takes to read",
    },
    "briqmind": {
        r"^0\d[A-Z]": "section number",
        r"^P1 Incident Workflow": "heading",
        r"^P[123](Full|Partial|Limited)": "the table itself: test_briqmind_levels_are_those_of_its_run_together_table",
    },
    "aetherlink": {
        r"Response Time SLA\*\*: ": "repeats the table: test_aetherlink_tiers_repeat_the_table_and_give_the_hours",
        r"^\| \w+ \(": "the table itself: test_aetherlink_responses_are_those_of_its_table",
        r"8 AM - 6 PM EST": "the calendar: test_aetherlink_tiers_repeat_the_table_and_give_the_hours",
    },
    "controlplane": {
        r"from 9:00 AM to 6:00 PM": "the calendar: test_controlplane_levels_are_those_of_its_table",
    },
    "aethel": {
        r"360": "the name of the company",
        r"^\| \*\*": "the comparison: test_aethel_s_comparison_table_agrees_with_its_lists",
        r"^\*\*Cost\*\*: \$5,000": "two prices: test_aethel_prices_are_those_of_its_sections",
        r"\$500/hour \(Professional\) or \$400/hour": "two prices: test_aethel_prices_are_those_of_its_sections",
        r"(Downtime costs|uptime vs|Enterprise Support: \$300K|Prevented downtime|Faster development|Reduced incidents|Total ROI)": "their example of a return on investment",
        r"^\d\. \*\*(Initial|Ongoing)": "step numbers of the engagement",
        r"Knowledge Transfer": "the weeks: terms.contract_week",
        r"Q: What if I need more than 40": "repeats the 40 hours",
        r"Phone: Business hours \(9am-5pm": "the calendar, compared below",
    },
}


@pytest.mark.parametrize("name", FILES)
def test_every_number_of_a_document_is_in_one_piece_of_its_plan_or_is_explained(name: str) -> None:
    pieces = [numbers(piece) for piece in items(PLANS[name])]
    used = set()
    for line in TEXT[name].split("\n"):
        bare = re.sub(r"^(\s*\d\.|#+ .*)", "", line)  # the number of a list, a heading
        excuse = next((pattern for pattern in NO_PROMISE[name] if re.search(pattern, line)), None)
        if excuse:
            used.add(excuse)
        elif numbers(bare):
            assert any(numbers(bare) <= piece for piece in pieces), f"{name}: nothing in the plan says: {line}"
    assert used == set(NO_PROMISE[name]), "an excuse that excuses nothing"


def test_aethel_phone_hours_are_those_of_its_business_calendar() -> None:
    assert "Business hours (9am-5pm local time)" in TEXT["aethel"]
    assert PLANS["aethel"].calendar("business").hours == "Mon-Fri 09:00-17:00"
    assert PLANS["aethel"].calendar("business").zone == ""


@pytest.mark.parametrize("name", FILES)
def test_no_number_of_a_promise_is_invented(name: str) -> None:
    said = numbers(TEXT[name])
    for target in PLANS[name].targets:
        if "limit" not in target.assumed and "all" not in target.assumed:
            assert numbers(target.limit.text) <= said, target
        assert numbers(target.clause) <= said, target
    for tier in PLANS[name].tiers:
        for price in tier.prices:
            assert price.amount in said | {0}, price
        for one in tier.entitlements:
            assert numbers(one.text) <= said, one


@pytest.mark.parametrize("name", FILES)
def test_the_words_of_a_clause_stand_in_its_document(name: str) -> None:
    text = TEXT[name].lower()
    for target in PLANS[name].targets:
        strange = [word for word in re.findall(r"[a-z0-9]+", target.clause.lower()) if word not in text]
        assert strange == [], target.clause


@pytest.mark.parametrize("name", FILES)
def test_every_address_stands_in_its_document_or_is_assumed(name: str) -> None:
    for channel in PLANS[name].channels:
        for address in re.findall(r"[\w.-]+@[\w.-]+|https?://\S+|\+?\d[\d ()A-Z-]{6,}", channel.address):
            assert address in TEXT[name], address
    for other in PLANS[name].elsewhere:
        for address in re.findall(r"[\w.-]+@[\w.-]+|\+\d[\d ()A-Z-]{6,}", other.address):
            assert address in TEXT[name], address


# --- completeness ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", FILES)
def test_every_severity_in_every_tier_has_a_first_response(name: str) -> None:
    plan = PLANS[name]
    for severity in plan.severities:
        for tier in [one.id for one in plan.tiers] or [""]:
            assert promised(plan, "first_response", severity.id, tier)


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize(
    "alias", ["sev1", "SEV-2", "Sev 3", "sev4", "p1", "P2", "critical", "high", "Low", "level1", "Level 2", "s3"]
)
def test_the_field_s_names_of_a_severity_mean_something_in_every_plan(name: str, alias: str) -> None:
    assert PLANS[name].severity(alias) is not None


@pytest.mark.parametrize("name", FILES)
def test_sev1_is_the_most_severe_level_of_every_plan_and_sev4_the_mildest(name: str) -> None:
    plan = PLANS[name]
    assert plan.severity("sev1") == plan.severities[0]
    assert plan.severity("sev4") == plan.severities[-1]


# --- words, names and sections ---------------------------------------------------------------------------------------


def tokens(text: str) -> list[str]:
    """Return words and numbers in small letters: `Sev-3` is two, `3:30 AM` three, `$2,500` is 2500."""
    return re.findall(r"[a-z]+|\d+(?:\.\d+)?", re.sub(r"(\d),(\d{3})", r"\1\2", text.lower()))


def neighbours(name: str) -> set[tuple[str, str]]:
    found = tokens(TEXT[name])
    return set(pairwise(found))


def texts(plan: Provider) -> Iterator[str]:
    """Yield every text of a plan in which a number is quoted."""
    for target in plan.targets:
        yield target.clause
    for tier in plan.tiers:
        for one in tier.entitlements:
            yield one.text
    for severity in plan.severities:
        yield from (severity.definition, *severity.examples)
    for channel in plan.channels:
        yield from (channel.name, channel.what)
    for other in plan.elsewhere:
        yield other.what
    for step in plan.escalation:
        yield step.what
    for term in plan.terms:
        yield from (term.text, str(term.value)) if isinstance(term.value, str) else (term.text,)
    for contradiction in plan.contradictions:
        yield from (contradiction.about, contradiction.shown, *(says for _, says in contradiction.readings))


@pytest.mark.parametrize("name", FILES)
def test_every_number_that_is_quoted_stands_beside_the_same_word_in_the_document(name: str) -> None:
    there = neighbours(name)
    for text in texts(PLANS[name]):
        found = ["", *tokens(text), ""]
        for before, number, after in zip(found, found[1:], found[2:], strict=False):
            if number[:1].isdigit() and "UTC" not in text:  # what EST is: ours, and the calendar's test
                assert (before, number) in there or (number, after) in there, (text, number)


@pytest.mark.parametrize("name", FILES)
def test_the_limit_of_a_target_is_the_number_of_its_clause(name: str) -> None:
    for target in PLANS[name].targets:
        limit = numbers(target.limit.text)
        if "limit" not in target.assumed and target.metric != "rma_filed":  # that one is 9:03 AM to 1:03 PM
            assert limit <= numbers(target.clause), target


@pytest.mark.parametrize("name", FILES)
def test_every_section_that_is_named_is_a_heading_of_its_document(name: str) -> None:
    plan = PLANS[name]
    records: tuple[Any, ...] = (*plan.targets, *plan.severities, *plan.channels, *plan.elsewhere, *plan.escalation)
    records += (*plan.terms, *plan.tiers, *(one for tier in plan.tiers for one in (*tier.prices, *tier.entitlements)))
    sources = {one.source for one in records}
    for source in sources:
        section = re.match(r"§(\d\d) (.+)", source)
        if section:
            assert f"## {section[1]} · {section[2]}" in TEXT[name], source
        else:
            for part in re.sub(r" \(.+\)", "", source).split(": "):
                assert re.sub(r"^(\d\d) ", r"\1", part) in TEXT[name] or part == "02 Example Incident Flow", source


NAMES = {
    "bilbs": "Sev-1 Sev-2 Sev-3 Sev-4",
    "briqmind": "P1 P2 P3",
    "aetherlink": "Critical High Medium Low",
    "controlplane": "Level 1 - Urgent,Level 2 - High,Level 3 - Medium,Level 4 - Low",
    "aethel": "Critical High Normal Low",
}
DEFAULTS = {
    "bilbs": "Sev-3",
    "briqmind": "P3",
    "aetherlink": "Medium",
    "controlplane": "Level 3 - Medium",
    "aethel": "Normal",
}
HOURS = {  # the seeds of bilbs and briqmind give none: product default, assumed
    "bilbs": "Mon-Fri 09:00-17:00",
    "briqmind": "Mon-Fri 09:00-17:00",
    "aetherlink": "Mon-Fri 08:00-18:00",
    "controlplane": "Mon-Fri 09:00-18:00",
    "aethel": "Mon-Fri 09:00-17:00",
}
CADENCE = {"p1": 3600, "p2": 4 * 3600}  # demanded by the document without a number: assumed


@pytest.mark.parametrize("name", FILES)
def test_names_default_and_business_hours_are_as_decided(name: str) -> None:
    plan = PLANS[name]
    wanted = NAMES[name].split("," if "," in NAMES[name] else " ")
    assert [one.name for one in plan.severities] == wanted
    assert next(one.name for one in plan.severities if one.id == plan.default_severity) == DEFAULTS[name]
    business = plan.calendar("business")
    assert business.hours == HOURS[name]
    assert ("hours" in business.assumed) is (name in {"bilbs", "briqmind", "aethel"})


def test_briqmind_s_update_cadence_is_assumed_and_says_so() -> None:
    found = {one.severities[0]: one for one in PLANS["briqmind"].targets if one.metric == "update_interval"}
    assert {level: one.limit.seconds for level, one in found.items()} == CADENCE
    assert all("limit" in one.assumed for one in found.values())
