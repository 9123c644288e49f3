"""What is cut out of texts. Whatever way a secret is written, it goes; and looking shortly loses nothing."""

from __future__ import annotations

import html
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from voucherify_async._transport.secrets import NO_SECRETS, Secrets

TOKEN = "Ab3-x/Yz_9.Qk+w=="
KEY = "0f81b7c2-5e1d4c37"


def slowly(secrets: Secrets, text: str) -> str:
    """As `redact` does where it cannot tell at once that there is nothing."""
    mark = "()" * 20  # no secret here has these
    return secrets.redact(mark + text).removeprefix(mark)


def spellings(character: str) -> list[str]:
    """Ways that URLs, JSON and HTML have to write a character."""
    code = ord(character)
    ways = [
        character,
        *((f"%{code:02x}", f"%{code:02X}") if code < 128 else ()),
        f"\\u{code:04x}",
        f"\\u{code:04X}",
        f"&#{code};",
        f"&#00{code};",
        f"&#x{code:x};",
        f"&#X{code:X};",
    ]
    if not character.isalnum():
        ways += [f"\\{character}", html.escape(character)]
    return ways


class TestCut:
    @pytest.mark.parametrize(
        ("text", "left"),
        [
            ("", ""),
            ("req_1", "req_1"),
            (KEY, "***"),
            (KEY.upper(), "***"),
            (f"v1-{KEY}-1", "v1-***-1"),
            (f"{KEY}{KEY}", "***"),
            (KEY[:-1], "***"),
            (f"the key {KEY[:12]}... is bad", "the key ***... is bad"),
            (f"the key ...{KEY[-12:]} is bad", "the key ...*** is bad"),
            (KEY[:11], KEY[:11]),
            (f"{KEY[:-1]}.", "***."),
            (f"the key {KEY}!", "the key ***!"),
            (f"{KEY[:8]} {KEY[8:]}", "***"),
            (f"{KEY[:8]}\n  {KEY[8:]}", "***"),
            (f"{KEY[:8]}\\n{KEY[8:]}", "***"),
            (f"{KEY[:8]}%0A{KEY[8:]}", "***"),
            (TOKEN, "***"),
            (TOKEN.swapcase(), "***"),
            (f"Bearer {TOKEN}", "***"),
            (f"Bearer  {TOKEN}", "***"),
            ("Ab3-x%2FYz_9.Qk%2Bw%3D%3D", "***"),
            ("ab3-x%2fyz_9.qk%2bw%3d%3d", "***"),
            ("Ab3-x\\/Yz_9.Qk+w==", "***"),
            ("Ab3-x\\u002fYz_9.Qk\\u002Bw==", "***"),
            ("Ab3-x&#47;Yz_9.Qk&#x2b;w&#061;&#X3D;", "***"),
            ("Ab3-x%2 FYz_9.Qk%2Bw%3D%3D", "***"),
            ("Ab3-x%252FYz_9.Qk%25252Bw%3D%253D", "***"),
            ("Ab3-x\\\\u002fYz_9.Qk\\\\u002bw==", "***"),
            ("Ab3-x&amp;#47;Yz_9.Qk&amp;amp;#x2b;w==", "***"),
            (f"{KEY} and Bearer {TOKEN}", "*** and ***"),
            ("é" * 50 + KEY, "é" * 50 + "***"),
        ],
    )
    def test_table(self, text: str, left: str) -> None:
        assert Secrets((KEY, f"Bearer {TOKEN}")).redact(text) == left

    def test_a_character_that_html_has_a_name_for(self) -> None:
        secrets = Secrets(["<secret>&\"'more"])
        assert secrets.redact("(&lt;secret&gt;&amp;&quot;&#x27;more)") == "(***)"

    @pytest.mark.parametrize("secret", ["", "short", "1234567", "a b c d e f g h"[:7], "to be or"[:7]])
    def test_what_is_short_is_a_word(self, secret: str) -> None:
        text = f"it says {secret} here"
        assert Secrets([secret]).redact(text) == text

    def test_the_words_of_a_secret_count_where_they_are_long(self) -> None:
        secrets = Secrets(["Basic dXNlcjpwYXNz"])
        assert secrets.redact("Basic or dXNlcjpwYXNz") == "Basic or ***"

    @pytest.mark.parametrize("values", [("abcdefgh", "abcdefghijk"), ("abcdefghijk", "abcdefgh")])
    def test_one_that_is_part_of_another(self, values: tuple[str, ...]) -> None:
        secrets = Secrets(values)
        assert secrets.redact("abcdefghijk, abcdefghi") == "***, ***i"

    @pytest.mark.parametrize(
        ("secret", "text"),
        [
            (
                "ma\N{LATIN SMALL LETTER LONG S}terkey",
                "MASTERKEY",
            ),  # as the expression sees it, these are a letter and its upper case
            ("\N{KELVIN SIGN}elvin-degrees", "kelvin-degrees"),
            ("straße-und-nr", "STRAßE-UND-NR"),
            ("ΣΊΣΥΦΟΣ-rolls", "σίσυφος-rolls"),
        ],
    )
    def test_letters_that_have_more_than_two_cases(self, secret: str, text: str) -> None:
        assert Secrets([secret]).redact(text) == "***"

    def test_nothing_to_cut(self) -> None:
        text = f"{KEY} {TOKEN}"
        assert NO_SECRETS.redact(text) == Secrets().redact(text) == text


class TestOr:
    def test_both_are_cut(self) -> None:
        assert (Secrets([KEY]) | [TOKEN]).redact(f"{KEY}, {TOKEN}") == "***, ***"

    def test_neither_is_changed(self) -> None:
        secrets = Secrets([KEY])
        assert secrets.redact(KEY) == "***"
        assert (secrets | [TOKEN]).redact(KEY + TOKEN) == "***"
        assert secrets.redact(TOKEN) == TOKEN
        assert (NO_SECRETS | [KEY]).redact(KEY) == "***"
        assert NO_SECRETS.redact(KEY) == KEY


def test_the_repr_hides_them() -> None:
    assert repr(Secrets([KEY, f"Bearer {TOKEN}", "short"])) == "<3 secrets>"
    assert repr(NO_SECRETS) == "<0 secrets>"


def test_it_has_no_attributes_that_a_reporter_would_list() -> None:
    assert not hasattr(Secrets([KEY]), "__dict__")


# ---------------------------------------------------------------- properties

CHARACTERS = st.sampled_from("abkKsSxZ019-_.:/+=<>&'\"%\\#;~*ſé")
LETTERS = CHARACTERS.filter(
    lambda character: character != "\\"
)  # it would be read as part of an escape after it
SECRETS = st.text(CHARACTERS, min_size=6, max_size=12)


@st.composite
def cases(draw: st.DrawFn) -> tuple[list[str], str]:
    """Secrets, and a text of pieces of them, whole or not and written in any way."""
    secrets = draw(st.lists(SECRETS, min_size=1, max_size=3))
    chance = random.Random(draw(st.integers(0, 10_000)))
    pieces: list[str] = []
    for secret in draw(st.lists(st.sampled_from(secrets), max_size=4)):
        start, end = draw(st.sampled_from([(0, None), (1, None), (0, -1), (2, 6)]))
        piece = secret[start:end]
        how = draw(st.sampled_from(["as it is", "upper", "lower", "spelled"]))
        match how:
            case "upper":
                piece = piece.upper()
            case "lower":
                piece = piece.lower()
            case "spelled":
                piece = "".join(chance.choice(spellings(character)) for character in piece)
            case _:
                pass
        pieces += [piece, draw(st.sampled_from(["", "", "x", "-", " ", "&amp;"]))]
    return secrets, "".join(pieces)


@settings(max_examples=150)
@given(cases())
def test_the_quick_way_out_loses_nothing(case: tuple[list[str], str]) -> None:
    values, text = case
    secrets = Secrets(values)
    assert secrets.redact(text) == slowly(secrets, text) == slowly(Secrets(values), text)


@settings(max_examples=100)
@given(st.text(LETTERS, min_size=8, max_size=14), st.integers(0, 10_000), st.data())
def test_however_it_is_written(secret: str, seed: int, data: st.DataObject) -> None:
    chance = random.Random(seed)
    secret += "z"  # of one that ends in "&" and is written "&#x26;", the rest could be left
    written = "".join(chance.choice(spellings(character)) for character in secret)
    around = data.draw(st.sampled_from(["", " ", "(", "é", "|"]))
    assert Secrets([secret]).redact(around + written + around) == f"{around}***{around}"
