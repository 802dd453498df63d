"""The contract as a file: valid, complete, readable by programs that know nothing else."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator
from openapi_spec_validator import OpenAPIV31SpecValidator

from bilbs_cli import support
from bilbs_cli.support.sla.clocks import STATES
from bilbs_cli.support.sla.history import ACTORS, TYPES, WAITS_ON

DOCUMENT: dict[str, Any] = yaml.load(
    Path(support.__file__).with_name("openapi.yaml").read_text(encoding="utf-8"), yaml.CSafeLoader
)
METHODS = ("get", "post", "patch", "delete", "head", "options", "put")

# Method and path of everything that the client speaks, as it was agreed.
AGREED = """
GET /contact-card
GET /status
GET /providers/{provider_id}
POST /oauth/device_authorization
POST /oauth/token
POST /oauth/revoke
GET /me
POST /tickets
GET /tickets
GET /tickets/{ticket_id}
PATCH /tickets/{ticket_id}
POST /tickets/{ticket_id}/comments
POST /tickets/{ticket_id}/actions/close
POST /tickets/{ticket_id}/actions/reopen
POST /tickets/{ticket_id}/actions/escalate
POST /tickets/{ticket_id}/actions/set-severity
GET /tickets/{ticket_id}/events
POST /tickets/{ticket_id}/pages
GET /pages/{page_id}
OPTIONS /tickets/{ticket_id}/attachments
POST /tickets/{ticket_id}/attachments
HEAD /uploads/{upload_id}
PATCH /uploads/{upload_id}
DELETE /uploads/{upload_id}
GET /attachments/{attachment_id}/content
GET /incidents
GET /incidents/{incident_id}/updates
GET /maintenance-windows
GET /calendars/{calendar_id}
GET /plans
GET /subscriptions
POST /subscriptions
POST /subscriptions/preview
PATCH /subscriptions/{subscription_id}
GET /invoices
GET /invoices/{invoice_id}
GET /consulting/ledger
GET /visits
GET /rmas
GET /rmas/{rma_id}
GET /reports
GET /engineer
POST /engineer/swap
POST /exports
GET /exports/{export_id}
GET /audit-events
"""


def resolved(node: Any) -> Any:
    """Return what a `$ref` leads to."""
    while isinstance(node, dict) and "$ref" in node:
        found: Any = DOCUMENT
        for step in node["$ref"].removeprefix("#/").split("/"):
            found = found[step]
        node = found
    return node


def operations() -> Iterator[tuple[str, dict[str, Any], dict[str, Any]]]:
    """Yield `METHOD /path`, the operation and its path item."""
    for path, item in DOCUMENT["paths"].items():
        for method in METHODS:
            if method in item:
                yield f"{method.upper()} {path}", item[method], item


OPERATIONS = {name: (operation, item) for name, operation, item in operations()}


def parameters(name: str) -> set[str]:
    operation, item = OPERATIONS[name]
    return {resolved(one)["name"] for one in (*item.get("parameters", ()), *operation.get("parameters", ()))}


def schema_of(schema: Any) -> dict[str, Any]:
    """Return a schema that stands alone: the whole document's schemas are its definitions."""
    text = json.dumps({"$defs": DOCUMENT["components"]["schemas"], "allOf": [schema]})
    return json.loads(text.replace("#/components/schemas/", "#/$defs/"))  # type: ignore[no-any-return]


def test_it_is_valid_openapi_3_1() -> None:
    assert DOCUMENT["openapi"].startswith("3.1.")
    assert [str(error) for error in OpenAPIV31SpecValidator(DOCUMENT).iter_errors()] == []


def test_it_holds_what_was_agreed_and_nothing_else() -> None:
    assert sorted(OPERATIONS) == sorted(AGREED.split("\n")[1:-1])


def test_every_operation_has_a_name_of_its_own_a_tag_and_a_summary() -> None:
    names = [operation["operationId"] for operation, _ in OPERATIONS.values()]
    assert len(set(names)) == len(names)
    tags = {one["name"] for one in DOCUMENT["tags"]}
    for operation, _ in OPERATIONS.values():
        assert set(operation["tags"]) <= tags
        assert operation["summary"][0].isupper()


@pytest.mark.parametrize("name", OPERATIONS)
def test_every_error_is_a_problem_with_an_example_that_fits(name: str) -> None:
    operation, _ = OPERATIONS[name]
    errors = {code: resolved(one) for code, one in operation["responses"].items() if code >= "400"}
    assert {"429", "500", "503"} <= set(errors)
    assert ("401" in errors) is (operation.get("security") != [])
    for code, error in errors.items():
        media = error["content"]["application/problem+json"]
        assert media["example"]["status"] == int(code)
        Draft202012Validator(schema_of(media["schema"])).validate(media["example"])
        assert ("pager" in media["example"]) is (code in {"401", "500", "503"})


@pytest.mark.parametrize("name", [name for name in OPERATIONS if name.startswith(("POST", "PATCH"))])
def test_what_creates_something_carries_a_key_and_what_changes_something_a_version(name: str) -> None:
    free = {
        "POST /oauth/device_authorization",
        "POST /oauth/token",
        "POST /oauth/revoke",
        "POST /subscriptions/preview",
    }
    wanted = set() if name in free else {"Idempotency-Key"}
    if name in {"PATCH /tickets/{ticket_id}", "PATCH /subscriptions/{subscription_id}"}:
        wanted = {"If-Match"} | (wanted if "subscriptions" in name else set())
    if name == "PATCH /uploads/{upload_id}":
        wanted = {"Upload-Offset", "Upload-Complete", "Content-Digest"}
    assert wanted <= parameters(name)
    assert ("Idempotency-Key" in parameters(name)) is ("Idempotency-Key" in wanted)


def test_a_ticket_and_a_page_are_never_refused_because_of_the_plan() -> None:
    for name in ("POST /tickets", "POST /tickets/{ticket_id}/pages", "GET /contact-card"):
        assert "402" not in OPERATIONS[name][0]["responses"]
    assert "402" in OPERATIONS["POST /engineer/swap"][0]["responses"]


def test_every_list_is_a_page_with_a_cursor() -> None:
    lists = [name for name, (operation, _) in OPERATIONS.items() if operation["operationId"].startswith("list")]
    for name in lists:
        if name in {"GET /plans", "GET /subscriptions"}:  # a handful
            continue
        assert {"limit", "after"} <= parameters(name), name
        answer = OPERATIONS[name][0]["responses"]["200"]
        assert {"RateLimit", "Link"} <= set(answer["headers"]), name
        page = resolved(answer["content"]["application/json"]["schema"])
        assert resolved(page["allOf"][0]) == DOCUMENT["components"]["schemas"]["PageInfo"], name


def examples(node: Any, place: str = "#") -> Iterator[tuple[str, Any, Any]]:
    """Yield every schema with an example, and the example."""
    if isinstance(node, dict):
        if "example" in node and ("type" in node or "allOf" in node):
            yield place, {key: value for key, value in node.items() if key != "example"}, node["example"]
        for key, value in node.items():
            if key != "example":
                yield from examples(value, f"{place}/{key}")
    elif isinstance(node, list):
        for number, value in enumerate(node):
            yield from examples(value, f"{place}/{number}")


EXAMPLES = {place: (schema, example) for place, schema, example in examples(DOCUMENT["components"]["schemas"])}


@pytest.mark.parametrize("place", EXAMPLES)
def test_every_example_fits_its_schema(place: str) -> None:
    schema, example = EXAMPLES[place]
    Draft202012Validator(schema_of(schema)).validate(example)


def test_there_are_examples_of_what_is_sent() -> None:
    bodies = {
        resolved(media["schema"])["type"]: media["schema"].get("$ref", "")
        for operation, _ in OPERATIONS.values()
        for kind, media in operation.get("requestBody", {}).get("content", {}).items()
        if kind == "application/json"
    }
    assert bodies
    for name in ("TicketCreate", "CommentCreate", "AttachmentCreate", "SubscriptionCommit", "SeverityChange"):
        assert "example" in DOCUMENT["components"]["schemas"][name], name


def test_the_clock_and_the_timeline_speak_the_words_of_the_sla_engine() -> None:
    schemas = DOCUMENT["components"]["schemas"]
    assert set(TYPES) <= set(schemas["Event"]["properties"]["type"]["enum"])
    assert tuple(schemas["Actor"]["enum"]) == ACTORS
    assert tuple(schemas["Event"]["properties"]["on"]["enum"]) == WAITS_ON
    states = set(schemas["Clock"]["properties"]["state"]["enum"])
    assert states == set(STATES) - {"waiting_on_you", "monthly"}  # the first is `paused` there, with its reason
