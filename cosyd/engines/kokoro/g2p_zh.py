"""Chinese characters → phonemes: words by jieba, readings by pypinyin, then tone sandhi."""

from __future__ import annotations

import re
import tempfile
import threading
from functools import lru_cache
from typing import Any

from cosyd.engines.kokoro.pinyin import ipa
from cosyd.text.words import words as word_list

_NUMERALS = frozenset("零〇一二三四五六七八九十百千万亿两第")
_ORDINAL_AFTER = frozenset("月日号年级楼班")
_FULL_ER = frozenset(
    word_list(
        "儿子 儿童 儿歌 儿科 儿女 女儿 婴儿 幼儿 孤儿 胎儿 少儿 男儿 健儿 宠儿 育儿 小儿 混血儿 "
        "新生儿 幸运儿 弃儿 患儿 托儿所 幼儿园 婴幼儿 儿媳 儿媳妇 儿孙 生儿育女"
    )
)
_LOADING = threading.Lock()


@lru_cache(maxsize=1)
def _load() -> tuple[Any, Any]:
    import jieba
    import pypinyin

    jieba.setLogLevel(60)
    tokenizer = jieba.Tokenizer()
    # Its default cache is a file of fixed name in /tmp that anybody could have put there.
    with tempfile.TemporaryDirectory() as directory:
        tokenizer.tmp_dir = directory
        tokenizer.initialize()
    return tokenizer, pypinyin


def load() -> None:
    """Read the dictionaries: about a second, once."""
    with _LOADING:
        _load()


def phonemes(text: str) -> str:
    """The phonemes of `text`, which is Chinese characters only; a space between words."""
    spelt = readings(split_words(text))
    return " ".join("".join(ipa(syllable) for syllable in word) for word in spelt).strip()


def split_words(text: str) -> list[str]:
    """`text` cut into words."""
    load()
    words: list[str] = _load()[0].lcut(text)
    return words


def readings(words: list[str]) -> list[list[str]]:
    """Pinyin with tone numbers for each word's characters, as they are said in a row."""
    load()
    pypinyin = _load()[1]
    style = pypinyin.Style.TONE3
    spelt: list[list[str]] = [
        pypinyin.lazy_pinyin(word, style=style, neutral_tone_with_five=True, v_to_u=True)
        for word in words
    ]
    kept = [(word, syllables) for word, syllables in zip(words, spelt, strict=True) if syllables]
    words, spelt = [word for word, _ in kept], [syllables for _, syllables in kept]
    _change_yi_bu(words, spelt)
    _change_thirds(spelt)
    _weaken_er(words, spelt)
    return spelt


def _change_yi_bu(words: list[str], spelt: list[list[str]]) -> None:
    """一 and 不 before another tone: yí dìng, yì qǐ, bú shì."""
    text = "".join(words)
    places = [(w, i) for w, syllables in enumerate(spelt) for i in range(len(syllables))]
    if len(places) != len(text):
        return  # a character without a reading: positions no longer tell
    tones = [spelt[w][i][-1] for w, i in places]
    for at in range(len(text) - 1):
        changed = _changed_tone(text, at, tones[at + 1])
        if changed:
            w, i = places[at]
            spelt[w][i] = spelt[w][i][:-1] + changed


def _changed_tone(text: str, at: int, following: str) -> str:
    char, before = text[at], text[at - 1] if at else ""
    after = text[at + 1]
    if char == "不":
        return "2" if following == "4" else ""
    if char != "一" or before in _NUMERALS or after in _NUMERALS - {"百", "千", "万", "亿"}:
        return ""
    if after in _ORDINAL_AFTER:
        return ""
    if before and before == after:
        return "5"  # 看一看
    return {"4": "2", "1": "4", "2": "4", "3": "4"}.get(following, "")


def _change_thirds(spelt: list[list[str]]) -> None:
    """Of third tones in a row, those before another: inside a word, and of one-syllable words."""
    citation = [[syllable[-1] for syllable in word] for word in spelt]
    for w, tones in enumerate(citation):
        for i in range(len(tones)):
            if i + 1 < len(tones):
                following = tones[i + 1]
            elif len(tones) == 1 and w + 1 < len(citation):
                following = citation[w + 1][0]
            else:
                continue
            if tones[i] == "3" and following == "3":
                spelt[w][i] = spelt[w][i][:-1] + "2"


def _weaken_er(words: list[str], spelt: list[list[str]]) -> None:
    """儿 as a suffix has no tone: 花儿, 一点儿."""
    for word, syllables in zip(words, spelt, strict=True):
        if len(word) > 1 and word[-1] == "儿" and word not in _FULL_ER:
            syllables[-1] = "er5"


PUNCTUATION = {
    "，": ", ",
    "、": ", ",
    "。": ". ",
    "！": "! ",
    "？": "? ",
    "：": ": ",
    "；": "; ",
    "（": " (",
    "）": ") ",
    "《": " “",
    "》": "” ",
    "「": " “",
    "」": "” ",
    "『": " “",
    "』": "” ",
    "【": " “",
    "】": "” ",
    "〈": " “",
    "〉": "” ",
    "·": " ",
    "～": " ",
}
_PUNCTUATION = re.compile("[" + "".join(PUNCTUATION) + "]")


def latin_punctuation(text: str) -> str:
    """Chinese punctuation as the signs that the model knows."""
    return _PUNCTUATION.sub(lambda match: PUNCTUATION[match[0]], text)
