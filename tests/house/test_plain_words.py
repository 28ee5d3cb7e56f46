"""Text from files is text wherever the window shows it, and pictures are opened bounded.

What makes a label, a dialog, a hint or painted words is one function of the kit, which sees to it; nothing else may be
called. Lists, menus and titles are no HTML, but hidden marks are to be seen there too: what they are given is looked
through, and a new place fails until it goes through the kit or is written down below.
"""

import ast

from tests.house.tree import NAMES, for_each, nodes

GUI = [name for name in NAMES if name.startswith("app/gui/")]
WIDGETS, MESSAGES = "app/gui/kit/widgets.py", "app/gui/kit/messages.py"
ONLY = {  # what may be called, or subclassed, in these files alone
    "QLabel": {WIDGETS},
    "QMessageBox": {MESSAGES},
    "QProgressDialog": {MESSAGES},
    "drawText": {WIDGETS},
    "drawItemText": {WIDGETS},
    **dict.fromkeys(
        ("QErrorMessage", "QTextBrowser", "QTextEdit", "QToolTip", "QWhatsThis", "QSplashScreen", "drawStaticText",
         "QStaticText", "QTextDocument", "setHtml", "appendHtml", "insertHtml", "RichText", "MarkdownText", "QMovie",
         "QImageReader", "loadFromData", "fromData", "QPicture", "QWebEngineView"), frozenset[str](),
    ),
}  # fmt: skip
NAMED = {  # a sentence of ours; asks what is HTML; the guide's own pages
    "app/gui/kit/text_field.py": {"QToolTip"}, "app/gui/kit/fields.py": {"QToolTip"},
    WIDGETS: {"RichText"}, "app/gui/window/reading.py": {"QTextBrowser"},
}  # fmt: skip
TIPS = ("setToolTip", "setStatusTip", "setWhatsThis")
LISTED = {  # what is given words -> which of its arguments they are, icons left out
    **dict.fromkeys(
        ("QAction", "QListWidgetItem", "QTableWidgetItem", "QTreeWidgetItem", "addAction", "addItem", "addItems",
         "addMenu", "addTab", "setLabelText", "setTitle", "setWindowTitle"), slice(0, 1),
    ),
    **dict.fromkeys(("insertItem", "setItemText", "setTabText"), slice(1, 2)),
    **dict.fromkeys(("getItem", "getMultiLineText", "getText"), slice(1, 3)),
    "showMessage": slice(0, 2),
}  # fmt: skip
PLAIN = ("as_tip", "as_line", "as_action", "as_title", "model_title", "say_count", "say_bytes", "key_text")
ICONS = ("QIcon", "_swatch", "_thumbnail", "_icon")
OURS = {  # words of our own or of the system, numbers, actions that are made already
    "app/gui/board/rail.py": {"item"},
    "app/gui/board/view.py": {"names"},
    "app/gui/canvas/bars.py": {"action", "name", "own"},
    "app/gui/canvas/tool_bars.py": {"name"},
    "app/gui/pages/cast_view.py": {"name_lesson(member)"},
    "app/gui/pages/cast_member.py": {"item", "role.capitalize()"},
    "app/gui/pages/downloads.py": {"entry['title']"},
    "app/gui/pages/found.py": {"bits", "facts['title']", "self._say_state(facts)"},
    "app/gui/pages/model_card.py": {"bits", "quality"},
    "app/gui/pages/models_view.py": {"text"},
    "app/gui/panel/fields.py": {"label", "value"},
    "app/gui/panel/render_bar.py": {"count"},
    "app/gui/panel/render_settings.py": {"name", "own.title", "own[0]", "own[1]", "sides[0]", "sides[1]"},
    "app/gui/panel/side.py": {"name"},
    "app/gui/panel/takes_tree.py": {"str(branch.number)"},
    "app/gui/prompt/completion.py": {"self._item(choice)"},
    "app/gui/prompt/menu.py": {"action", "name", "name.capitalize()", "role.capitalize()"},
    "app/gui/window/actions.py": {
        "action",
        "row.text",
        "self.made[name]",
        "self.made[row.name]",
        "special[row.name]",
        "title",
    },
    "app/gui/window/dialogs.py": {"*ASPECTS", "ago(point.when)", "item", "point.when.astimezone()", "text"},
    "app/gui/window/exchange.py": {"FORMATS[name].title", "choice[1:]", "choice[:1].upper()"},
    "app/gui/window/window_commands.py": {"sample.title", "text", "title"},
}
OUR_HINTS = {
    "app/gui/pages/cast_member.py": {"name.capitalize()"},
    "app/gui/window/exchange.py": {"words"},
}
PIXELS = {  # made of pixels, or of a picture that is open already
    "app/gui/board/paint.py": {"QPixmap(size * ratio)"},
    "app/gui/canvas/tool_bars.py": {"QIcon(made)", "QPixmap(SIDE, SIDE)"},
    "app/gui/canvas/layers.py": {"QPixmap(2 * CHECKS, 2 * CHECKS)"},
    "app/gui/canvas/mask_painter.py": {
        "QImage(self._pixels.data, width, height, 4 * width, QImage.Format.Format_ARGB32_Premultiplied)"
    },
    "app/gui/canvas/figures.py": {"QImage(size.width(), size.height(), QImage.Format.Format_RGB32)"},
    "app/gui/document/pixmaps.py": {
        "QImage(packed, width, height, 4 * width, QImage.Format.Format_RGB32)",
        "QImage(pixels.tobytes(), width, height, 4 * width, QImage.Format.Format_RGBA8888)",
    },
    "app/gui/kit/icons.py": {"QPixmap(round(side * (1 + gap)), side)"},
    "app/gui/kit/portrait.py": {"QPixmap(side, side)"},
    "app/gui/pages/cast_member.py": {"QIcon(pixmap)", "QPixmap(24, 24)"},
    "app/gui/pages/loras_view.py": {"QImage(pixels.tobytes(), width, height, 3 * width, QImage.Format.Format_RGB888)"},
    "app/gui/panel/fields.py": {"QIcon(empty if pixmap.isNull() else pixmap)", "QPixmap(self.iconSize())"},
    "app/gui/panel/laying.py": {"QImage(size.width, size.height, PREMULTIPLIED)"},
    "app/gui/prompt/completion.py": {"QIcon(made)", "QPixmap(side, side)"},
    "app/gui/prompt/menu.py": {"QIcon(made)", "QIcon(tray.document.pixmap(sha256, 64))", "QPixmap(32, 32)"},
    "app/gui/window/start.py": {"QIcon(str(ICON))"},
}


def name_of(node: ast.Call) -> str:
    return node.func.id if isinstance(node.func, ast.Name) else getattr(node.func, "attr", "")


def calls(name: str) -> list[ast.Call]:
    return [node for node in nodes(name) if isinstance(node, ast.Call)]


def find_strange(node: ast.expr) -> set[str]:
    """The parts of a text that are neither ours nor have been through the kit."""
    match node:
        case ast.Constant():
            return set()
        case ast.Name(id=word) if word.isupper():
            return set()
        case ast.JoinedStr(values=parts) | ast.BoolOp(values=parts):
            return set().union(*map(find_strange, parts))
        case ast.FormattedValue(value=part):
            return find_strange(part)
        case ast.IfExp(body=one, orelse=other) | ast.BinOp(left=one, right=other):
            return find_strange(one) | find_strange(other)
        case ast.List(elts=parts):
            return set().union(*map(find_strange, parts))
        case ast.ListComp(elt=part):
            return find_strange(part)
        case ast.Call() if name_of(node) in PLAIN:
            return set()
    return {ast.unparse(node)}


def is_icon(node: ast.expr) -> bool:
    return is_icon(node.body) if isinstance(node, ast.IfExp) else isinstance(node, ast.Call) and name_of(node) in ICONS


def list_words(call: ast.Call) -> list[ast.expr]:
    """The arguments of it that are shown."""
    words = [one for one in call.args if not is_icon(one)]
    return words[LISTED[name_of(call)]]


def list_used(node: ast.AST) -> list[str]:
    """What is called, what something is called of, what is subclassed; a type beside a name is none of it."""
    match node:
        case ast.Call(func=ast.Name(id=word)):
            return [word]
        case ast.Attribute(value=ast.Name(id=word), attr=attribute):
            return [word, attribute]
        case ast.Attribute(attr=attribute):
            return [attribute]
        case ast.ClassDef(bases=bases):
            return [ast.unparse(base).rpartition(".")[2] for base in bases]
    return []


@for_each(GUI)
def test_the_kit_makes_what_shows_words(name):
    used = {word for node in nodes(name) for word in list_used(node)} - NAMED.get(name, set())
    assert {word for word in used & ONLY.keys() if name not in ONLY[word]} == set()


@for_each(GUI)
def test_hints_go_through_the_kit(name):
    given = [one for call in calls(name) if name_of(call) in TIPS for one in call.args]
    assert set().union(*map(find_strange, given)) == OUR_HINTS.get(name, set())


@for_each(GUI)
def test_lists_menus_and_titles_go_through_the_kit(name):
    given = [one for call in calls(name) if name_of(call) in LISTED for one in list_words(call)]
    assert set().union(*map(find_strange, given)) == OURS.get(name, set())


@for_each(GUI)
def test_pictures_are_opened_bounded(name):
    """QPixmap, QImage and QIcon open any file that they are given the name of; document/pixmaps.read does it."""
    made = [call for call in calls(name) if name_of(call) in ("QPixmap", "QImage", "QIcon") and call.args]
    assert {ast.unparse(call) for call in made} == PIXELS.get(name, set())
