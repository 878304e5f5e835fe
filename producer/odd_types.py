"""What is odd about the types of a table's columns. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator

from runtime.survey import FoundType, Survey
from schemas.catalogue import Table
from schemas.oddity import Oddity, Severity

_XML = frozenset({142, 143})  # the type and its array, the same in every PostgreSQL
_BY_NAME = re.compile(
    r"reg(class|proc|procedure|oper|operator|type|role|namespace|config|dictionary|collation)(\[\])?|aclitem(\[\])?"
)
_NEVER_WRITTEN = re.compile(
    r"(pg_(node_tree|ndistinct|dependencies|mcv_list|brin_(bloom|minmax_multi)_summary)|(\w+\.)?g(tsvector|_?hstore|_?trgm))(\[\])?"
)


def odd_types(survey: Survey, table: Table) -> Iterator[Oddity]:
    """What cannot travel, or not whole, or means something in the source only."""
    for found in survey.needed_types([table]):
        if found.extension is None and found.schema not in survey.schemas:
            yield _foreign_type(table, found)
    for column, oid in zip(table.columns, survey.of(table).types, strict=True):
        if column.read_as is None and survey.is_made_of(oid, _XML):
            yield Oddity(
                severity=Severity.WARNING,
                table=table.name,
                text=f'"{column.name}" is {column.type}, which has xml inside: an encoding in its declaration is not kept',
                hint="it means nothing: PostgreSQL keeps all text in the encoding of the database",
            )
    for column in table.columns:
        if _BY_NAME.fullmatch(column.type):
            yield Oddity(
                severity=Severity.WARNING,
                table=table.name,
                text=f'"{column.name}" is {column.type}: its values name objects, which must be in the target when a row arrives',
            )
        elif _NEVER_WRITTEN.fullmatch(column.type):
            yield Oddity(
                severity=Severity.ERROR,
                table=table.name,
                text=f'"{column.name}" is {column.type}: PostgreSQL prints such values and takes none',
                hint="leave the table out, or make the column text in the source",
            )
        elif column.type in {'"char"', '"char"[]'}:
            yield Oddity(
                severity=Severity.NOTICE,
                table=table.name,
                text=f'"{column.name}" is {column.type}: a byte over 127 in it is no text; before PostgreSQL 16 it stops the snapshot',
            )
        elif column.type == "oid":
            yield Oddity(
                severity=Severity.NOTICE,
                table=table.name,
                text=f'"{column.name}" is oid: the number is moved; a large object that it may stand for is not',
            )


def _foreign_type(table: Table, found: FoundType) -> Oddity:
    return Oddity(
        severity=Severity.ERROR,
        table=table.name,
        text=f'uses the type "{found.schema}"."{found.name}", whose schema is not looked into',
        hint=f'add "{found.schema}" to schemas under [source]; list the tables by name, so that no others come along',
    )
