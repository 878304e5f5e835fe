"""Every report that a test sees keeps the JSON Schema that is published of it, to the letter.

Readers are told that names may be added; here an added name must stand in the schema, too.
"""

from __future__ import annotations

import json
from functools import cache
from typing import Any

from jsonschema import Draft202012Validator

from validator.report import schema_text


def checked(report: Any) -> Any:
    """The report; it fails the test when it does not keep its schema."""
    return _kept(report, _validator(""))


def checked_recheck(found: Any) -> Any:
    """The same of what `validator reconcile --keys --json` prints."""
    return _kept(found, _validator("recheck"))


def _kept(value: Any, validator: Draft202012Validator) -> Any:
    errors = [f"{error.json_path}: {error.message[:300]}" for error in validator.iter_errors(value)]
    assert not errors, errors
    return value


@cache
def _validator(part: str) -> Draft202012Validator:
    schema = json.loads(schema_text())
    Draft202012Validator.check_schema(schema)
    closed = _closed(schema)
    return Draft202012Validator({"$ref": f"#/$defs/{part}", "$defs": closed["$defs"]} if part else closed)


def _closed(schema: Any) -> Any:
    """The schema without room for names that it does not tell of."""
    if isinstance(schema, list):
        return [_closed(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    closed = {name: value if name in ("allOf", "enum") else _closed(value) for name, value in schema.items()}
    if schema.get("type") == "object" and "properties" in schema:
        closed.setdefault("additionalProperties", False)
    return closed
