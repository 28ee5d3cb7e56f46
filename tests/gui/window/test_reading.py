"""Help on this disk: each page of the guide with its pictures and links, a licence for every library, the version."""

import tomllib

import pytest
from PySide6.QtCore import QUrl
from PySide6.QtGui import QTextDocument

from app.base import credits, paths
from app.gui.window import reading

PAGES = sorted(path.name for path in paths.guide().glob("*.md"))


@pytest.fixture
def pages(qtbot):
    made = reading.Pages(paths.guide())
    qtbot.addWidget(made)
    return made


def find_formats(pages, of):
    """What `of` says of every piece of the text, where it says something."""
    block, found = pages.document().begin(), []
    while block.isValid():
        pieces = [piece.fragment().charFormat() for piece in block]
        found += [said for form in pieces if (said := of(form))]
        block = block.next()
    return found


@pytest.mark.first_case
@pytest.mark.parametrize("name", PAGES)
def test_a_page_is_shown_with_its_pictures_and_its_links_lead_to_pages(pages, name):
    pages.go(QUrl(name))
    assert pages.source().fileName() == name
    for picture in find_formats(pages, lambda form: form.isImageFormat() and form.toImageFormat().name()):
        image = pages.loadResource(QTextDocument.ResourceType.ImageResource.value, pages.source().resolved(picture))
        assert image.width() / image.devicePixelRatio() < reading.WIDTH + 1
        assert image.width() > 0
    for link in find_formats(pages, lambda form: form.anchorHref()):
        pages.go(QUrl(link))
        assert pages.source().fileName() == link


@pytest.mark.parametrize("link", ["https://example.com/README.md", "../../README.md", "/etc/passwd", "nothing.md"])
def test_no_link_leads_out_of_the_guide(pages, link):
    pages.go(QUrl(link))
    assert pages.source() == QUrl.fromLocalFile(str(paths.guide() / "README.md"))
    assert pages.loadResource(2, QUrl.fromLocalFile("/etc/passwd")) is None


def test_the_guide_has_a_way_back(qtbot, window):
    guide = reading.Guide(window)
    qtbot.addWidget(guide)
    assert not guide.back.isEnabled()
    guide.pages.go(QUrl(PAGES[-1]))
    guide.back.click()
    assert guide.pages.source().fileName() == "README.md"


def test_every_library_comes_with_its_licence(qtbot, window):
    shown = reading.Acknowledgements(window)
    qtbot.addWidget(shown)
    qtbot.waitUntil(lambda: bool(shown.libraries), timeout=30_000)
    assert [one.name for one in shown.libraries if not one.text.strip()] == []
    names = {one.name for one in shown.libraries}
    assert {"Python", "mlx", "pyside6-essentials", "pillow", "huggingface-hub"} <= names
    assert not {"pytest", "torch", credits.OURS} & names
    shown.list.setCurrentRow([one.name for one in shown.libraries].index("pyside6-essentials"))
    assert "GNU LESSER GENERAL PUBLIC LICENSE" in shown.text.toPlainText()


def test_every_part_that_a_person_may_install_is_among_them():
    project = tomllib.loads((paths.ASSETS.parent / "pyproject.toml").read_text("utf-8"))["project"]
    tools = {"test", "packaging", "guide", "audit", "parity", "clients"}
    assert project["optional-dependencies"].keys() - tools == credits.PARTS


@pytest.mark.parametrize("frozen", [True, False])
def test_about_says_how_to_update(monkeypatch, frozen):
    told = []
    monkeypatch.setattr(reading, "tell", lambda *words, **_: told.append(words[-1]))
    monkeypatch.setattr(reading.sys, "frozen", True, raising=False)
    if not frozen:
        monkeypatch.delattr(reading.sys, "frozen")
    reading.show_about(None)
    assert (reading.BY_FILE if frozen else reading.BY_PIP) in told[0]
