"""Pages of the web and folders: where nothing opens them, the person gets the address."""

import pytest
from PySide6.QtWidgets import QApplication, QWidget

from app.gui.kit import links
from app.models import access
from mlx_model.languages import LANGUAGES
from mlx_model.specs import SPECS


@pytest.mark.parametrize("opened", [True, False])
@pytest.mark.parametrize(
    ("show", "place", "url"),
    [
        (links.open_page, "https://example.com/a b", "https://example.com/a b"),
        (links.show_folder, "/films/a day", "file:///films/a day"),
    ],
)
def test_what_nothing_opens_is_told_and_can_be_copied(monkeypatch, qtbot, opened, show, place, url):
    parent, asked, wanted = QWidget(), [], []
    qtbot.addWidget(parent)
    QApplication.clipboard().setText("before")
    monkeypatch.setattr(links.QDesktopServices, "openUrl", lambda one: wanted.append(one.toString()) or opened)
    monkeypatch.setattr(links, "ask", lambda *words: asked.append(words) or "Copy")
    show(place, parent)
    assert wanted == [url]
    assert [words[3] for words in asked] == ([] if opened else [place])
    assert QApplication.clipboard().text() == ("before" if opened else place)


def test_every_page_that_the_window_opens_is_one_of_two_servers():
    licences = {spec.licence.url for spec in (*SPECS.values(), *LANGUAGES.values())}
    for url in (access.PAGE, *licences):
        assert url.startswith(("https://huggingface.co/", "https://www.apache.org/licenses/")), url
