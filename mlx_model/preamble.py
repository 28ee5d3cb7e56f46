"""What stands before the text that was asked for, such as "Sure! Here is the prompt:", in ten languages.

One rule for all: a word of consent, then a word that points, then one that means a text, then a colon or the end of
the line; or a name of the text and a colon. A picture that is pointed at ("Here is a man ...") stays, also with words
in it ("Here is a sign with the text: ..."): between the two nothing may say what holds the text.
"""

import re
from typing import NamedTuple


class Lead(NamedTuple):
    """Of one language, as parts of a regular expression.

    `holds`: what stands before the text of a thing in a picture.
    """

    sure: str
    here: str
    kind: str  # what may stand before or behind the name of the text
    text: str
    holds: str = ""


ENGLISH = Lead(
    "sure|certainly|of course|absolutely|okay|ok|great|yes",
    "here|below is|this is|i have|i['’]ve|i will|i['’]ll|let me",
    "the|your|my|final|new|full|written|written-out|rewritten|expanded|detailed|improved|enhanced|image|picture",
    "(?:prompt|description|instruction|caption|paragraph|text|version|answer|output|result|rewrite)s?",
    "with|on|that|whose|showing|saying|reading|bearing|under|beside|in",
)
LEADS = (
    ENGLISH,
    Lead(
        "gerne?|natürlich|selbstverständlich",
        "hier (?:ist|sind|kommt)|dies ist|ich habe",
        "der|die|dein|deine|ihr|ihre",
        "prompt|(?:bild)?beschreibung|anweisung|text|fassung|absatz",
        "mit|auf|dessen|deren|neben|unter|in",
    ),
    Lead(
        "bien sûr|certainement|avec plaisir|d['’]accord",
        "voici|voilà|ci-dessous",
        "le|la|votre|ton|final|finale|détaillée?",
        "prompt|invite|description|consigne|texte|version|paragraphe",
        "avec|sur|qui|dont|portant|sous|dans",
    ),
    Lead(
        "claro(?: que sí)?|por supuesto|desde luego",
        "aquí (?:está|tienes?|va)|he aquí|a continuación|este es",
        "el|la|tu|su|final|detallad[oa]",
        "prompt|descripción|instrucción|texto|versión|párrafo",
        "con|sobre|que|cuy[oa]|bajo",
    ),
    Lead(
        "certo|certamente|volentieri",
        "ecco|di seguito|questo è|questa è",
        "il|la|tuo|tua|finale|dettagliat[oa]",
        "prompt|descrizione|istruzione|testo|versione|paragrafo",
        "con|sul|sulla|che|cui|sotto|in",
    ),
    Lead(
        "claro|com certeza|certamente",
        "aqui (?:está|vai|tem)|eis|segue|a seguir|este é",
        "seu|sua|final|detalhad[oa]",
        "prompt|descrição|instrução|texto|versão|parágrafo",
        "com|sobre|que|cuj[oa]|sob|em",
    ),
    Lead(
        "natuurlijk|zeker|graag",
        "hier (?:is|zijn|komt|volgt)|dit is|hieronder",
        "de|het|je|uw|jouw|volledige",
        "prompt|(?:beeld)?beschrijving|instructie|tekst|versie|alinea",
        "met|op|dat|waarvan|onder|in",
    ),
)
# These are written without spaces, so no word has an edge. "This is" alone points at pictures too, and is no lead.
UNSPACED = (
    Lead(
        "当然(?:可以)?|好的|没问题",
        "以下|下面|(?:这是|這是)(?:您|你)的",
        "最终|完整|详细的?",
        "提示词|提示詞|描述|说明|版本",
    ),
    Lead(
        "もちろん(?:です)?|はい|承知しました|わかりました",
        "以下|次が|次は|こちらが",
        "最終|完成した",
        "プロンプト|説明文?|描写|文章",
    ),
    Lead("물론(?:입니다|이죠)?|네|알겠습니다", "다음은|여기|아래는", "최종|완성된", "프롬프트|설명|묘사"),
)


def _join(column: int) -> str:
    spaced, unspaced = ("|".join(lead[column] for lead in table if lead[column]) for table in (LEADS, UNSPACED))
    return rf"(?:\b(?:{spaced})\b" + (rf"|(?:{unspaced}))" if unspaced else ")")


_SURE, _HERE, _KIND, _TEXT, _HOLDS = (_join(column) for column in range(5))
_INSIDE = rf"(?:(?!{_HOLDS})[^\n:：.。])"
PREAMBLE = re.compile(
    rf"\A[\W_]*(?:{_SURE}[^\n:：]{{0,60}}?[.!,:。！，、：]+\s*)?"
    rf"(?:{_HERE}{_INSIDE}{{0,120}}?{_TEXT}[^\n:：.。]{{0,80}}(?:[:：]|[.。]?\s*\n)|"
    rf"(?:{_KIND}\s*){{0,3}}{_TEXT}(?:\s+{_KIND})?\s*\**\s*[:：]|{_SURE}\s*(?:[!.:。！：]+(?=\s|\Z)|[。！：]))\**[\s>]*",
    re.IGNORECASE,
)
