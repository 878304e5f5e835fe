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
    errors = [f"{error.json_path}: {error.message[:300]}" for error in _validator().iter_errors(report)]
    assert not errors, errors
    return report


@cache
def _validator() -> Draft202012Validator:
    schema = json.loads(schema_text())
    Draft202012Validator.check_schema(schema)
    return Draft202012Validator(_closed(schema))


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
