"""The script of a letter, the scripts that a language is written in, and letters of two scripts that look the same.

Scripts go by Unicode's names of the characters ("CYRILLIC SMALL LETTER A"); languages by the likely subtags of CLDR
(https://www.unicode.org/cldr/charts/latest/supplemental/likely_subtags.html) and the other scripts in daily use;
look-alikes are those of Unicode's confusables (https://www.unicode.org/reports/tr39/) that are the same glyph in print.
"""

from __future__ import annotations

import unicodedata
from functools import lru_cache

from voxcli.text.casing import primary_language

_WIDTHS = ("FULLWIDTH", "HALFWIDTH")
_NO_SCRIPT = frozenset(
    [
        "MODIFIER",
        "MATHEMATICAL",
        "DOUBLE-STRUCK",
        "SCRIPT",
        "BLACK-LETTER",
        "FEMININE",
        "MASCULINE",
        "MICRO",
        "OHM",
        "KELVIN",
        "ANGSTROM",
        "ALEF",
        "BET",
        "GIMEL",
        "DALET",
        "TURNED",
        "INFORMATION",
        "PLANCK",
        "EULER",
        "BLACKBOARD",
        "INTERLINEAR",
    ]
)

_WRITTEN: dict[str, str] = {
    "CYRILLIC": "ru uk bg be mk kk ky tg mn tt ba cv sah mhr mrj myv mdf os ab kv udm ce av kbd ady bxr tyv rue sr uz",
    "LATIN": (
        "en es fr de it pt nl sv no nb nn da fi is et lv lt pl cs sk sl hr hu ro tr az sq ca gl eu cy ga gd br mt lb "
        "fy af sw so ha yo ig zu xh st sn rw lg mg id ms tl fil jv su vi haw mi eo ia oc rm sc ast la uz tk kmr ku bs "
        "sr fo kl se gn qu ay ln wo ff bm ee tw ak ny ts tn ss nr nso ve vot hsb dsb vec fur lij nap scn co"
    ),
    "GREEK": "el",
    "ARMENIAN": "hy hyw",
    "GEORGIAN": "ka",
    "HEBREW": "he iw yi",
    "ARABIC": "ar fa ur ps sd ug ckb ku pnb bal azb skr pa ks arz ary ha kk ms",
    "DEVANAGARI": "hi mr ne sa bho mai doi brx kok sd ks",
    "BENGALI": "bn as",
    "GURMUKHI": "pa",
    "GUJARATI": "gu",
    "ORIYA": "or",
    "TAMIL": "ta",
    "TELUGU": "te",
    "KANNADA": "kn",
    "MALAYALAM": "ml",
    "SINHALA": "si",
    "THAI": "th",
    "LAO": "lo",
    "TIBETAN": "bo dz",
    "MYANMAR": "my",
    "KHMER": "km",
    "ETHIOPIC": "am ti tig",
    "HANGUL": "ko",
    "CJK": "zh cmn yue wuu nan hak ja ko",
    "HIRAGANA": "ja",
    "KATAKANA": "ja",
    "KATAKANA-HIRAGANA": "ja",
    "IDEOGRAPHIC": "zh yue ja",
    "BOPOMOFO": "zh cmn nan yue",
    "THAANA": "dv",
    "TIFINAGH": "zgh kab ber",
    "MONGOLIAN": "mn",
    "OL": "sat",
    "CANADIAN": "cr iu oj",
    "CHEROKEE": "chr",
    "SYRIAC": "syr",
    "NKO": "nqo",
}
_NAMES = (
    "english=en spanish=es french=fr german=de italian=it portuguese=pt dutch=nl turkish=tr polish=pl swedish=sv "
    "finnish=fi czech=cs hungarian=hu romanian=ro indonesian=id vietnamese=vi catalan=ca russian=ru ukrainian=uk "
    "bulgarian=bg belarusian=be macedonian=mk kazakh=kk greek=el armenian=hy georgian=ka hebrew=he arabic=ar "
    "persian=fa urdu=ur pashto=ps hindi=hi marathi=mr nepali=ne bengali=bn tamil=ta telugu=te kannada=kn "
    "malayalam=ml sinhala=si thai=th lao=lo myanmar=my khmer=km amharic=am korean=ko chinese=zh mandarin=zh "
    "cantonese=yue japanese=ja serbian=sr azerbaijani=az lithuanian=lt eng=en spa=es fra=fr deu=de ita=it por=pt "
    "nld=nl tur=tr pol=pl rus=ru ukr=uk bul=bg ell=el heb=he ara=ar fas=fa urd=ur hin=hi ben=bn tam=ta tha=th "
    "kor=ko zho=zh jpn=ja kat=ka hye=hy amh=am"
)

_TWINS = {
    ("LATIN", "CYRILLIC"): dict(zip("ABEKMHOPCTXaceopxyij", "АВЕКМНОРСТХасеорхуіј", strict=True)),
    ("LATIN", "GREEK"): dict(zip("ABEZHIKMNOPTYXov", "ΑΒΕΖΗΙΚΜΝΟΡΤΥΧον", strict=True)),
}


@lru_cache(maxsize=65_536)
def script(character: str) -> str | None:
    """The script of a letter as Unicode names it, in capitals; None for what has none: digits, marks, punctuation."""
    if unicodedata.category(character)[0] != "L":
        return None
    words = unicodedata.name(character, "").split()
    if words and words[0] in _WIDTHS:
        words = words[1:]
    return words[0] if words and words[0] not in _NO_SCRIPT else None


def language_name(language: str | None) -> str:
    """The primary subtag of a code or an English name, "" for None: "pt-BR" -> "pt", "Turkish" -> "tr"."""
    code = primary_language(language)
    return _by_name().get(code, code)


def scripts_of(language: str | None) -> frozenset[str]:
    """The scripts that a language is written in; empty where that is not known here."""
    code = language_name(language)
    return frozenset(name for name, codes in _WRITTEN.items() if code in codes.split()) if code else frozenset()


def untwinned(word: str) -> str | None:
    """A word of two scripts in one of them, where look-alikes are all that keeps it from being so; else None."""
    found = {name for name in map(script, word) if name is not None}
    for pair, twins in _TWINS.items():
        if found != set(pair):
            continue
        ways = []
        for table, left in ((twins, pair[0]), ({b: a for a, b in twins.items()}, pair[1])):
            strangers = [one for one in word if script(one) == left]
            if all(one in table for one in strangers):
                ways.append((len(strangers), "".join(table.get(one, one) for one in word)))
        return min(ways)[1] if ways else None
    return None


@lru_cache(maxsize=1)
def _by_name() -> dict[str, str]:
    return dict(pair.split("=") for pair in _NAMES.split())
