"""Chinese: what wetext's grammars read wrongly is rewritten first; they do the rest."""

from __future__ import annotations

import re
from functools import lru_cache
from re import Match
from typing import Any

from cosyd.text.characters import HAN
from cosyd.text.normalise.common import Rule, apply

_DIGITS = "零一二三四五六七八九"
_PHONE_DIGITS = "零幺二三四五六七八九"
_CURRENCIES = {
    "$": "美元",
    "US$": "美元",
    "€": "欧元",
    "£": "英镑",
    "¥": "元",
    "₩": "韩元",
    "HK$": "港元",
}
_UNITS_OF_MONEY = "元块美欧英日港"


def _money(match: Match[str]) -> str:
    amount, magnitude = match[2].replace(",", ""), match[3] or ""
    return f"{amount}{magnitude}{_CURRENCIES[match[1].upper()]}"


def digits(text: str) -> str:
    """ "2024" → "二零二四"."""
    return "".join(_DIGITS[int(char)] for char in text if char.isdecimal())


def _phone(match: Match[str]) -> str:
    plus = "加" if match[0].startswith("+") else ""
    groups = re.findall(r"\d+", match[0])
    return plus + "，".join("".join(_PHONE_DIGITS[int(d)] for d in group) for group in groups)


def _day_first(match: Match[str]) -> str:
    first, second = int(match[1]), int(match[3])
    day, month = (second, first) if match[2] == "/" and first <= 12 else (first, second)
    if month > 12:
        day, month = month, day
    return f"{match[4]}年{month}月{day}日" if month <= 12 and day <= 31 else match[0]


def _time(match: Match[str]) -> str:
    hour, minute, second = match[1], match[2], match[3]
    words = f"{int(hour)}点" if int(hour) != 2 else "两点"
    if int(minute):
        words += f"{'零' if minute[0] == '0' else ''}{int(minute)}分"
    elif second is None:
        words += "整"
    return words + (f"{int(second)}秒" if second is not None else "")


def _dotted(match: Match[str]) -> str:
    return ("版本" if match[1] else "") + "点".join(match[2].split("."))


_RULES: tuple[Rule, ...] = (
    (re.compile(r"C\+\+"), "C 加加 "),
    (re.compile(r"\bC#"), "C sharp "),
    (re.compile(r"#([^#\s]{1,40})#"), r"\1"),
    (re.compile(r"#(?=[^\W\d])"), "话题"),
    (re.compile(r"(?<!\w)@(?=\w)"), "艾特"),
    (re.compile(r"[￥¥]\s?(?=[\d,.]+\s?[万亿]?\s?元)"), ""),
    (re.compile(r"(\d),(?=\d{3}(?!\d))"), r"\1"),
    (re.compile(r"((?:US|HK)?\$|[€£¥₩])\s?(\d+(?:\.\d+)?)\s?([万亿]?)(?![万亿元])"), _money),
    (re.compile(r"(?<![\d.])\+?\d{1,3}[- ]1[3-9]\d[- ]?\d{4}[- ]?\d{4}(?!\d)"), _phone),
    (re.compile(r"(?<![\d.])1[3-9]\d[- ]?\d{4}[- ]?\d{4}(?![\d.])"), _phone),
    (re.compile(r"(?<![\d.])0\d{2,3}-\d{7,8}(?!\d)|(?<!\d)[48]00-\d{3,4}-\d{3,4}(?!\d)"), _phone),
    (re.compile(r"(?<![\d./])(\d{1,2})([/.])(\d{1,2})\2(\d{4})(?!\d)"), _day_first),
    (re.compile(r"(?<![\d:])([01]?\d|2[0-4])[:：]([0-5]\d)(?:[:：]([0-5]\d))?(?![\d:：])"), _time),
    (re.compile(r"([vV])?(\d+(?:\.\d+){2,})"), _dotted),
    (re.compile(r"\b([vV])(\d+\.\d+)"), _dotted),
    (re.compile(r"(\d)\s?[-~～—–]\s?(?=\d+(?:\.\d+)?\s?%)"), r"\1%到"),
    (re.compile(r"(?<![\d-])(\d{4})\s?[-~～—–]\s?(\d{4})年"), r"\1年到\2年"),
    (re.compile(r"(\d)\s?[~～–—]\s?(?=\d)"), r"\1到"),
    (re.compile(r"(?<=[A-Za-z])-(?=\d)"), " "),
    (re.compile(r"(?<!\d)(\d0)(?=后[^\d天年月日来面])"), lambda m: digits(m[1])),
    (re.compile(r"(?<=\w)_+(?=\w)"), " "),
    (re.compile(r"(?<=[A-Za-z])\d{3,}"), lambda m: digits(m[0])),
    (re.compile(r"\d{3,4}(?=室|房间|号房|教室)"), lambda m: digits(m[0])),
    (re.compile(r"\d{13,}"), lambda m: digits(m[0])),
)
_SIGNS = {
    "&": "和",
    "+": "加",
    "=": "等于",
    "×": "乘",
    "÷": "除以",
    "±": "正负",
    "<": "小于",
    ">": "大于",
    "≤": "小于等于",
    "≥": "大于等于",
    "≠": "不等于",
    "≈": "约等于",
    "∞": "无穷大",
    "√": "根号",
    "π": "派",
    "°": "度",
    "@": "艾特",
    "#": "井号",
    "%": "百分号",
    "$": "美元",
    "€": "欧元",
    "£": "英镑",
    "¥": "元",
    "^": "次方",
    "/": "斜杠",
    "\\": "反斜杠",
    "→": "到",
    "～": "",
    "~": "",
    "*": "",
    "_": "",
    "`": "",
    "|": "",
    "·": "",
    "{": "",
    "}": "",
    "[": "（",
    "]": "）",
}
ADDRESS_SIGNS = {
    ".": "点",
    "/": "斜杠",
    ":": "冒号",
    "@": "艾特",
    "-": "杠",
    "_": "下划线",
    "?": "问号",
    "=": "等于",
    "&": "和",
    "#": "井号",
    "%": "百分号",
    "+": "加",
    "~": "波浪号",
    "\\": "反斜杠",
}
_SIGN = re.compile("[" + re.escape("".join(_SIGNS)) + "]")
_NEEDS_GRAMMAR = re.compile(r"[\d%℃°]")
_HAN = re.compile(f"[{HAN}]")
_UNSAFE = re.compile(r"[\"\x00-\x1f]")
_NOT_FOR_GRAMMAR = re.compile(r"[\\\[\]{}`|<>^#@&*_]")


@lru_cache(maxsize=1)
def load() -> Any:
    """wetext's Chinese normaliser; 0.3 s the first time."""
    import wetext

    return wetext.Normalizer(lang="zh", operator="tn", traditional_to_simple=False)


def _grammar(text: str) -> str:
    """`text` through wetext, unless that would lose or change a Chinese character."""
    if not _NEEDS_GRAMMAR.search(text):
        return text
    try:
        out: str = load().normalize(_UNSAFE.sub(" ", text))
    except RuntimeError:  # no path through its grammar
        return text
    kept = iter(out)
    return out if all(char in kept for char in _HAN.findall(text)) else text


def speak(text: str) -> str:
    """Chinese text with nothing but words and punctuation left in it."""
    text = apply(_RULES, text)
    text = _NOT_FOR_GRAMMAR.sub(lambda match: f" {_SIGNS[match[0]]} ", text)
    text = _grammar(text)
    text = re.sub(r"\d+", lambda match: digits(match[0]), text)
    return _SIGN.sub(lambda match: f" {_SIGNS[match[0]]} ", text)
