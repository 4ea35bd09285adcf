"""What both languages share: clean-up, mark-up, addresses, emoji and foreign scripts."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from functools import lru_cache
from typing import Any

from cosyd.text.characters import HAN, LATIN
from cosyd.text.words import words

_FULLWIDTH = "，！？；：（）～"
_FOLDED = re.compile(f"[^\x00-\x7f{_FULLWIDTH}…—–‘’“”{HAN}]+")
_INVISIBLE = re.compile(
    "[\u00ad\u061c\u180e\u200b-\u200c\u200e\u200f\u202a-\u202e\u2060-\u2069\ufeff\ufff9-\uffff]"
)
_SUPERSCRIPTS = {"²": " squared ", "³": " cubed "}
_DECORATION = re.compile(r"([^\w\s])\1{3,}")
_LINK = re.compile(r"!?\[([^\]\n]{1,200})\]\(([^)\s]{1,500})\)")
_EMPHASIS = re.compile(r"(?<!\w)(\*{1,3}|_{1,3}|~~|`+)(?=\S)([^\n*`]{1,400}?)(?<=\S)\1(?!\w)")
_BULLET = re.compile(r"(?m)^\s*(?:[•▪◦‣]|(?:#{1,6}|[*>·+–—-])(?=\s))\s*")
_HYPHENATED = re.compile(r"(?<=[a-z])-[ \t]*\r?\n[ \t]*(?=[a-z])")


def fold(text: str) -> str:
    """Compatibility forms (full-width letters, ligatures, ①, ㎏) as plain ones; other scripts'
    digits as 0–9; nothing invisible, no control characters, no mark-up."""
    text = _HYPHENATED.sub("", text)
    text = _INVISIBLE.sub("", text)
    for char, word in _SUPERSCRIPTS.items():
        text = text.replace(char, word)
    text = _FOLDED.sub(lambda match: unicodedata.normalize("NFKC", match[0]), text)
    return "".join(_plain(char) for char in text)


def _plain(char: str) -> str:
    if char < "\x7f":
        return char if char >= " " else " " if char != "\n" else char
    category = unicodedata.category(char)
    if category == "Nd":
        return str(unicodedata.decimal(char))
    if category in ("Cc", "Zs", "Zl", "Zp"):
        return " "
    return "" if category in ("Cs", "Co", "Cn") else char


def strip_markup(text: str) -> str:
    """Without Markdown's signs: `**bold**`, bullets, headings, `[text](address)`, rulers."""
    text = _LINK.sub(r"\1", text)
    text = _EMPHASIS.sub(r"\2", text)
    text = _BULLET.sub("", text)
    return _DECORATION.sub(lambda match: match[1] if match[1] in ".!?…。！？" else " ", text)


# Addresses

_TLD = (
    "com|org|net|edu|gov|io|dev|ai|app|co|cn|uk|de|fr|jp|eu|us|info|biz|me|tv|ca|au|ch|nl|se|in|"
    "ru|xyz|tech|cloud|site|online|html?|py|js|ts|md|txt|json|ya?ml|toml|cfg|csv|pdf|zip|sh|rs|go|"
    "cpp|java|png|jpe?g|gif|svg|mp3|mp4|wav|exe|log|conf"
)
_ADDRESS = re.compile(
    r"(?P<scheme>\b(?:https?|ftp|file|ssh|git|wss?)://)[A-Za-z0-9][\w./:@#?=&%+~,;!$'*\[\]-]*"
    r"|\b[\w.+-]+@(?:[A-Za-z0-9-]+\.)+[A-Za-z]{2,}\b"
    rf"|(?<![\w.@-])(?:[A-Za-z0-9_-]+\.)+(?:{_TLD})(?:/[\w./:@#?=&%+~-]*)?(?![\w-])"
    r"|(?<![\w/])~?(?:/[\w.+~-]*[A-Za-z][\w.+~-]*){2,}/?"
    r"|(?<!\w)(?:[A-Za-z]:)(?:\\[\w.+~ -]*\w)+\\?",
    re.ASCII,
)
_ADDRESS_PART = re.compile(r"[A-Za-z]+|\d+|[^A-Za-z\d]", re.ASCII)
_TRAILING = ".,:;!?'*"
_SPELLED = frozenset(words("cn uk de fr jp eu us tv ca au ch nl se ai io js ts md py rs ftp ssh"))


def speak_addresses(text: str, signs: dict[str, str]) -> str:
    """URLs, e-mail addresses, file names and paths as words; `signs` names their punctuation."""

    def spoken(match: re.Match[str]) -> str:
        address = match[0].rstrip(_TRAILING)
        rest = match[0][len(address) :]
        address = address[len(match["scheme"] or "") :].rstrip("/") or "/"
        parts = (_address_part(part, signs) for part in _ADDRESS_PART.findall(address))
        return f" {' '.join(part for part in parts if part)}{rest} "

    return _ADDRESS.sub(spoken, text)


def _address_part(part: str, signs: dict[str, str]) -> str:
    if part.isalpha():
        return letters(part) if part.lower() in _SPELLED or part == "www" else part
    if part.isdigit():
        return part if len(part) <= 4 else " ".join(part)
    return signs.get(part, " ")


def letters(word: str) -> str:
    """A word to be spelt: "tv" → "T.V", one letter alone: "Ay" for A, which is else an article."""
    upper = word.upper()
    if len(upper) == 1:
        return "Ay" if upper == "A" else upper
    return ".".join(upper)


# Emoji

_MAY_BE_EMOJI = re.compile(
    "[©®‼⁉™ℹ\u2190-\u2bff\u3030\u303d\u3297\u3299\U0001f000-\U0001faff\u20e3]"
)


_SKIN = re.compile(
    r"[:：]?\s?(?:(?:light|medium|dark|medium (?:light|dark)) skin tone|[较中]?[浅深中]?等?肤色)"
)


def speak_emoji(text: str, language: str) -> str:
    """Emoji as their names, each run of the same one once."""
    if not _MAY_BE_EMOJI.search(text):
        return text
    import emoji  # 60 ms; most text has none

    if language == "zh":
        emoji.config.load_language("zh")
    out, position, previous = [], 0, ""
    for found in emoji.emoji_list(text):
        start, end, chars = found["match_start"], found["match_end"], found["emoji"]
        if text[position:start].strip() or chars != previous:
            out += [text[position:start], _emoji_name(emoji.EMOJI_DATA[chars], language)]
        position, previous = end, chars
    return "".join([*out, text[position:]])


def _emoji_name(data: dict[str, Any], language: str) -> str:
    name: str = data.get(language) or data.get("en", "")
    name = name.strip(":").replace("_", " ").replace("-", " ")
    name = _SKIN.sub("", name)
    return f"，{name}，" if language == "zh" else f", {name}, "


# Everything else

_FOREIGN = re.compile(
    rf"[^\x00-\x7f{LATIN}{HAN}\s，。！？；：（）“”‘’《》「」『』【】〈〉、…—–·～]+"
)
_LETTER_RUN = re.compile(r"[^\W\d_][^\W\d_\u0591-\u05c7\u064b-\u065f\u0900-\u0dff]*|.", re.DOTALL)
SILENT = re.compile("[\u2500-\u25ff\u2800-\u28ff\u0300-\u036f\u3000-\u303f\ufe00-\ufe0f\u200d]")


def speak_foreign(text: str) -> str:
    """Letters of scripts that we have no voice for as Latin ones, signs as their names."""
    return _FOREIGN.sub(lambda match: _romanise(match[0]), text)


def _romanise(run: str) -> str:
    return "".join(_letters_or_signs(part[0]) for part in _LETTER_RUN.finditer(run))


_NO_LETTERS = re.compile("[^A-Za-z]+")


def _letters_or_signs(part: str) -> str:
    import anyascii  # only for text that needs it

    if SILENT.match(part):
        return " "
    if part[0].isalpha() and not (len(part) < 3 and "\u0370" <= part[0] <= "\u03ff"):
        latin = _NO_LETTERS.sub(" ", anyascii.anyascii(part)).strip()
        return latin or _names(part)  # a lone Greek letter is a sign, below
    return _names(part)


def _names(part: str) -> str:
    return f" {' '.join(sign_name(char) for char in part)} "


@lru_cache(maxsize=1024)
def sign_name(char: str) -> str:
    """The Unicode name of `char` in plain words, "" for one that has none."""
    name = unicodedata.name(char, "").lower()
    name = re.sub(
        r"\b(sign|symbol|greek|letter|small|capital|combining|mark|with|[0-9a-f]{4,5})\b", " ", name
    )
    return " ".join(re.findall("[a-z]+", name))


Rule = tuple[re.Pattern[str], Callable[[re.Match[str]], str] | str]
"""A pattern and what takes its place."""


def apply(rules: tuple[Rule, ...], text: str) -> str:
    """Every rule once, in order."""
    for pattern, replacement in rules:
        text = pattern.sub(replacement, text)
    return text
