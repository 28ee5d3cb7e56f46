"""Four times as much takes about four times as long, in every reader and check, on what is made to be slow.

Processor time, the least of some runs: a power would show as 16. Half-way, as a busy machine's caches and memory make
one run up to twice as slow as another (four, not twice as much: 2 and 4 lay too near to each other for that).
"""

import gc
import io
import json
import struct
import time
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
from msgspec.structs import replace
from PIL import Image

from app.board import cast, commands, mentions
from app.board.data import Board, Member, Panel, PanelReference, Picture, Scene, Source, Take, new_id, numbers
from app.board.drafts import put_written
from app.board.naming import render_order
from app.board.seen import see
from app.fluxboard import codec, earlier
from app.fluxboard.check import problems
from app.interchange import formats
from app.interchange.edited import apply_edit
from app.pictures import metadata
from app.pictures.sharing import Said, _chunk, _walk_jpeg, _walk_webp, clean
from mlx_model.errors import FluxLocalError

MOST, SLOW = 8.0, 3.0  # times; seconds, from which on nothing is tried again
PICTURE = Picture("a" * 64, 64, 64)
Work = Callable[[], object]


def measure(work: Work) -> float:
    gc.disable()
    start = time.process_time()
    try:
        work()
    except FluxLocalError:  # as well a refusal takes no longer
        pass
    finally:
        taken = time.process_time() - start
        gc.enable()
    return taken


def compare(make: Callable[[int], Work], size: int) -> float:
    """How many times longer the work of four times half the size takes; the least of several, on a busy machine."""
    small, large = make(size // 2), make(2 * size)
    gc.collect()
    first, second = min(measure(small) for _ in range(3)), measure(large)  # one slow start would hide a power
    for _ in range(5):
        if second < MOST * first or second > SLOW:
            break
        first, second = min(first, measure(small)), min(second, measure(large))
    return second / max(first, 5e-4)


def test_a_square_shows():
    assert compare(lambda size: lambda: any(False for _ in range(size) for _ in range(size)), 800) > MOST


def chain(count: int, **fields) -> Board:
    """Each panel starts from the next one, and none has a take."""
    ids = [new_id() for _ in range(count)]
    links = [*(Source("panel", panel_id) for panel_id in ids[1:]), Source()]
    panels = tuple(Panel(own, "x", source=link) for own, link in zip(ids, links, strict=True))
    return Board(new_id(), scenes=(Scene(new_id(), "", panels),), **fields)


def people(count: int) -> tuple[Member, ...]:
    return tuple(Member(new_id(), f"person{number}") for number in range(count))


class Opened:
    """What a check asks of an open board."""

    recovered, repairs = "", ()

    def __init__(self, board: Board):
        self.board = board

    def damage(self, picture: Picture) -> str:
        return ""


def check_chain(size: int) -> Work:
    return lambda: problems(Opened(chain(size)))


def check_ring(size: int) -> Work:
    board = chain(size)
    first, last = board.scenes[0].panels[0], board.scenes[0].panels[-1]
    panels = (*board.scenes[0].panels[:-1], replace(last, source=Source("panel", first.id)))
    return lambda: problems(Opened(replace(board, scenes=(Scene(new_id(), "", panels),))))


def check_cast(size: int) -> Work:
    """As many members as panels that mention each one of them."""
    panels = tuple(Panel(new_id(), f"@person{number} waits") for number in range(size))
    board = Board(new_id(), cast=people(size), scenes=(Scene(new_id(), "", panels),))
    return lambda: problems(Opened(board))


def check_style(size: int) -> Work:
    """A style that is as long as there are panels."""
    panels = tuple(Panel(new_id(), "x", references=(reference(f"r{number}"),)) for number in range(size))
    board = Board(new_id(), style="@nobody " * size, cast=people(10), scenes=(Scene(new_id(), "", panels),))
    return lambda: problems(Opened(board))


def reference(name: str, member: str | None = None) -> PanelReference:
    return PanelReference(new_id(), PICTURE, name=name, member=member)


def see_all(size: int) -> Work:
    board = chain(size, cast=people(size))
    return lambda: [see(board, panel) for panel in board.panels()]


def decode_chain(size: int) -> Work:
    data = codec.encode(chain(size))
    return lambda: codec.decode(data)


def decode_alike(size: int) -> Work:
    """Everybody in the cast has one name."""
    board = Board(new_id(), cast=tuple(Member(new_id(), "anna") for _ in range(size)))
    data = msgspec.json.encode(board)
    return lambda: codec.decode(data)


def decode_references(size: int) -> Work:
    """Panels with references of one name, beside a cast as large."""
    panels = tuple(Panel(new_id(), references=tuple(reference("hat") for _ in range(10))) for _ in range(size))
    data = msgspec.json.encode(Board(new_id(), cast=people(size), scenes=(Scene(new_id(), "", panels),)))
    return lambda: codec.decode(data)


def decode_ids(size: int) -> Work:
    panels = tuple(Panel("same") for _ in range(size))
    data = msgspec.json.encode(Board(new_id(), scenes=(Scene(new_id(), "", panels),)))
    return lambda: codec.decode(data)


def decode_takes(size: int) -> Work:
    takes = tuple(Take(new_id(), PICTURE, "", "", "", 0) for _ in range(size))
    data = msgspec.json.encode(Board(new_id(), scenes=(Scene(new_id(), "", (Panel(new_id(), takes=takes),)),)))
    return lambda: codec.decode(data)


def find_mentions(size: int) -> Work:
    text, names = "@person7 " * size, [member.name for member in people(size)]
    return lambda: list(mentions.find(text, names))


def find_unknown(size: int) -> Work:
    text, names = "@nobody " * size, [member.name for member in people(size)]
    return lambda: list(mentions.find(text, names))


def find_digits(size: int) -> Work:
    text = "@" + "1" * size + "a"
    return lambda: list(mentions.find(text, ["x"]))


def find_hyphens(size: int) -> Work:
    text = "@a" + "-a" * size
    return lambda: list(mentions.find(text, ["x"] * 10))


def find_images(size: int) -> Work:
    text = "image " + " " * size + "image  " * size
    return lambda: list(mentions.find(text, ["x"] * 10))


def rename_all(size: int) -> Work:
    panels = tuple(Panel(new_id(), f"@person{number} waits") for number in range(size))
    board = Board(new_id(), cast=people(size), scenes=(Scene(new_id(), "", panels),))
    return lambda: cast.set_member(board, board.cast[0].id, name="somebody")


def order_chain(size: int) -> Work:
    board = chain(size)
    return lambda: render_order(board, [panel.id for panel in board.panels()])


def number_scenes(size: int) -> Work:
    """The first half has the numbers that the second half would get."""
    headings = [f"#{size + number}#" for number in range(size)] + [""] * size
    scenes = tuple(Scene(new_id(), heading, (Panel(new_id()),)) for heading in headings)
    board = Board(new_id(), scenes=scenes)
    return lambda: numbers(board)


def thin_points(size: int) -> Work:
    from datetime import UTC, datetime, timedelta

    first = datetime(2026, 1, 1, tzinfo=UTC)
    points = [earlier.RestorePoint(Path(f"/nowhere/{n}"), first - timedelta(minutes=n)) for n in range(size)]
    return lambda: earlier._thin(list(points), first)


def remove_half(size: int) -> Work:
    """Of a chain: each that stays starts from nothing then."""
    board = chain(size)
    return lambda: commands.remove_panels(board, [panel.id for panel in board.panels()][::2])


def apply_to_all(size: int) -> Work:
    take = Take(new_id(), PICTURE, "", "", "", 0)
    panels = tuple(Panel(new_id(), "x", takes=(take,), current=take.id) for _ in range(size))
    board = Board(new_id(), scenes=(Scene(new_id(), "", panels),))
    return lambda: commands.apply_to_all(board, [panel.id for panel in panels], "make it night")


def write_scene(size: int) -> Work:
    panels = tuple(Panel(new_id(), "x") for _ in range(size))
    board, ids = Board(new_id(), scenes=(Scene(new_id(), "", panels),)), [panel.id for panel in panels]
    return lambda: put_written(board, dict.fromkeys(ids, "x"), dict.fromkeys(ids, "a fox in the snow"))


BOARDS = {
    "half of a chain is removed": (remove_half, 2_000),
    "one instruction for all": (apply_to_all, 2_000),
    "a scene is written out": (write_scene, 2_000),
    "a chain of panels": (check_chain, 1_000),
    "a ring of panels": (check_ring, 1_000),
    "as many members as panels": (check_cast, 500),
    "a style as long as the board": (check_style, 300),
    "what is seen": (see_all, 500),
    "decode a chain": (decode_chain, 2_000),
    "decode one name for all": (decode_alike, 500),
    "decode references": (decode_references, 200),
    "decode one id for all": (decode_ids, 5_000),
    "decode takes": (decode_takes, 2_000),
    "mentions": (find_mentions, 1_000),
    "mentions of nobody": (find_unknown, 1_000),
    "a mention of digits": (find_digits, 4_000),
    "a mention of hyphens": (find_hyphens, 50_000),
    "images": (find_images, 20_000),
    "a new name for a member": (rename_all, 300),
    "the order of a chain": (order_chain, 5_000),
    "numbers of scenes": (number_scenes, 1_000),
    "restore points": (thin_points, 1_000),
}


@pytest.mark.first_case
@pytest.mark.parametrize("name", BOARDS)
def test_boards(name):
    assert compare(*BOARDS[name]) < MOST


# Files: what each format's reader is given; `size` counts what is repeated.


def fdx(body: str) -> str:
    return f'<?xml version="1.0"?><FinalDraft><Content>{body}</Content></FinalDraft>'


def xmeml(size: int) -> str:
    clips = "".join(
        f'<clipitem id="c{n}"><name>c{n}</name><start>{n * 10}</start><end>{n * 10 + 10}</end><in>0</in><out>10</out>'
        f'<file id="f{n}"><name>f{n}</name><pathurl>f{n}.png</pathurl><rate><timebase>24</timebase></rate>'
        f"<duration>10</duration></file></clipitem>"
        for n in range(size)
    )
    rate = "<rate><timebase>24</timebase><ntsc>FALSE</ntsc></rate>"
    media = f"<media><video><track>{clips}</track></video></media>"
    return f'<xmeml version="4"><sequence id="s"><name>s</name>{rate}{media}</sequence></xmeml>'


def fcpxml(size: int) -> str:
    assets = "".join(f'<asset id="r{n}" src="a{n}.png" duration="2s"/>' for n in range(size))
    clips = "".join(f'<asset-clip ref="r{n}" name="c{n}"/>' for n in range(size))
    spine = f"<project><sequence><spine>{clips}</spine></sequence></project>"
    return f'<fcpxml version="1.9"><resources>{assets}</resources>{spine}</fcpxml>'


def otio(size: int) -> str:
    time = {"OTIO_SCHEMA": "RationalTime.1", "rate": 24, "value": 24}
    span = {"OTIO_SCHEMA": "TimeRange.1", "start_time": time | {"value": 0}, "duration": time}
    clips = [{"OTIO_SCHEMA": "Clip.2", "name": f"c{n}", "source_range": span} for n in range(size)]
    track = {"OTIO_SCHEMA": "Track.1", "kind": "Video", "children": clips}
    stack = {"OTIO_SCHEMA": "Stack.1", "children": [track]}
    return json.dumps({"OTIO_SCHEMA": "Timeline.1", "name": "t", "tracks": stack})


def otio_nested(size: int) -> str:
    """Clips without a length of their own in tracks in stacks."""
    inner = {
        "OTIO_SCHEMA": "Track.1",
        "kind": "Video",
        "children": json.loads(otio(size))["tracks"]["children"][0]["children"],
    }
    for _ in range(20):
        inner = {
            "OTIO_SCHEMA": "Track.1",
            "kind": "Video",
            "children": [{"OTIO_SCHEMA": "Stack.1", "children": [inner]}],
        }
    return json.dumps(
        {"OTIO_SCHEMA": "Timeline.1", "name": "t", "tracks": {"OTIO_SCHEMA": "Stack.1", "children": [inner]}}
    )


def edl(size: int) -> str:
    def at(seconds: int) -> str:
        return f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}:00"

    return "TITLE: x\n" + "".join(
        f"{n % 1000:03} AX V C {at(0)} {at(1)} {at(n)} {at(n + 1)}\n* FROM CLIP NAME: c{n}\n* COMMENT: {n}\n"
        for n in range(size)
    )


SCRIPTS = {
    "fountain": ("a.fountain", lambda size: "INT. HOUSE - DAY\n\nHe sits.\n\nANNA\nHello.\n\n" * size, 400),
    "fountain notes": ("a.fountain", lambda size: "[[note\n\nmore]] text\n" * size, 1_000),
    "fountain open notes": ("a.fountain", lambda size: "[[ /* " * size + "\n" + "]] " * size, 20_000),
    "fountain comments": ("a.fountain", lambda size: "/* x */ y\n" * size, 1_000),
    "fountain marks": ("a.fountain", lambda size: "*a " * size + "\n\n" + "_b (_c" * size + "\n\n***_" * size, 1_000),
    "fountain one speech": ("a.fountain", lambda size: "ANNA\n" + "(x)\nHello.\n" * size, 1_000),
    "fountain title page": ("a.fountain", lambda size: "Title: x\n" + "   more\nKey: \n" * size, 3_000),
    "fountain sections": ("a.fountain", lambda size: "# A\n\n= s\n\n> TO:\n\n" * size + "He.", 1_000),
    "fountain speakers": ("a.fountain", lambda size: "".join(f"P{n}\nHello.\n\n" for n in range(size)), 500),
    "fdx": ("a.fdx", lambda size: fdx('<Paragraph Type="Action"><Text>He sits.</Text></Paragraph>' * size), 1_000),
    "fdx notes": (
        "a.fdx",
        lambda size: fdx("<Paragraph><Text>x</Text></Paragraph>").replace(
            "</FinalDraft>",
            "<ScriptNotes>"
            + '<ScriptNote Range="1,2"><Paragraph><Text>n</Text></Paragraph></ScriptNote>' * size
            + "</ScriptNotes></FinalDraft>",
        ),
        4_000,
    ),
    "fdx brackets": (
        "a.fdx",
        lambda size: fdx(f'<Paragraph Type="Character"><Text>{"(" * size}</Text></Paragraph>' * 5),
        4_000,
    ),
    "fdx omitted": (
        "a.fdx",
        lambda size: fdx(
            "<Paragraph><OmittedScene><Paragraph><Text>x</Text></Paragraph></OmittedScene></Paragraph>" * size
        ),
        1_000,
    ),
    "fdx names": ("a.fdx", lambda size: fdx(f'<a xmlns:x="{"u" * 40 * size}">' + "<x:b/>" * 40 * size + "</a>"), 500),
    "storyboarder": ("a.storyboarder", lambda size: json.dumps({"boards": [{"dialogue": "x"}] * size}), 1_000),
    "final cut 7": ("a.xml", xmeml, 100),
    "final cut pro": ("a.fcpxml", fcpxml, 250),
    "final cut pro, connected": (
        "a.fcpxml",
        lambda size: (
            '<fcpxml><project><sequence><spine><clip name="c" duration="1s">'
            + '<video lane="1" ref="r1"/>' * size
            + "</clip></spine></sequence></project></fcpxml>"
        ),
        5_000,
    ),
    "otio": ("a.otio", otio, 300),
    "otio, nested": ("a.otio", otio_nested, 300),
    "edl": ("a.edl", edl, 150),
    "edl, words": ("a.edl", lambda size: edl(1) + "* COMMENT: x\n" * size, 5_000),
    "csv": ("a.csv", lambda size: "panel,action\n" + "1,x\n" * size, 2_000),
}


@pytest.mark.first_case
@pytest.mark.parametrize("name", SCRIPTS)
def test_files(name, tmp_path):
    file, text, size = SCRIPTS[name]

    def make(count: int) -> Work:
        path = tmp_path / str(count) / file
        path.parent.mkdir(exist_ok=True)
        path.write_text(text(count), "utf-8")
        return lambda: formats.import_board(path, lambda given: PICTURE)

    assert compare(make, size) < MOST


# Pictures: what they say about themselves.


def make_picture(kind: str) -> bytes:
    made = io.BytesIO()
    Image.new("RGB", (8, 8), "red").save(made, kind)
    return made.getvalue()


def clean_png(size: int) -> Work:
    """As many chunks that are kept, and as many that are not."""
    start, chunks = make_picture("PNG"), _chunk(b"pHYs", bytes(9)) + _chunk(b"tEXt", b"a\0b")
    data = start[:33] + chunks * size + start[33:]
    return lambda: clean(data)


def clean_jpeg(size: int) -> Work:
    """Segments of a colour profile, which are kept, and comments, which are not."""
    start, profile = make_picture("JPEG"), b"ICC_PROFILE\0\1\1xx"
    parts = b"\xff\xe2" + struct.pack(">H", 2 + len(profile)) + profile + b"\xff\xfe\0\4ab"
    data = start[:20] + parts * size + start[20:]
    return lambda: _walk_jpeg(data, Said(1, b"", None))


def clean_jpeg_scan(size: int) -> Work:
    """A scan full of restarts and stuffed bytes."""
    start = make_picture("JPEG")
    data = start[:-2] + b"\xff\xd0\xff\0" * size + start[-2:]
    return lambda: _walk_jpeg(data, Said(1, b"", None))


def clean_webp(size: int) -> Work:
    start = make_picture("WEBP")
    data = start + (b"ICCP" + struct.pack("<I", 2) + b"xx") * size
    return lambda: _walk_webp(data, Said(1, b"", None))


def find_in_xmp(size: int) -> Work:
    """Requests that begin and never end, and one of marks alone."""
    image = Image.new("RGB", (8, 8))
    image.info["xmp"] = metadata.OPENED * size + b"&lt;" * size
    return lambda: metadata.find_request(image)


def hide_all(size: int) -> Work:
    text = json.dumps({"references": [{"path": f"/home/anna/{n}/blobs/{'a' * 64}.png"} for n in range(size)]})
    return lambda: metadata.hide_paths(text)


def hide_long(size: int) -> Work:
    text = json.dumps({"path": "/blobs/" + "a" * 63 + "/blobs/" * size})
    return lambda: metadata.hide_paths(text)


PICTURES = {
    "PNG, many chunks": (clean_png, 4_000),
    "JPEG, many segments": (clean_jpeg, 20_000),
    "JPEG, a scan of marks": (clean_jpeg_scan, 100_000),
    "WebP, many chunks": (clean_webp, 20_000),
    "a request in XMP": (find_in_xmp, 100_000),
    "paths of a request": (hide_all, 2_000),
    "a long path": (hide_long, 50_000),
}


@pytest.mark.first_case
@pytest.mark.parametrize("name", PICTURES)
def test_pictures(name):
    assert compare(*PICTURES[name]) < MOST


def test_an_edit_onto_a_board():
    def make(size: int) -> Work:
        board = chain(size)
        moved = replace(board, scenes=tuple(Scene(new_id(), "", (panel,)) for panel in board.panels()))
        edit = formats.Imported(moved, [], {panel.id: (panel.id, "") for panel in board.panels()}, {})
        return lambda: apply_edit(moved, edit)

    assert compare(make, 500) < MOST
