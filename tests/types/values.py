"""Random values of every type, as text that PostgreSQL reads; the same seed makes the same values."""

from __future__ import annotations

import math
import random
import struct
import uuid
from collections.abc import Callable
from decimal import Decimal

Make = Callable[[random.Random], str]

_ALPHABETS = (
    "abcXYZ 019_",
    " \t\n\r\\\"',.;:(){}[]<>=%$#&|!*?@~`^-+/",
    "éüßÄñçøÉ",
    "日本語中文😀👩‍👩‍👧\u200f\ufeff\u2028\u0301\u0080\x01\x7f",
)
_WORDS = (
    "",
    " ",
    "NULL",
    "null",
    "\\N",
    "\\.",
    "NaN",
    "infinity",
    "true",
    "0",
    '""',
    "''",
    "e\u0301",
    "é",
    "\ufeff",
    "{}",
    "()",
)


def text(rng: random.Random, most: int = 30, words: tuple[str, ...] = _WORDS) -> str:
    """Any text: plain, punctuation, accents, odd planes, and words that mean something elsewhere."""
    if rng.random() < 0.1:
        return rng.choice(words)[:most]
    alphabet = "".join(rng.sample(_ALPHABETS, rng.randint(1, 3)))
    return "".join(rng.choices(alphabet, k=rng.randint(0, most)))


def integer(bits: int, *, signed: bool = True) -> Make:
    """Whole numbers of so many bits, the ends often."""
    low, high = (-(1 << bits - 1), (1 << bits - 1) - 1) if signed else (0, (1 << bits) - 1)

    def make(rng: random.Random) -> str:
        near = rng.choice((low, high, 0, rng.randint(low, high), rng.randint(low, high)))
        return str(min(high, max(low, near + rng.randint(-2, 2))))

    return make


def double(rng: random.Random) -> str:
    """Any bits that are a double."""
    value: float = struct.unpack("<d", rng.randbytes(8))[0]
    return repr(rng.choice((value, value, -0.0, math.inf, -math.inf, math.nan, 5e-324, round(rng.uniform(-99, 99), 2))))


def real(rng: random.Random) -> str:
    """Any bits that are a real."""
    value: float = struct.unpack("<f", rng.randbytes(4))[0]
    return repr(rng.choice((value, value, -0.0, math.inf, -math.inf, math.nan, 1e-45, 0.1)))


def finite(rng: random.Random) -> str:
    """A double that is a number; the seldom other one."""
    return rng.choice(
        (repr(rng.uniform(-1e6, 1e6)), repr(rng.uniform(-1, 1)), "-0", "1e-300", "0.30000000000000004", "NaN")
    )


def numeric(rng: random.Random) -> str:
    """Numbers without a scale: many digits, kept zeros, and what is no number."""
    if rng.random() < 0.08:
        return rng.choice(("NaN", "Infinity", "-Infinity", "0.000", "-0", "1e-16383", "1e1000"))
    whole = "".join(rng.choices("0123456789", k=rng.choice((1, 3, 20, 60))))
    return f"{rng.choice(('', '-'))}{whole}{rng.choice(('', '.'))}{''.join(rng.choices('0123456789', k=rng.choice((0, 1, 9, 40))))}0"


def scaled(rng: random.Random) -> str:
    """What numeric(12,2) holds."""
    return rng.choice((f"{rng.randint(-(10**12) + 1, 10**12 - 1) / Decimal(100):f}", "NaN", "0.1", "-0.01"))


def money(rng: random.Random) -> str:
    """All cents of money."""
    return f"{rng.randint(-(2**63), 2**63 - 1) / Decimal(100) if rng.random() < 0.3 else rng.randint(-99999, 99999) / Decimal(100):f}"


def boolean(rng: random.Random) -> str:
    """True or false, as people write it."""
    return rng.choice(("true", "f", "yes", "0"))


def bytea(rng: random.Random) -> str:
    """Any bytes."""
    return "\\x" + rng.randbytes(rng.choice((0, 1, 5, 40))).hex()


def _day(rng: random.Random, last: int) -> tuple[str, str]:
    year = rng.choice((rng.randint(-4711, last), rng.randint(1900, 2100), rng.randint(1, 9999)))
    era = " BC" if year <= 0 else ""
    return f"{year if year > 0 else 1 - year:04d}-{rng.randint(1, 12):02d}-{rng.randint(1, 28):02d}", era


def date(rng: random.Random) -> str:
    """Days from 4712 BC on, and no days."""
    day, era = _day(rng, 5_874_896)
    return rng.choice((day + era, day + era, day + era, "infinity", "-infinity", "2024-02-29"))


def clock(rng: random.Random) -> str:
    """Times of day to the microsecond, 24:00 too."""
    exact = f"{rng.randint(0, 23):02d}:{rng.randint(0, 59):02d}:{rng.randint(0, 59):02d}.{rng.randint(0, 999999):06d}"
    return rng.choice((exact, exact, exact[:8], "24:00:00", "23:59:59.999999", "00:00:00"))


def _zone(rng: random.Random) -> str:
    return f"{rng.choice('+-')}{rng.randint(0, 15):02d}:{rng.choice((0, 30, 45, 59)):02d}{rng.choice(('', ':15'))}"


def timetz(rng: random.Random) -> str:
    """Times of day with zones, seconds in the zones too."""
    return clock(rng) + _zone(rng)


def timestamp(rng: random.Random) -> str:
    """Instants without a zone."""
    day, era = _day(rng, 294_275)
    return rng.choice((f"{day} {clock(rng)}{era}",) * 6 + ("infinity", "-infinity"))


def timestamptz(rng: random.Random) -> str:
    """Instants in zones."""
    day, era = _day(rng, 294_275)
    return rng.choice((f"{day} {clock(rng)}{_zone(rng)}{era}",) * 6 + ("infinity", "-infinity"))


def interval(rng: random.Random) -> str:
    """Months, days and microseconds, each with a sign of its own."""
    months, days = rng.randint(-2_000_000, 2_000_000), rng.randint(-99_999, 99_999)
    return rng.choice(
        (
            f"{months} mons {days} days {rng.choice(('', '-'))}{rng.randint(0, 9999)}:{clock(rng)[3:]}",
            f"{months} mons",
            f"{days} days",
            "24:00:00",
        )
    ).replace(":00:00:00", ":00:00")


def identifier(rng: random.Random) -> str:
    """UUIDs, in either case."""
    made = str(uuid.UUID(int=rng.getrandbits(128)))
    return rng.choice((made, made.upper(), "{" + made + "}"))


def _escaped(rng: random.Random, letter: str) -> str:
    must = letter in '"\\' or ord(letter) < 32
    return f"\\u{ord(letter):04x}" if must or (letter == "é" and rng.random() < 0.5) else letter


def _json_text(rng: random.Random, zero: bool) -> str:
    out = ['"', *(_escaped(rng, letter) for letter in text(rng, 12))]
    if zero and rng.random() < 0.2:
        out.append(rng.choice(("\\u0000", "\\ud800", "\\/")))
    return "".join([*out, '"'])


def _json(rng: random.Random, depth: int, *, zero: bool) -> str:
    gap = rng.choice(("", "", " ", "\n\t")) if zero else ""
    kind = rng.random()
    if depth and kind < 0.25:
        return (
            "[" + gap + f",{gap}".join(_json(rng, depth - 1, zero=zero) for _ in range(rng.randint(0, 4))) + "]" + gap
        )
    if depth and kind < 0.6:
        keys = [rng.choice(('"a"', '"a"', _json_text(rng, zero))) for _ in range(rng.randint(0, 4))]
        return "{" + f",{gap}".join(f"{key}{gap}:{gap}{_json(rng, depth - 1, zero=zero)}" for key in keys) + "}"
    plain = rng.choice(("null", "true", "1.10", "-0", "1e400", "9007199254740993", str(rng.getrandbits(90)), "1E-5"))
    return rng.choice((plain, _json_text(rng, zero)))


def json(rng: random.Random) -> str:
    """JSON as nobody would write it: blanks, keys twice, escapes."""
    return _json(rng, 3, zero=True)


def jsonb(rng: random.Random) -> str:
    """JSON that jsonb takes."""
    return _json(rng, 3, zero=False)


def jsonpath(rng: random.Random) -> str:
    """Paths."""
    return rng.choice(
        (
            "$",
            "strict $.a",
            f"$.a[*] ? (@.b > {rng.randint(0, 99)}.10)",
            f"lax $.{_json_text(rng, False)}",
            '$.a ? (@ like_regex "^x" flag "i")',
        )
    )


def inet(rng: random.Random) -> str:
    """Addresses of both families with and without masks."""
    four = ".".join(str(rng.randint(0, 255)) for _ in range(4))
    six = ":".join(f"{rng.getrandbits(16) * rng.randint(0, 1):x}" for _ in range(8))
    return rng.choice((four, f"{four}/{rng.randint(0, 32)}", six, f"{six}/{rng.randint(0, 128)}"))


def cidr(rng: random.Random) -> str:
    """Networks."""
    mask = rng.randint(0, 32)
    number = rng.getrandbits(32) >> (32 - mask) << (32 - mask)
    return ".".join(str(number >> shift & 255) for shift in (24, 16, 8, 0)) + f"/{mask}"


def octets(count: int) -> Make:
    """MAC addresses."""
    return lambda rng: rng.randbytes(count).hex(":")


def bits(least: int, most: int) -> Make:
    """Bit strings."""
    return lambda rng: "".join(rng.choices("01", k=rng.randint(least, most)))


def geometry(shape: str) -> Make:
    """`#` in the shape is a number."""
    return lambda rng: "".join(finite(rng) if letter == "#" else letter for letter in shape)


def quoted_lexeme(rng: random.Random) -> str:
    """A lexeme that is not empty."""
    word = text(rng, 8).replace("\\", "\\\\").replace("'", "''")
    return f"'{word}x'"


def tsvector(rng: random.Random) -> str:
    """Lexemes with places and weights."""
    return " ".join(
        quoted_lexeme(rng) + rng.choice(("", f":{rng.randint(1, 16383)}{rng.choice('ABCD')},{rng.randint(1, 99)}"))
        for _ in range(rng.randint(0, 4))
    )


def tsquery(rng: random.Random) -> str:
    """Lexemes joined by operators."""
    out = quoted_lexeme(rng)
    for _ in range(rng.randint(0, 3)):
        out = f"{rng.choice(('', '!'))}({out}) {rng.choice(('&', '|', '<->', '<3>'))} {quoted_lexeme(rng)}{rng.choice(('', ':*A'))}"
    return out


def hstore(rng: random.Random) -> str:
    """Pairs, NULLs and keys twice."""
    return ", ".join(
        f"{quoted(text(rng, 9))}=>{rng.choice(('NULL', quoted(text(rng, 9))))}" for _ in range(rng.randint(0, 4))
    )


def ltree(rng: random.Random) -> str:
    """Paths of labels."""
    return ".".join("".join(rng.choices("abcXYZ_019", k=rng.randint(1, 9))) for _ in range(rng.randint(1, 5)))


def cube(rng: random.Random) -> str:
    """Points and boxes."""
    sides = rng.randint(1, 4)
    corners = ["(" + ",".join(finite(rng) for _ in range(sides)) + ")" for _ in range(rng.randint(1, 2))]
    return ",".join(corners)


def snapshot(rng: random.Random) -> str:
    """Transactions that run."""
    low = rng.randint(1, 2**40)
    return f"{low}:{low + 20}:{','.join(str(low + step) for step in sorted(rng.sample(range(20), rng.randint(0, 4))))}"


def lsn(rng: random.Random) -> str:
    """Places in the write-ahead log."""
    return f"{rng.getrandbits(32):X}/{rng.getrandbits(32):X}"


def tid(rng: random.Random) -> str:
    """Places of rows."""
    return f"({rng.getrandbits(32)},{rng.getrandbits(16)})"


def choice(*values: str) -> Make:
    """One of these."""
    return lambda rng: rng.choice(values)


def short(most: int) -> Make:
    """Text of at most so many characters."""
    return lambda rng: text(rng, most)


def xml(rng: random.Random) -> str:
    """Content, with and without a declaration."""
    word = text(rng, 9).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    word = "".join(letter for letter in word if letter in "\t\n" or ord(letter) >= 32)
    declaration = rng.choice(
        ("", "", '<?xml version="1.0" encoding="UTF-8"?>', '<?xml version="1.0" standalone="yes"?>')
    )
    return f'{declaration}<a b="1">{word}</a>'


# ---------------------------------------------------------------- made of others


def quoted(value: str) -> str:
    """As arrays, composites and hstore quote it."""
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _element(rng: random.Random, make: Make) -> str:
    return "NULL" if rng.random() < 0.15 else quoted(make(rng))


def array(make: Make, comma: str = ",") -> Make:
    """Arrays: empty, with NULLs, with bounds, of two dimensions."""

    def made(rng: random.Random) -> str:
        count, kind = rng.randint(1, 4), rng.random()
        if kind < 0.1:
            return "{}"
        row = [_element(rng, make) for _ in range(count)]
        if kind < 0.25:
            second = [_element(rng, make) for _ in range(count)]
            return "{{" + comma.join(row) + "}" + comma + "{" + comma.join(second) + "}}"
        start = rng.randint(-3, 3)
        bounds = f"[{start}:{start + count - 1}]=" if kind < 0.4 else ""
        return bounds + "{" + comma.join(row) + "}"

    return made


def composite(*fields: Make) -> Make:
    """Composites, some of their fields NULL."""
    return lambda rng: "(" + ",".join("" if rng.random() < 0.2 else quoted(field(rng)) for field in fields) + ")"


def span(make: Callable[[int], str], low: int, high: int) -> Make:
    """Ranges over what `make` makes of a number, which must grow with it."""

    def made(rng: random.Random) -> str:
        if rng.random() < 0.1:
            return rng.choice(("empty", "(,)"))
        first, last = sorted((rng.randint(low, high), rng.randint(low, high)))
        below, above = rng.choice(("", quoted(make(first)))), rng.choice(("", quoted(make(last))))
        return f"{rng.choice('[(')}{below},{above}{rng.choice('])')}"

    return made


def spans(one: Make) -> Make:
    """Multiranges."""
    return lambda rng: "{" + ",".join(one(rng) for _ in range(rng.randint(0, 3))) + "}"
