"""A paragraph → the pieces that the language model is given one at a time.

text → numbers and signs as words → tidied for its language → cut behind sentence marks → short
sentences joined. The lengths and rules are those that the model was released with.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterator, Sequence

from cosyd.text.words import words

MAX_LENGTH = 80
"""A sentence that would make its piece longer than this begins the next one …"""
MIN_LENGTH = 60
"""… if the piece is longer than this already. Chinese counts characters, others text tokens."""
MERGE_LENGTH = 20
"""A last piece shorter than this goes to the piece before it."""

_CHINESE = re.compile("[\u4e00-\u9fff]")
_MARKS = {"zh": "。？！；：、.?!;", "en": ".?!;:"}
_COMMAS = "，,"
_CLOSING_QUOTES = '"”'
_CORNER = str.maketrans({"²": "平方", "³": "立方"})
_BRACKETS = str.maketrans(dict.fromkeys("（）【】`"))
_COMMA_LAST = re.compile("[，,、]+$")
_NUMBER = re.compile(r"\d+")

_ONES = words(
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen "
    "fifteen sixteen seventeen eighteen nineteen"
)
_TENS = words("twenty thirty forty fifty sixty seventy eighty ninety")
_SCALES = words(
    "thousand million billion trillion quadrillion quintillion sextillion septillion octillion "
    "nonillion decillion"
)


def pieces(
    text: str, *, count: Callable[[str], int], speak: Callable[[str, str], str] | None = None
) -> list[str]:
    """Clean and cut a paragraph.

    Args:
        text: any text; with marks such as <|endofprompt|> in it, it is left as it is.
        count: a text's length in text tokens.
        speak: (text, "zh" or "en") -> numbers, dates and signs as words; None: as they are.

    Returns:
        Pieces with something speakable in them; none if there is nothing.
    """
    if "<|" in text and "|>" in text:
        return [text]
    text = text.strip()
    language = "zh" if contains_chinese(text) else "en"
    if speak is not None:
        text = speak(text, language)
    text = _tidy_chinese(text) if language == "zh" else spell_out_number(text)
    found = split_paragraph(text, count=count, language=language)
    return [piece for piece in found if not is_only_punctuation(piece)]


def contains_chinese(text: str) -> bool:
    """Whether any character is Chinese."""
    return _CHINESE.search(text) is not None


def _tidy_chinese(text: str) -> str:
    text = replace_corner_mark(replace_blank(text.replace("\n", "")))
    text = remove_bracket(text.replace(".", "。").replace(" - ", "，"))
    return _COMMA_LAST.sub("。", text)


def replace_blank(text: str) -> str:
    """Drop blanks unless they stand between two ASCII characters."""

    def kept(at: int) -> bool:
        around = text[at - 1 : at] + text[at + 1 : at + 2]
        return len(around) == 2 and around.isascii() and " " not in around

    return "".join(char for at, char in enumerate(text) if char != " " or kept(at))


def replace_corner_mark(text: str) -> str:
    """Squares and cubes as Chinese words."""
    return text.translate(_CORNER)


def remove_bracket(text: str) -> str:
    """Drop Chinese brackets and backticks; a dash becomes a blank."""
    return text.translate(_BRACKETS).replace("——", " ")


def is_only_punctuation(text: str) -> bool:
    """Whether there is nothing but punctuation and symbols; also true of ""."""
    return all(unicodedata.category(char)[0] in "PS" for char in text)


def spell_out_number(text: str) -> str:
    """Every run of digits as an English number."""
    return _NUMBER.sub(lambda match: _number_words(match.group()), text)


def _number_words(digits: str) -> str:
    """ "1234" → "one thousand, two hundred and thirty-four"; what has no name, by digits."""
    if len(digits.lstrip("0")) > 3 * (len(_SCALES) + 1):
        return " ".join(_ONES[int(digit)] for digit in digits)
    rest, last = divmod(int(digits), 1000)
    higher = ", ".join(reversed([*_scaled_groups(rest)]))
    if not higher:
        return _below_thousand(last) if last else _ONES[0]
    if not last:
        return higher
    return higher + (" and " if last < 100 else ", ") + _below_thousand(last)


def _scaled_groups(value: int) -> Iterator[str]:
    for scale in _SCALES:
        value, group = divmod(value, 1000)
        if group:
            yield f"{_below_thousand(group)} {scale}"


def _below_thousand(value: int) -> str:
    hundreds, rest = divmod(value, 100)
    out = [f"{_ONES[hundreds]} hundred"] if hundreds else []
    if rest >= 20:
        tens, ones = divmod(rest, 10)
        out.append(_TENS[tens - 2] + (f"-{_ONES[ones]}" if ones else ""))
    elif rest:
        out.append(_ONES[rest])
    return " and ".join(out)


def split_paragraph(
    text: str,
    *,
    count: Callable[[str], int],
    language: str,
    max_length: int = MAX_LENGTH,
    min_length: int = MIN_LENGTH,
    merge_length: int = MERGE_LENGTH,
    at_commas: bool = False,
) -> list[str]:
    """Cut behind sentence marks and join sentences up to about `max_length`.

    Args:
        text: one paragraph; it gets a full stop if it ends without a mark.
        count: length in text tokens; of Chinese the characters are counted instead.
        language: "zh", or anything else for the English rules.
        max_length, min_length, merge_length: see `MAX_LENGTH` and its like.
        at_commas: commas count as sentence marks, too.
    """
    length = len if language == "zh" else count
    out: list[str] = []
    piece = ""
    for sentence in _sentences(text, language, _COMMAS if at_commas else ""):
        if length(piece + sentence) > max_length and length(piece) > min_length:
            out.append(piece)
            piece = ""
        piece += sentence
    if out and length(piece) < merge_length:
        out[-1] += piece
    elif piece:
        out.append(piece)
    return out


def _sentences(text: str, language: str, more_marks: str) -> Sequence[str]:
    """Runs with the mark that ends them; of a row of marks only the first stays."""
    marks = _MARKS["zh" if language == "zh" else "en"] + more_marks
    if text and text[-1] not in marks:
        text += "。" if language == "zh" else "."
    inside = re.escape(marks)
    found: list[str] = []
    for match in re.finditer(f"([^{inside}]*)([{inside}])([{_CLOSING_QUOTES}]?)", text):
        body, mark, quote = match.groups()
        if body:
            found.append(body + mark + quote)
        elif quote and found:
            found[-1] += quote
    return found
