"""What leads up to a text goes, in each language that a writer answers in; what a picture shows stays."""

import pytest

from mlx_model.preamble import PREAMBLE
from mlx_model.writing import accept

LEADS = {
    "English": (
        "Sure! Here is the written-out prompt:\n\n",
        "**Final prompt**:\n\n> ",
        "Here's your prompt in short:\n",
    ),
    "German": (
        "Natürlich! Hier ist die ausführliche Beschreibung: ",
        "Ich habe deinen Prompt ausgeschrieben:\n",
        "Gerne, hier ist das Prompt:\n",
        "**Bildbeschreibung:** ",
    ),
    "French": ("Bien sûr ! Voici une description détaillée : ", "Voici le prompt :\n\n", "Description détaillée : "),
    "Spanish": ("¡Claro! Aquí tienes el prompt:\n\n", "Por supuesto, aquí está su descripción: ", "Descripción: "),
    "Italian": ("Certo! Ecco la descrizione dettagliata: ", "Ecco il prompt:\n", "Descrizione: "),
    "Portuguese": ("Claro! Aqui está o prompt:\n\n", "Com certeza! Segue a descrição: ", "Descrição: "),
    "Dutch": ("Natuurlijk! Hier is de prompt:\n", "Zeker, hier is een lange en mooie beschrijving: ", "Beschrijving: "),
    "Chinese": ("当然！以下是详细的描述：", "好的，这是您的提示词：\n", "提示词：", "当然。"),
    "Japanese": ("もちろんです！以下がプロンプトです：\n", "はい、こちらが描写です：\n", "プロンプト："),
    "Korean": ("물론입니다! 다음은 프롬프트입니다:\n", "네, 여기 자세한 설명이 있습니다: ", "프롬프트: "),
}
KEPT = (
    "Here is a man in the rain: he waits.",
    "Here is a sign with the text: STOP, a fox beside it",
    "This is a sign that has a text: STOP",
    "Below the text: a fox",
    "A poster: fox",
    "Description of a fox: red fur",
    "Hier ist ein Schild mit dem Text: Halt",
    "Dies ist ein Mann: er wartet",
    "Natürlich gewachsenes Holz: ein Fuchs",
    "Voici un homme dans la rue : il pleut.",
    "Voici une affiche avec le texte : OUVERT",
    "Aquí está un cartel con el texto: ALTO",
    "Claro que la luna brilla: un zorro",
    "Ecco un uomo sotto la pioggia: aspetta.",
    "Certo Toscana, a hill town: dusk",
    "Aqui está uma placa com o texto: PARE",
    "Hier is een bord met de tekst: STOP",
    "这是一个写着说明的牌子：停",
    "描述秋天的画：枫叶",
    "提示牌：停",
    "これは説明の看板：止まれ",
    "はいいろの狐：雪",
    "여기 한 남자가 있다: 기다린다",
    "네모난 집. 여우",
)


@pytest.mark.parametrize("language", LEADS)
def test_it_goes(language):
    for lead in LEADS[language]:
        assert accept("a fox", f"{lead}A red fox.") == "A red fox.", lead


@pytest.mark.parametrize("text", KEPT)
def test_a_picture_that_is_pointed_at_stays_also_with_a_colon_and_with_words_in_it(text):
    assert PREAMBLE.sub("", text, 1) == text
