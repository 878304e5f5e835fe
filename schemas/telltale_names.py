"""What names of columns tell: words for e-mail addresses, passwords, people and the like, in a handful of languages.

Names are cut into words (`billingEmail`, `billing-email`) and the words are looked up. Whatever only
tells *of* such a thing (`email_verified`, `token_expires_at`, `address_id`) is left alone: who is
warned too often stops reading.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum, auto
from functools import lru_cache


class Form(Enum):
    """Types by what they can hold of a person."""

    TEXT = auto()
    DOCUMENT = auto()  # JSON, arrays, hstore
    BYTES = auto()  # and composites: nothing that a sample could tell
    NUMBER = auto()
    DATE = auto()
    NETWORK = auto()
    NOTHING = auto()  # booleans, enums, intervals, uuids


_ANY_TEXT = frozenset({Form.TEXT, Form.DOCUMENT, Form.BYTES})
_OR_NUMBER = _ANY_TEXT | {Form.NUMBER}


@dataclass(frozen=True, slots=True)
class _Words:
    """Phrases of one kind; each is a run of words in a name, written apart or together."""

    kind: str
    forms: frozenset[Form]
    phrases: frozenset[tuple[str, ...]]


def _one_of(*words: str) -> frozenset[str]:
    return frozenset(" ".join(words).split())


def _words(kind: str, forms: frozenset[Form], *phrases: str) -> _Words:
    return _Words(kind, forms, frozenset(tuple(phrase.split()) for phrase in ",".join(phrases).split(",") if phrase))


_SECRETS = (
    "password,passwd,pwd,passphrase,passcode,pass word,pass hash,pass phrase,secret,secrets,credential,credentials,salt,otp,otp code,totp",
    "pin,pin code,cvv,cvc,cvv2,security code,security answer,private key,secret key,encryption key,signing key,ssh key,recovery code,recovery codes,backup codes",
    "passwort,kennwort,mot de passe,mdp,contrasena,clave secreta,senha,wachtwoord,haslo,parola,losenord",
)
_TOKENS = "token,tokens,access key,api key,apikey,auth key,session key,oauth,jwt,bearer,webhook key,license key,client secret,refresh token,cookie"
_BANK = (
    "iban,bank account,account number,account no,acct number,routing number,sort code,bic,swift code,bank details,payout details",
    "kontonummer,bankverbindung,compte bancaire,cuenta bancaria,numero de cuenta,rekeningnummer",
)
_CARD = "card number,card no,card num,cardnumber,credit card,creditcard,cc number,cc num,ccnum,pan,card last 4,card last4,last4,last 4,card holder,cardholder,kreditkarte,kartennummer,carte bancaire"
_IDENTITY = (
    "tax id,tax number,tax no,taxid,tin,vat id,vat number,vat no,ssn,social security,sin,nin,nino,national id,national insurance,id card,identity card,identity number,passport,passport number",
    "driver license,drivers license,driving licence,licence plate,license plate,steuernummer,steuer id,sozialversicherungsnummer,ausweisnummer,personalausweis,bsn,cpf,curp,rfc code,dni,pesel,codice fiscale,numero fiscal,personnummer,aadhaar",
)
_PHONES = "phone,phones,telephone,mobile,mobile number,cellphone,cell phone,cell number,fax,tel,msisdn,whatsapp,telefon,telefono,telefone,telefonnummer,telefoon,handynummer,mobil,mobilnummer,portable,celular,telefax"
_EMAILS = "email,emails,e mail,mail,mail address,courriel,correo,correo electronico,adresse mail,emailadresse,mailadresse,posta elettronica"
_IPS = "ip,ips,ip address,ip addr,ipaddress,ipaddr,ipv4,ipv6,remote addr,remote address,remote host,client host,mac address,mac addr"
_BIRTH = "birthday,birth date,birthdate,date of birth,dob,birth,born,born on,geburtsdatum,geburtstag,geboren,date naissance,date de naissance,naissance,fecha nacimiento,fecha de nacimiento,nacimiento,data nascimento,nascita,geboortedatum,data urodzenia"
_ADDRESSES = (
    "address,addresses,addr,address 1,address 2,address1,address2,address line,street,street name,street number,street1,street2,zip,zip code,zipcode,postcode,post code,postal code",
    "shipping city,billing city,home city,shipping zip,billing zip,anschrift,adresse,strasse,hausnummer,plz,postleitzahl,rue,code postal,direccion,calle,codigo postal,endereco,indirizzo,via,cap code,adres,straat,huisnummer,ulica",
)
_NAMES = (
    "first name,last name,middle name,full name,given name,given names,family name,display name,maiden name,legal name,nick name,surname,firstname,lastname,fullname,forename,fname,lname",
    "user name,username,contact name,customer name,client name,patient name,employee name,owner name,guest name,recipient name,sender name,signer name,author name,holder name,person name,billing name,shipping name,real name",
    "vorname,nachname,familienname,prenom,nom de famille,nombre completo,apellido,apellidos,sobrenome,cognome,voornaam,achternaam,imie,nazwisko",
)
_SENSITIVE = "gender,sex,religion,ethnicity,race,marital status,disability,diagnosis,blood type,sexual orientation,medical history,geschlecht"

# The first kind that fits is told: an e-mail address is no postal one.
_KINDS = (
    _words("password or secret", _ANY_TEXT, *_SECRETS),
    _words("token", _ANY_TEXT, _TOKENS),
    _words("bank account", _OR_NUMBER, *_BANK),
    _words("payment card", _OR_NUMBER, _CARD),
    _words("tax or identity number", _OR_NUMBER, *_IDENTITY),
    _words("e-mail", _ANY_TEXT, _EMAILS),
    _words("phone", _OR_NUMBER, _PHONES),
    _words("ip address", _ANY_TEXT | {Form.NETWORK}, _IPS),
    _words("birthday", frozenset({Form.TEXT, Form.DATE}), _BIRTH),
    _words("address", _ANY_TEXT, *_ADDRESSES),
    _words("name of a person", _ANY_TEXT, *_NAMES),
    _words("sensitive trait", _ANY_TEXT, _SENSITIVE),
)
_LONGEST = max(len(phrase) for words in _KINDS for phrase in words.phrases)

# Short words that mean something else inside longer names ("is a pin in a map", "via email", "race condition").
_ALONE = frozenset({"pin", "sin", "pan", "tin", "via", "rue", "mail", "born", "birth", "sex", "race", "portable", "tel", "last4", "bic", "cookie"})  # fmt: skip

# A name that ends or begins so tells of the thing, it does not hold it.
_TELLS_OF = _one_of(
    "at on date time timestamp sent verified confirmed validated valid invalid count counts cnt total id ids uuid",
    "fk type kind status enabled disabled required expires expired expiry expiration ttl ms seconds template",
    "templates subject body format version length size scope scopes brand label domain provider attempts tries",
    "policy frequency consent optin optout preference preferences notifications notification visible algorithm algo",
    "method hint active primary default limit rate amount cents flag source quality score region country timezone",
    "bounced only column field name names prefix suffix index settings mode class category reset changed updated",
    "created",
)
_ASKS = _one_of(
    "is has can should may must allow allows allowed enable needs requires accepts show hide num number count total",
    "use send",
)
# What has an address, a name or a token and is no person.
_THINGS = _one_of(
    "memory wallet contract web url bus register base device page block host server start end physical virtual dns",
    "csrf program",
)

_PEOPLE = _one_of(
    "customer client user person people contact employee member patient student teacher subscriber guest lead owner",
    "driver passenger applicant candidate tenant citizen voter donor creator author artist buyer recipient staff",
    "salesperson doctor player actor profile account_holder kunde kunden mitarbeiter personne personnes cliente",
    "clientes utilisateur usuario usuarios persona personas",
)
_OF_PEOPLE = {"name": "name of a person", "city": "address", "nom": "name of a person", "nombre": "name of a person"}


def words_of(name: str) -> tuple[str, ...]:
    """The words of a name, small and without accents.

    >>> words_of("billingEmail2"), words_of("Téléphone-Nr"), words_of("IPAddress"), words_of("e_mail")
    (('billing', 'email', '2'), ('telephone', 'nr'), ('ip', 'address'), ('e', 'mail'))
    """
    plain = "".join(c for c in unicodedata.normalize("NFKD", name) if not unicodedata.combining(c)).replace("ß", "ss")
    found = re.findall(
        r"[^\W\d_]*[^\W\d_A-Z]+|[^\W\d_]+|\d+", re.sub(r"([a-z\d])([A-Z])|([A-Z])(?=[A-Z][a-z])", r"\1\3 \2", plain)
    )
    return tuple(word.lower() for word in found)


@lru_cache(maxsize=65_536)
def kind_of_name(column: str, form: Form, table: str = "") -> str | None:
    """What a column holds by its name, when that is personal or secret.

    >>> kind_of_name("contactEmail", Form.TEXT), kind_of_name("email_sent_at", Form.TEXT)
    ('e-mail', None)
    >>> kind_of_name("name", Form.TEXT, "customers"), kind_of_name("name", Form.TEXT, "products")
    ('name of a person', None)
    >>> kind_of_name("line1", Form.TEXT, "user_addresses"), kind_of_name("line1", Form.TEXT, "poems")
    ('address', None)
    """
    if form is Form.NOTHING:
        return None
    words = words_of(column)
    if not words or words[0] in _ASKS:
        return None
    for kind in _KINDS:
        if form in kind.forms and any(_holds(words, first, last, kind, form) for first, last in _runs(len(words))):
            return kind.kind
    if form in _ANY_TEXT and len(words) == 1 and _is_of_people(table):
        return _OF_PEOPLE.get(words[0])
    if form is Form.TEXT and words[0] in {"line", "city"} and re.search(r"address(es)?$", table.lower()):
        return "address"
    return None


def _runs(count: int) -> Iterator[tuple[int, int]]:
    for first in range(count):
        for last in range(first + 1, min(first + _LONGEST, count) + 1):
            yield first, last


def _holds(words: tuple[str, ...], first: int, last: int, kind: _Words, form: Form) -> bool:
    run = words[first:last]
    if run not in kind.phrases and ("".join(run),) not in kind.phrases:
        return False
    if len(run) == 1 and run[0] in _ALONE and len(words) > 1:
        return False
    if first > 0 and words[first - 1] in _THINGS:
        return False
    rest = words[last:]
    if form is Form.NUMBER and words[-1] in {"id", "ids"}:
        return False  # a number that points at a row
    return not rest or rest[-1] not in _TELLS_OF or kind.kind == "birthday"


def _is_of_people(table: str) -> bool:
    return any(word in _PEOPLE or word.removesuffix("s") in _PEOPLE for word in words_of(table))
