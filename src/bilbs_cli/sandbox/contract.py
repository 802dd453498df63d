"""The contract as the desk reads it: its operations, and what in a request is against it (openapi.yaml)."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from functools import cache
from importlib.resources import files
from typing import Any, NamedTuple

Schema = Mapping[str, Any]
FORM = "application/x-www-form-urlencoded"  # of OAuth, whose errors are all 400 (RFC 6749 5.2)


class Wrong(Exception):
    """A request that the contract does not know: the status it earns, and each place (JSON Pointer or name)."""

    def __init__(self, status: int, detail: str, errors: tuple[tuple[str, str], ...] = ()) -> None:
        super().__init__(detail)
        self.status, self.detail, self.errors = status, detail, errors


class Parameter(NamedTuple):
    """One parameter of an operation; `where` is path, query or header."""

    name: str
    where: str
    required: bool
    schema: Schema


class Operation(NamedTuple):
    """One operation. `body` holds the schema of each media type that it takes; `open` means without a login."""

    id: str
    method: str
    path: str
    open: bool
    parameters: tuple[Parameter, ...]
    body: Mapping[str, Schema]

    def takes(self, name: str) -> bool:
        """Say whether it has a parameter of that name."""
        return any(one.name == name for one in self.parameters)


@cache
def document() -> dict[str, Any]:
    """Return openapi.yaml."""
    import yaml

    text = files("bilbs_cli").joinpath("support", "openapi.yaml").read_text(encoding="utf-8")
    found: dict[str, Any] = yaml.load(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))  # noqa: S506 - both are safe
    return found


@cache
def operations() -> tuple[Operation, ...]:
    """Return every operation of the contract, in its order."""
    return tuple(_operations())


def _operations() -> Iterator[Operation]:
    for path, item in document()["paths"].items():
        for method in ("get", "put", "post", "delete", "options", "head", "patch"):
            if method in item:
                one = item[method]
                given = [_resolved(each) for each in (*item.get("parameters", ()), *one.get("parameters", ()))]
                content = _resolved(one.get("requestBody", {})).get("content", {})
                yield Operation(
                    one["operationId"],
                    method.upper(),
                    path,
                    one.get("security") == [],
                    tuple(Parameter(p["name"], p["in"], p.get("required", False), p["schema"]) for p in given),
                    {kind: value.get("schema", {}) for kind, value in content.items()},
                )


def _resolved(node: Any) -> Any:
    if isinstance(node, dict) and "$ref" in node:
        found: Any = document()
        for part in node["$ref"].removeprefix("#/").split("/"):
            found = found[part]
        return _resolved(found)
    return node


@cache
def _validator(schema: str) -> Any:
    """Return the validator of a schema (as JSON text); references lead into the whole document."""
    from jsonschema import Draft202012Validator, FormatChecker

    return Draft202012Validator(
        {"$ref": "#/x", "x": json.loads(schema), "components": document()["components"]}, format_checker=FormatChecker()
    )


def faults(schema: Schema, value: Any) -> tuple[tuple[str, str], ...]:
    """Return what in a value is against a schema: pairs of JSON Pointer and reason, ten at most."""
    found = []
    for error in _validator(json.dumps(schema)).iter_errors(value):
        pointer = "".join("/" + str(part).replace("~", "~0").replace("/", "~1") for part in error.absolute_path)
        found.append((pointer, error.message[:200]))
        if len(found) == 10:
            break
    return tuple(found)


def parameters(operation: Operation, path: Mapping[str, str], query: Any, headers: Any) -> dict[str, Any]:
    """Return the parameters of a request by name, of their own types. Raises `Wrong`."""
    found: dict[str, Any] = {}
    known = {one.name for one in operation.parameters if one.where == "query"}
    strange = sorted(set(query) - known)
    if strange:
        raise Wrong(400, f"no parameter {strange[0]}")
    for one in operation.parameters:
        if one.where == "query":
            texts: Any = query.getlist(one.name)
            raw = texts if one.schema.get("type") == "array" else (texts[-1] if texts else None)
        else:
            raw = path.get(one.name) if one.where == "path" else headers.get(one.name)
        if raw is None or raw == []:
            if one.required:
                raise Wrong(400, f"{one.name} is missing")
            continue
        found[one.name] = _typed(one, raw)
    return found


def _typed(one: Parameter, raw: Any) -> Any:
    value = raw
    if one.schema.get("type") == "integer":
        if not re.fullmatch(r"-?[0-9]{1,18}", raw):
            raise Wrong(404 if one.where == "path" else 400, f"{one.name} is no whole number")
        value = int(raw)
    wrong = faults(one.schema, value)
    if wrong:
        raise Wrong(404 if one.where == "path" else 400, f"{one.name}: {wrong[0][1]}")
    return value


def body(operation: Operation, kind: str, data: bytes) -> Any:
    """Return the JSON (or form) body of a request, None where the operation takes none. Raises `Wrong`."""
    if not operation.body or "application/partial-upload" in operation.body:
        return None
    bare = kind.partition(";")[0].strip().lower()
    form = FORM in operation.body
    if bare not in operation.body:
        raise Wrong(400 if form else 415, f"{' or '.join(operation.body)} is expected")
    value = _form(data) if form else _json(data)
    wrong = faults(operation.body[bare], value)
    if wrong:
        raise Wrong(400 if form else 422, "see errors", wrong)
    return value


def _form(data: bytes) -> dict[str, str]:
    from urllib.parse import parse_qsl

    try:
        pairs = parse_qsl(data.decode("utf-8"), strict_parsing=bool(data), keep_blank_values=True, max_num_fields=50)
    except ValueError as error:
        raise Wrong(400, f"no form: {error}") from error
    return dict(pairs)


def _json(data: bytes) -> Any:
    try:
        return json.loads(data)
    except (ValueError, RecursionError) as error:
        raise Wrong(400, f"no JSON: {error}"[:200]) from error
