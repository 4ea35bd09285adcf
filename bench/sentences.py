"""What the quality benchmark says, and how it has to be read."""

from __future__ import annotations

from typing import Final, Literal, NamedTuple


class Sentence(NamedTuple):
    """One sentence for one voice."""

    voice: str
    language: Literal["en", "zh"]
    text: str
    spoken: str
    """The reference: as a person would read it aloud."""


SENTENCES: Final = (
    Sentence(
        "af_heart",
        "en",
        "The meeting starts at 7:30 tomorrow morning.",
        "the meeting starts at seven thirty tomorrow morning",
    ),
    Sentence(
        "af_heart",
        "en",
        "She was born on March 3rd, 1987, in a small town by the sea.",
        "she was born on march third nineteen eighty seven in a small town by the sea",
    ),
    Sentence(
        "af_bella",
        "en",
        "The red jacket costs $49.95, but the blue one is on sale.",
        "the red jacket costs forty nine dollars and ninety five cents but the blue one is on sale",
    ),
    Sentence(
        "af_bella",
        "en",
        "Could you turn off the kitchen light before you leave, please?",
        "could you turn off the kitchen light before you leave please",
    ),
    Sentence(
        "am_michael",
        "en",
        "Dr. Taylor asked Mr. Brown to call her back before noon.",
        "doctor taylor asked mister brown to call her back before noon",
    ),
    Sentence(
        "am_michael",
        "en",
        "About 85% of the 1,200 visitors came by train.",
        "about eighty five percent of the one thousand two hundred visitors came by train",
    ),
    Sentence(
        "bf_emma",
        "en",
        "The package weighs 3.5 kilograms and leaves on Friday.",
        "the package weighs three point five kilograms and leaves on friday",
    ),
    Sentence(
        "bf_emma",
        "en",
        "Nobody had told him that the bridge was closed for the winter.",
        "nobody had told him that the bridge was closed for the winter",
    ),
    Sentence(
        "bm_george",
        "en",
        "NASA launched two satellites, and the BBC showed it live.",
        "nasa launched two satellites and the bbc showed it live",
    ),
    Sentence(
        "bm_george",
        "en",
        "At 9 a.m. on July 21st, 350 runners paid $20 each to start.",
        "at nine am on july twenty first three hundred and fifty runners "
        "paid twenty dollars each to start",
    ),
    Sentence(
        "zf_xiaobei",
        "zh",
        "今天下午三点半，我们在公园门口见面。",
        "今天下午三点半我们在公园门口见面",
    ),
    Sentence(
        "zf_xiaobei",
        "zh",
        "超过85%的学生每天乘坐地铁上学。",
        "超过百分之八十五的学生每天乘坐地铁上学",
    ),
    Sentence(
        "zf_xiaoxiao",
        "zh",
        "这件衣服原价299元，现在打八折。",
        "这件衣服原价二百九十九元现在打八折",
    ),
    Sentence(
        "zm_yunxi",
        "zh",
        "2024年10月1日，火车将在8:45从三号站台出发。",
        "二零二四年十月一日火车将在八点四十五分从三号站台出发",
    ),
    Sentence(
        "zm_yunxi",
        "zh",
        "他每天晚上都用 Python 写程序，周末才休息。",
        "他每天晚上都用 python 写程序周末才休息",
    ),
)
