"""What the texts of the repository point to is there, and what opens pages and folders is one file of the kit."""

import re

from tests.house.tree import NAMES, ROOT, for_each

PAGES = [path.relative_to(ROOT).as_posix() for path in (*ROOT.glob("*.md"), *sorted((ROOT / "docs").rglob("*.md")))]
LINK = re.compile(r"\]\(([^)#\s]+)")
PATH = re.compile(r"`((?:app|assets|bundle|converters|docs|mlx_model|tests|\.ci)/[\w./-]*[\w/])`")
MODULE = re.compile(r"python3? -m ((?:tests|bundle)[\w.]*\w)")
GONE = {"docs/decisions/0021-the-guide.md": {"assets/guide"}}  # a folder of the bundle


@for_each(PAGES)
def test_everything_that_a_page_points_to_is_there(page):
    text = (ROOT / page).read_text("utf-8")
    links = [(ROOT / page).parent / link for link in LINK.findall(text) if not link.startswith("https://")]
    paths = [ROOT / path for path in PATH.findall(text) if path not in GONE.get(page, ())]
    modules = [ROOT / name.replace(".", "/") for name in MODULE.findall(text)]
    dead = [str(path) for path in (*links, *paths) if not path.exists()]
    assert dead + [str(path) for path in modules if not (path.is_dir() or path.with_suffix(".py").exists())] == []


@for_each(NAMES)
def test_links_are_opened_by_the_kit(name):
    """It tells where nothing could be opened."""
    assert name == "app/gui/kit/links.py" or "QDesktopServices" not in (ROOT / name).read_text("utf-8")
