"""`bilbs plan subscribe`: the desk's quote, the question with price and date, the receipt. Never queued, never twice."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from bilbs_cli import terminal
from bilbs_cli.errors import BilbsError, Conflict, LoginNeeded, Unavailable, UsageProblem
from bilbs_cli.plan.commands import naming

if TYPE_CHECKING:
    from datetime import tzinfo

    from bilbs_cli.config import Config
    from bilbs_cli.plan.ordering import Done
    from bilbs_cli.plan.quote import Quote
    from bilbs_cli.plan.receipts import Pending
    from bilbs_cli.providers.model import Provider, Tier
    from bilbs_cli.support.api import Desk

app = typer.Typer(add_completion=False)
KIND = "plan.subscribe"
SHOWN_AGAIN = 3  # quotes that one run shows: a desk whose quotes never hold does not keep a person for ever


@app.command()
def subscribe(
    plan: naming.Plan,
    tier: Annotated[str, typer.Option("--tier", "-t", help="Which; without it support.tier.")] = "",
    boxes: Annotated[int, typer.Option("--boxes", min=1, max=100_000, metavar="N", help="For how many boxes.")] = 1,
    list_price: Annotated[
        bool,
        typer.Option("--list-price", help="Several boxes without asking for the volume discount.", show_default=False),
    ] = False,
    dry_run: naming.DryRun = False,
    yes: terminal.Yes = False,
    _json: terminal.Json = False,
) -> None:
    """Subscribe, or change tier and boxes: shows lines, tax, dates and what is agreed, then asks. Never queued."""
    from bilbs_cli import config
    from bilbs_cli.providers import loading
    from bilbs_cli.support.commands import ticket_desk

    naming.check(plan, "subscribe")
    settings = config.load()
    provider = loading.load(str(settings.value("support.provider")))
    chosen = _tier(provider, tier or str(settings.value("support.tier") or ""))
    _self_service(provider, chosen, boxes, list_price=list_price)
    try:
        with ticket_desk.connected(settings) as desk:
            _Order(desk, settings, provider, chosen, boxes, ticket_desk.zone(settings)).run(dry_run=dry_run, yes=yes)
    except (Unavailable, LoginNeeded) as error:
        from bilbs_cli.plan import ordering

        if error.code not in {"no-receipt", "quote-broken"}:
            error.safe = ordering.NOTHING
        raise


def _tier(provider: Provider, name: str) -> Tier:
    """Return the tier that is asked for. Raises `UsageProblem` with those there are, `NotFound`."""
    from bilbs_cli.plan.catalog import Offer
    from bilbs_cli.plan.commands import offers
    from bilbs_cli.providers.words import price_words

    if not name:
        known = [Offer(provider, one) for one in provider.tiers]
        words = ", ".join(
            f"{one.tier.id} ({price_words(one.monthly) if one.monthly else 'no price'})" for one in known if one.tier
        )
        raise UsageProblem(
            f"which tier? {words}",
            code="which-tier",
            safe="nothing was subscribed",
            next=f"bilbs plan compare {provider.id}; then bilbs plan subscribe {naming.SUPPORT} --tier TIER",
        )
    found = offers.one_tier(provider, name).tier
    assert found is not None  # noqa: S101 - an offer by name has a tier; for the type
    return found


def _self_service(provider: Provider, tier: Tier, boxes: int, *, list_price: bool) -> None:
    """Say whom to contact where a tier or a number of boxes is not for self-service. Raises `Conflict`."""
    commercial = next((one.address for one in provider.elsewhere if one.id == "commercial"), "your account owner")
    if not tier.self_service:
        raise Conflict(
            f"{tier.name} is not self-service: its terms are made with you",
            code="contact",
            safe="nothing was subscribed",
            next=f"contact {tier.contact or commercial}",
        )
    if boxes > 1 and not list_price:
        raise Conflict(
            f"{boxes} boxes get a volume discount, which is not self-service",
            code="contact",
            safe="nothing was subscribed",
            next=f"contact {commercial}; or --list-price for {boxes} boxes without the discount",
        )


class _Order:
    """One run: what is asked for, and the desk."""

    def __init__(
        self, desk: Desk, settings: Config, provider: Provider, tier: Tier, boxes: int, fallback: tzinfo
    ) -> None:
        self.desk, self.settings, self.provider, self.tier, self.boxes = desk, settings, provider, tier, boxes
        self.fallback = fallback
        self.asked = {"tier": tier.id, "boxes": boxes}

    def run(self, *, dry_run: bool, yes: bool) -> None:
        """Show the quote, ask, agree, and print the receipt. Raises as `ordering` does."""
        from bilbs_cli.plan import account, ordering, receipts

        try:
            if dry_run:
                self.show(ordering.preview(self.desk, self.tier.id, self.boxes), result=True)
                return
            account.require_right(self.desk)
            with receipts.alone():
                step = receipts.pending()
                done = self.earlier(step, yes=yes) if step else None
                self.tell(done or self.agree(yes=yes))
        except ordering.Unchanged:
            found = account.newest(self.desk)
            terminal.emit(KIND, {"unchanged": True, "subscription": found}, text=f"{self.tier.name}: nothing to change")

    def earlier(self, step: Pending, *, yes: bool) -> Done | None:
        """Finish an attempt that has no receipt. Raises `Conflict` where it is another one that may still arrive."""
        from bilbs_cli.plan import ordering, quote, receipts

        done = ordering.settled(self.desk, step)
        if done:
            return done
        found = quote.parsed(step.quote)
        now = self.desk.date
        if now is not None and found.expires < now:
            receipts.forget()
            return None
        if step.asked != self.asked:
            raise Conflict(
                f"an attempt of {step.at} for {step.asked.get('tier')} has no receipt yet, and its quote still holds",
                code="pending",
                safe="nothing was subscribed now",
                next=f"the same command for {step.asked.get('tier')} finishes it; after {found.expires:%H:%M} UTC it is void",
            )
        terminal.note(f"An attempt of {step.at} has no receipt; this is what it was for. It cannot be taken twice.\n")
        self.ask(found, yes=yes)
        try:
            return ordering.again(self.desk, step)
        except ordering.QuoteExpired:
            terminal.note("That quote holds no longer; this is the one of now.\n")
            return None

    def agree(self, *, yes: bool) -> Done:
        """Show quotes until one is agreed to and still holds. Raises `Conflict`, `UsageProblem`."""
        from bilbs_cli.plan import ordering

        before: Quote | None = None
        for _ in range(SHOWN_AGAIN):
            found = ordering.preview(self.desk, self.tier.id, self.boxes)
            if before is not None:
                same = found.content() == before.content()
                terminal.note(
                    f"\nThe quote held no longer{'' if same else ', and it HAS CHANGED'}. This is the one of now.\n"
                )
            if before is not None and yes:
                self.show(found)
                break
            self.ask(found, yes=yes)
            try:
                return ordering.commit(self.desk, found, self.asked)
            except ordering.QuoteExpired:
                before = found
        raise Conflict(
            "the quote expired or changed before it was taken; a new one is not accepted unseen",
            code=ordering.EXPIRED,
            safe=ordering.NOTHING,
            next="the same command again",
        )

    def ask(self, found: Quote, *, yes: bool) -> None:
        """Show a quote and ask, naming price and first billing date. Raises `UsageProblem` for a no, `Conflict`."""
        from bilbs_cli.plan import account, ordering
        from bilbs_cli.plan.order_text import date

        changed = self.surprise(found)
        self.show(found)
        if yes and changed:
            raise Conflict(
                f"{changed}: --yes does not accept that",
                code="price-changed",
                safe=ordering.NOTHING,
                next="the same command without --yes",
            )
        billed = date(found.first_billing, account.zone(found.raw, self.fallback))
        monthly = f"{found.monthly} a month, " if found.monthly else ""
        question = f"{self.tier.name}, {monthly}first {found.total} on {billed}: agree?"
        if not yes and not terminal.confirm(question):
            raise UsageProblem("nothing was subscribed", code="not-confirmed")

    def surprise(self, found: Quote) -> str:
        """Return how the desk's price differs from the list of this bilbs; empty where it does not."""
        from bilbs_cli.plan.catalog import Offer
        from bilbs_cli.plan.quote import Money

        price = Offer(self.provider, self.tier).monthly
        if price is None or found.monthly is None:
            return ""
        listed = Money(round(price.amount * 100) * self.boxes, price.currency)
        return "" if listed == found.monthly else f"the desk asks {found.monthly} a month, the price list says {listed}"

    def show(self, found: Quote, *, result: bool = False) -> None:
        """Print a quote: as the result of a dry run, else for the person who is asked."""
        from bilbs_cli.plan import account, order_text

        differs = self.surprise(found)
        if differs:
            terminal.warn(differs)
        title = f"Support, {self.tier.name}, {order_text.boxes(self.boxes)}"
        notes = ["Nothing was subscribed: this was --dry-run."] if result else []
        page = order_text.quote_page(found, title, account.zone(found.raw, self.fallback), notes, terminal.width())
        if result:
            terminal.emit(KIND, {"dry_run": True, "quote": found.raw, "price_list_differs": bool(differs)}, text=page)
        else:
            terminal.note(page)

    def tell(self, done: Done) -> None:
        """Print what was agreed, and where its receipt is."""
        from bilbs_cli.errors import OutputUnwritable

        found = done.subscription
        state = f"{found.get('tier')}, {found.get('state')}, subscription {found.get('id')}"
        when = "subscribed by an earlier attempt" if done.earlier else "subscribed"
        problem: BilbsError | None = None
        if done.receipt is None:
            problem = OutputUnwritable(
                f"{when}: {state}, but its receipt cannot be written: {done.problem}",
                safe="it was taken once; nothing is paid twice",
                next="free some space, then bilbs plan status writes the receipt",
            )
        data: dict[str, Any] = {
            "unchanged": False,
            "earlier_attempt": done.earlier,
            "subscription": found,
            "receipt": str(done.receipt) if done.receipt else None,
        }
        lines = [f"{when}: {state}", f"receipt  {done.receipt}"]
        if found.get("next"):
            lines.append("the smaller tier takes effect with the next billing month: bilbs plan status")
        terminal.emit(
            KIND,
            data,
            text=lambda: None if problem else terminal.out("\n".join(lines)),
            errors=[problem] if problem else [],
        )
        if problem:
            raise problem
