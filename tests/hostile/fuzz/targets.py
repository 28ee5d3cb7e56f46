# ruff: noqa: E501 (files as they are)
"""What reads files of strangers, and whole files to harm: one row a reader.

A reader gets the path of a file in a folder of its own. It returns, or raises an error of ours, and writes nothing.
"""

import io
import json
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import msgspec
import numpy as np
from PIL import Image

from app.board.data import Picture
from app.fluxboard import archive, codec
from app.fluxboard.check import problems
from app.interchange import formats
from app.pictures import images
from converters.formats.files import load_file, read_entries, read_metadata
from converters.formats.names import list_components, list_told
from converters.formats.pickle_free import read_tensors
from converters.tokenizers.files import make_t5_tokenizer
from mlx_model.request import Reference, Request, from_json
from mlx_model.run.tokenize import open_tokenizer
from mlx_model.store import folder, lora
from mlx_model.store.shards import make_header
from tests.hostile.test_board_fuzz import full_board

PICTURE = Picture("a" * 64, 64, 64)


class Target(NamedTuple):
    """`words` are pieces that mean something to the reader."""

    ending: str
    read: Callable[[Path], object]
    seeds: tuple[bytes, ...]
    words: tuple[bytes, ...] = ()


class Opened:
    recovered, repairs = "", ()

    def __init__(self, board):
        self.board = board

    def damage(self, picture):
        return ""


def read_board(path: Path) -> None:
    board, _ = codec.decode(path.read_bytes())
    problems(Opened(board))
    assert codec.decode(codec.encode(board)) == (board, [])


def read_zip(path: Path) -> None:
    with archive.import_zip(path, path.with_name("made.fluxboard")):
        pass


def read_script(path: Path) -> None:
    formats.import_board(path, lambda given: PICTURE)


def read_weights(path: Path) -> None:
    list_components(read_entries([path]))
    list_told(read_entries([path]))
    read_metadata(path)
    load_file(path)


def read_again(path: Path) -> None:
    images.read_request(path).to_json()


def read_request(path: Path) -> None:
    from_json(path.read_bytes().decode("utf-8", "replace")).to_json()


def read_lora(path: Path) -> None:
    from app.pictures.inputs import check_adapter

    check_adapter(path)
    from mlx_model.request import Lora
    from tests.model.store.test_lora import net

    lora.apply(net(), "flux2", [Lora(str(path))])


def read_manifest(path: Path) -> None:
    place = path.with_name("model")
    place.mkdir(exist_ok=True)
    (place / "model.json").write_bytes(path.read_bytes())
    folder.open_folder(place)


def zip_of(files: dict[str, bytes], kind: int = zipfile.ZIP_DEFLATED) -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", kind) as packed:
        for name, data in files.items():
            packed.writestr(name, data)
    return made.getvalue()


def picture(kind: str) -> bytes:
    made = io.BytesIO()
    path = Path(f"/x.{kind.lower()}")
    from app.pictures import metadata

    text = Request("mini", "a hat", references=(Reference("a.png"),)).to_json()
    extra = metadata.save_options(kind, metadata.packet(text, True), text)
    Image.fromarray(np.zeros((64, 64, 3), np.uint8)).save(
        made, images.format_of(path.with_suffix(f".{kind.lower()}")), **extra
    )
    return made.getvalue()


def safetensors(names: tuple[str, ...]) -> bytes:
    entries = dict.fromkeys(names, ("F32", (2, 2)))
    return make_header(entries, dict.fromkeys(names, 16)) + bytes(16 * len(names))


def gguf() -> bytes:
    def text(word: bytes) -> bytes:
        return struct.pack("<Q", len(word)) + word

    head = b"GGUF" + struct.pack("<IQQ", 3, 1, 2)
    head += text(b"general.architecture") + struct.pack("<I", 8) + text(b"flux")
    head += text(b"list") + struct.pack("<IIQ3I", 9, 4, 3, 1, 2, 3)
    head += text(b"img_in.weight") + struct.pack("<IQQIQ", 2, 2, 2, 0, 0)
    return head + bytes(-len(head) % 32) + bytes(16)


def torch_file() -> bytes:
    """What torch.save writes of {"a": ones(4)}, by hand."""
    tree = (
        b"\x80\x02}q\x00X\x01\x00\x00\x00aq\x01ctorch._utils\n_rebuild_tensor_v2\nq\x02((X\x07\x00\x00\x00storageq\x03"
        b"ctorch\nFloatStorage\nq\x04X\x01\x00\x00\x000q\x05X\x03\x00\x00\x00cpuq\x06K\x04tq\x07QK\x00K\x04\x85q\x08K\x01"
        b"\x85q\x09\x89ccollections\nOrderedDict\nq\n)Rq\x0btq\x0cRq\rs."
    )
    return zip_of({"x/data.pkl": tree, "x/data/0": bytes(16), "x/version": b"3\n"}, zipfile.ZIP_STORED)


OTIO = {"OTIO_SCHEMA": "Timeline.1", "name": "t", "tracks": {"OTIO_SCHEMA": "Stack.1", "children": [
    {"OTIO_SCHEMA": "Track.1", "kind": "Video", "children": [
        {"OTIO_SCHEMA": "Clip.2", "name": "c", "metadata": {"flux_local": {"id": "x", "camera": {"shot": "CU"}}},
         "source_range": {"OTIO_SCHEMA": "TimeRange.1",
                          "start_time": {"OTIO_SCHEMA": "RationalTime.1", "rate": 24, "value": 0},
                          "duration": {"OTIO_SCHEMA": "RationalTime.1", "rate": 24, "value": 24}},
         "markers": [], "effects": []},
        {"OTIO_SCHEMA": "Gap.1", "source_range": None}]}]}}  # fmt: skip
FDX = b"""<?xml version="1.0"?><FinalDraft><Content><Paragraph Type="Scene Heading" Number="1"><Text>INT. A</Text>
<SceneProperties Title="x"/></Paragraph><Paragraph Type="Character"><Text Style="AllCaps">ann (V.O.)</Text></Paragraph>
<Paragraph><DualDialogue><Paragraph Type="Dialogue"><Text>Hi</Text></Paragraph></DualDialogue></Paragraph></Content>
<ScriptNotes><ScriptNote Range="1,2"><Paragraph><Text>n</Text></Paragraph></ScriptNote></ScriptNotes></FinalDraft>"""
FCPXML = b"""<?xml version="1.0"?><!DOCTYPE fcpxml><fcpxml version="1.9"><resources><format id="f" frameDuration="1/24s"/>
<asset id="r1" src="a.png" duration="2s"/></resources><project name="p"><sequence format="f"><spine>
<asset-clip ref="r1" name="c" duration="48/24s"><note>n</note><marker value="m"/></asset-clip><gap duration="1s"/>
</spine></sequence></project></fcpxml>"""
XMEML = b"""<xmeml version="4"><sequence id="s"><name>s</name><rate><timebase>24</timebase><ntsc>FALSE</ntsc></rate><media>
<video><track><clipitem id="c"><name>c</name><start>0</start><end>10</end><in>0</in><out>10</out><file id="f"><name>f</name>
<pathurl>f.png</pathurl><rate><timebase>24</timebase></rate><duration>10</duration></file></clipitem></track></video></media>
</sequence></xmeml>"""
FOUNTAIN = b"Title: x\nAuthor: y\n\n[[n\n\nn]]\n# A\n= s\nINT. HOUSE - DAY #1A#\n\nHe *sits*. _b_ /* c */\n\nANN (V.O.)\n(x)\nHi\n\nCUT TO:\n"
EDL = (
    b"TITLE: x\nFCM: NON-DROP FRAME\n001 AX V C 00:00:00:00 00:00:01:00 00:00:00:00 00:00:01:00\n* FROM CLIP NAME: c\n"
)
BOARDS = {"boards": [{"url": "a.png", "duration": "2000", "dialogue": "x", "layers": {"ink": {"url": "b.png", "opacity": 1}}}],
          "aspectRatio": 1.777, "fps": 24, "defaultBoardTiming": 2000}  # fmt: skip
TOKENIZER = {"version": "1.0", "added_tokens": [{"id": 2, "content": "<x>", "special": True}],
             "normalizer": {"type": "Sequence", "normalizers": [{"type": "NFC"}, {"type": "Replace", "pattern": {"Regex": "\\s+"},
                                                                                  "content": " "}]},
             "pre_tokenizer": {"type": "Split", "pattern": {"Regex": "\\p{L}+"}, "behavior": "Isolated", "invert": False},
             "model": {"type": "BPE", "vocab": {"a": 0, "b": 1}, "merges": []}}  # fmt: skip
MANIFEST = {"schema": 1, "model": "flux2-klein-4b", "source": {}, "licence": "", "plan": "q8", "dtype": "bfloat16",
            "components": {"transformer": {"family": "flux2", "params": {"depth": 1, "axes_dim": [16, 16]}, "files": {},
                                           "parameters": 1}}, "tokenizer": {}}  # fmt: skip
NUMBERS = (b"9" * 30, b"1e999", b"-1", b"NaN", b"null", b"[]", b"{}", b'""', b"true", b"[" * 60, b'"\\ud800"')
BYTES = (b"\xff" * 8, b"\x00" * 8, b"\x80", b"\x7f\xff\xff\xff", b"\xff\xfe", b"\x1b[31m", "\u202e".encode())
SAFE = safetensors(("img_in.weight", "double_blocks.0.img_attn.qkv.weight", "final_layer.linear.weight"))
LORA = safetensors(
    ("double_blocks.0.img_attn.qkv.lora_A.weight", "double_blocks.0.img_attn.qkv.lora_B.weight", "x.alpha")
)
TARGETS = {
    "board": Target(".json", read_board, (msgspec.json.encode(full_board()),), (*NUMBERS, b'"@x "', b'"panel"')),
    "zip": Target(".zip", read_zip, (zip_of({"b.fluxboard/board.json": codec.encode(full_board())}),), BYTES),
    "safetensors": Target(".safetensors", read_weights, (SAFE,), BYTES + NUMBERS),
    "gguf": Target(".gguf", read_weights, (gguf(),), BYTES),
    "pickle": Target(".pt", read_tensors, (torch_file(),), (*BYTES, b"Q", b"R", b"t", b"(", b"\x85", b"b", b"q\x00")),
    "again": Target(".png", read_again, (picture("PNG"), picture("JPEG"), picture("WEBP")), BYTES + NUMBERS),
    "request": Target(".json", read_request, (Request("m", "x", references=(Reference("a"),)).to_json().encode(),), NUMBERS),
    "fountain": Target(".fountain", read_script, (FOUNTAIN,), (b"[[", b"]]", b"/*", b"*/", b"\n\n", b"INT. ", b"> ", b"***")),
    "fdx": Target(".fdx", read_script, (FDX,), (b"<Text>", b"</Text>", b"<Paragraph>", b'Type="Character"', b"&#0;")),
    "otio": Target(".otio", read_script, (json.dumps(OTIO).encode(),), (*NUMBERS, b'"Stack.1"', b'"Clip.9"', b'"OTIO_REF_ID"')),
    "storyboarder": Target(".storyboarder", read_script, (json.dumps(BOARDS).encode(),), (*NUMBERS, b'"../../x"')),
    "edl": Target(".edl", read_script, (EDL,), (b"D 012", b"99:99:99:99", b"BL", b"A", b"* ")),
    "fcpxml": Target(".fcpxml", read_script, (FCPXML,), (b"<gap/>", b"<spine>", b'"0/0s"', b"s", b"/", b"9" * 15)),
    "fcp7": Target(".xml", read_script, (XMEML,), (b"<track>", b"<start>-1</start>", b"<rate/>", b"9" * 30)),
    "lora": Target(".safetensors", read_lora, (LORA,), (*NUMBERS, b"lora_A", b"lora_B", b".alpha", b"lokr_w1", b"[2,2]")),
    "tokenizer": Target(".json", open_tokenizer, (json.dumps(TOKENIZER).encode(),), (*NUMBERS, b'"(a+)+"', b'"Precompiled"')),
    "spiece": Target(".model", make_t5_tokenizer, (b"\x0a\x05\x0a\x01?\x18\x02\x0a\x08\x0a\x01a\x15\x00\x00\x00\x00\x1a\x02\x12\x00",), BYTES),
    "manifest": Target(".json", read_manifest, (json.dumps(MANIFEST).encode(),), (*NUMBERS, b'"../x"', b'"flux1-dev"')),
}  # fmt: skip
