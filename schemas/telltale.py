"""What values look like: telltale forms of e-mail addresses, cards, tokens and the like.

Judged on a few values of a column, which are never kept or shown: only the kind comes out. A form
that other things have too (sixteen digits, four numbers with dots) must fill most of the column.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from ipaddress import ip_address

_EMAIL = r"[^\s@\"'<>,;:()\[\]{}\\/]+@[^\s@\"'<>,;:()\[\]{}\\/]+\.[^\W\d_]{2,24}"
_EMAIL_ALONE = re.compile(rf"\s*(?:mailto:)?{_EMAIL}\s*")
_EMAIL_INSIDE = re.compile(rf'["{{,]\s*{_EMAIL}\s*["}},]')  # an element of JSON or of an array
_PHONE = re.compile(r"\s*\+[1-9](?:[\s().-]{0,2}\d){7,14}\s*")
_TOKEN = re.compile(
    r"""eyJ[\w-]{8,}\.eyJ[\w-]+\.[\w-]* | (?:sk|pk|rk)_(?:live|test)_\w{8,} | gh[opsur]_\w{20,} | github_pat_\w{20,}
    | glpat-[\w-]{16,} | shp(?:at|ca|pa|ss)_\w{16,} | xox[abeoprs]-[\w-]{10,} | A(?:KIA|SIA)[A-Z0-9]{16} | AIza[\w-]{30,}
    | ya29\.[\w-]{10,} | SG\.[\w-]{16,}\.[\w-]{16,} | -----BEGIN\ [A-Z ]*PRIVATE\ KEY-----.*""",
    re.VERBOSE | re.DOTALL,
)
_PASSWORD_HASH = re.compile(
    r"\$2[abxy]\$\d\d\$.{20,}|\$argon2(?:id|i|d)\$.+|\$(?:1|5|6|y|scrypt)\$.+|pbkdf2[_:]\S+\$\S+|scrypt:\S+|\{S?SHA\d*\}\S+|SCRAM-SHA-256\$.+"
)
_IBAN = re.compile(r"[A-Z]{2}\d{2}[A-Z0-9]{11,30}")
_CARD = re.compile(r"[2-6]\d{12,18}")
_SSN = re.compile(r"(?!000|666|9\d\d)\d{3}-(?!00)\d{2}-(?!0000)\d{4}")


def _is_email(value: str) -> bool:
    return _EMAIL_ALONE.fullmatch(value) is not None or (
        value[:1] in {"{", "["} and _EMAIL_INSIDE.search(value) is not None
    )


def _is_iban(value: str) -> bool:
    """Whether ISO 13616's check digits fit.

    >>> _is_iban("DE89 3704 0044 0532 0130 00"), _is_iban("DE89 3704 0044 0532 0130 01")
    (True, False)
    """
    plain = re.sub(r"[\s-]", "", value).upper()
    if not value.isascii() or not _IBAN.fullmatch(plain):
        return False
    return int("".join(str(int(letter, 36)) for letter in plain[4:] + plain[:4])) % 97 == 1


def _is_card(value: str) -> bool:
    """Whether these are the digits of a payment card, by Luhn's rule.

    >>> _is_card("4111 1111 1111 1111"), _is_card("4111 1111 1111 1112")
    (True, False)
    """
    plain = re.sub(r"[ -]", "", value.strip())
    if not plain.isascii() or not _CARD.fullmatch(plain):
        return False
    digits = [int(digit) for digit in reversed(plain)]
    return sum(digits[::2] + [digit * 2 - 9 * (digit > 4) for digit in digits[1::2]]) % 10 == 0


def _is_public_host(value: str) -> bool:
    try:
        return ip_address(value.strip().removesuffix("/32").removesuffix("/128")).is_global
    except ValueError:
        return False


@dataclass(frozen=True, slots=True)
class _Form:
    """A kind, how to know a value of it, and how much of a column must be like that."""

    kind: str
    fits: Callable[[str], bool]
    least_share: float
    least_values: int = 1


_FORMS = (
    _Form("e-mail", _is_email, 0.2),
    _Form("password or secret", lambda value: _PASSWORD_HASH.fullmatch(value.strip()) is not None, 0.2),
    _Form("token", lambda value: _TOKEN.fullmatch(value.strip()) is not None, 0.2),
    _Form("bank account", _is_iban, 0.5),
    _Form("payment card", _is_card, 0.8, 2),
    _Form("tax or identity number", lambda value: _SSN.fullmatch(value.strip()) is not None, 0.8, 2),
    _Form("phone", lambda value: _PHONE.fullmatch(value) is not None, 0.5),
    _Form("ip address", _is_public_host, 0.8, 3),
)


def kind_of_values(values: Iterable[str | None]) -> str | None:
    """What a column is filled with, when it is filled with something personal or secret.

    >>> kind_of_values(["ann@example.com", "", None, "bob@example.org"])
    'e-mail'
    >>> kind_of_values(["see you @ noon", "v1.2.3"]) is None
    True
    """
    filled = [value for value in values if value is not None and value.strip()]
    for form in _FORMS:
        found = sum(form.fits(value) for value in filled)
        if found >= form.least_values and found >= form.least_share * len(filled):
            return form.kind
    return None
