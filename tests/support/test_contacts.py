"""Whom to reach: the channels of every plan, in order, filled in from the card."""

from __future__ import annotations

import pytest

from bilbs_cli.providers import loading
from bilbs_cli.providers.model import Provider
from bilbs_cli.support.contacts import SUBJECT, contacts

PLANS = [loading.read(one) for one in loading.found(env={})]
BILBS = next(one for one in PLANS if one.id == "bilbs")
CARD = {"pager": "+12015550123", "slack": "#bilbs-acme", "company": "acme"}


def test_a_sev_1_goes_to_slack_with_the_on_call_tag_then_the_pager_then_email() -> None:
    found = contacts(BILBS, CARD, BILBS.severity("sev1"), None).channels
    assert [(one.id, one.address) for one in found] == [
        ("slack", "#bilbs-acme"),
        ("pager", "+12015550123"),
        ("email", "support@groupebilbs.com"),
    ]
    assert found[0].paste == f"@bilbs-oncall Sev-1: {SUBJECT}"


def test_the_pager_is_for_sev_1_only() -> None:
    found = contacts(BILBS, CARD, BILBS.severity("sev3"), None).channels
    assert "pager" not in [one.id for one in found]
    assert "@bilbs-oncall" not in "".join(one.paste for one in found)


def test_a_box_without_a_card_has_no_pager_number_and_invents_none() -> None:
    pager = next(one for one in contacts(BILBS, {}, None, None).channels if one.id == "pager")
    assert (pager.address, pager.origin) == ("", "plan")


def test_what_support_does_not_take_has_its_address() -> None:
    elsewhere = {one.id: one.address for one in contacts(BILBS, {}, None, None).elsewhere}
    assert elsewhere["billing"] == "admin@groupebilbs.com"


@pytest.mark.parametrize("plan", PLANS, ids=lambda one: one.id)
def test_every_level_and_tier_of_every_plan_has_a_channel_and_no_placeholder_is_left(plan: Provider) -> None:
    for severity in plan.severities:
        for tier in plan.tiers or (None,):
            found = contacts(plan, CARD, severity, tier).channels
            assert found, (severity.id, tier)
            assert not [one for one in found if "{" in one.paste]
