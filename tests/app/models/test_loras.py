"""The library of LoRAs: by name, with the pictures and words that lie beside them or in their headers."""

import base64
import json

import pytest

from app.board import commands, panel_job
from app.board.data import Adapter, new_board
from app.models import loras
from app.pictures import inputs
from mlx_model.errors import FluxLocalError, Refused, RequestError
from tests.model.store.made_loras import low_rank, peft, save

MINI = peft("diffusion_model.double_blocks.1.img_attn.qkv", *low_rank(0, 768, 256))


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("FLUX_LOCAL_HOME", str(tmp_path / "home"))


def made(tmp_path, name="comic.safetensors", metadata=None, tensors=MINI):
    (tmp_path / "from").mkdir(exist_ok=True)
    save(tmp_path / "from" / name, tensors, metadata)
    return tmp_path / "from" / name


def test_add_brings_what_lies_beside_and_leaves_the_original(tmp_path):
    file = made(tmp_path)
    (file.parent / "comic.preview.png").write_bytes(b"a picture")
    (file.parent / "comic.civitai.info").write_text(json.dumps({"trainedWords": ["comic ink", "halftone"]}))
    before = file.read_bytes()
    added = loras.add(file)
    (entry,) = loras.list_loras()
    assert (entry.name, entry.names, entry.triggers) == ("comic", ("mini",), ("comic ink", "halftone"))
    assert loras.read_picture(added) == b"a picture"
    assert file.read_bytes() == before == added.read_bytes()
    assert loras.add(file) == added  # the same once more is no second copy
    other = loras.add(made(tmp_path, tensors=peft("double_blocks.0.img_attn.qkv", *low_rank(3, 768, 256))))
    assert other.stem != "comic"
    assert len(loras.list_loras()) == 2


@pytest.mark.parametrize("other", ["comic.sft", "comic.preview.safetensors"])
def test_a_name_that_shares_its_pictures_with_another_file_keeps_theirs(tmp_path, other):
    file = made(tmp_path)
    (file.parent / "comic.preview.png").write_bytes(b"a picture")
    added = loras.add(file)
    different = peft("double_blocks.0.img_attn.qkv", *low_rank(3, 768, 256))
    (file.parent / "comic.preview.png").unlink()
    second = made(tmp_path, other, tensors=different)
    second.with_name(second.stem + ".png").write_bytes(b"another")
    second.with_name(second.stem + ".preview.png").write_bytes(b"another")
    loras.add(second)
    assert loras.read_picture(added) == b"a picture"


def test_found_by_name_and_scale(tmp_path):
    added = loras.add(made(tmp_path, "warm: style.safetensors"))
    for text, scale in (("warm: style", 1), ("Warm: Style:0.5", 0.5), ("warm: style.safetensors:-2", -2)):
        found = inputs.load_lora(text, loras.find)
        assert (found.path, found.scale) == (str(added), scale)
        assert found.sha256 == loras.digest_of(added)
    with pytest.raises(RequestError, match="no LoRA at"):
        inputs.load_lora("cold", loras.find)


@pytest.mark.parametrize(("metadata", "words"), [
    ({"modelspec.trigger_phrase": "ohwx man"}, ("ohwx man",)),
    ({"ss_tag_frequency": json.dumps({"10_cat": {"cat": 3, "sofa": 9}})}, ("sofa", "cat")),
    ({"ss_tag_frequency": "{"}, ()), ({"ss_tag_frequency": json.dumps([1])}, ()), ({}, ()),
    ({"ss_tag_frequency": '{"a": {"x": 1e999}}'}, ()), ({"ss_tag_frequency": '{"a": {"x": %s}}' % ("9" * 400)}, ()),
])  # fmt: skip
def test_trigger_words_of_the_header(tmp_path, metadata, words):
    loras.add(made(tmp_path, metadata=metadata))
    assert loras.list_loras()[0].triggers == words


def test_words_of_strangers_are_plain_and_bounded(tmp_path):
    file = made(tmp_path)
    said = {"description": "<p>Ink <b>lines</b></p>" + "x" * 9000, "trainedWords": ["a" * 500, 5, None, "ok"] * 20}
    (file.parent / "comic.json").write_text(json.dumps(said))
    loras.add(file)
    (entry,) = loras.list_loras()
    assert entry.description.startswith("Ink lines")
    assert len(entry.description) <= loras.LONGEST_TEXT
    assert max(map(len, entry.triggers)) <= loras.LONGEST_WORD


@pytest.mark.parametrize("said", ["data:image/png;base64,*", "http://x/y.png", "data:text/html;base64,AAAA", ""])
def test_a_picture_in_the_header_is_only_taken_as_one(tmp_path, said):
    assert loras.read_picture(loras.add(made(tmp_path, metadata={"modelspec.thumbnail": said}))) is None
    data = "data:image/jpeg;base64," + base64.b64encode(b"jpeg").decode()
    good = made(tmp_path, "b.safetensors", {"modelspec.thumbnail": data})
    assert loras.read_picture(loras.add(good)) == b"jpeg"


def test_what_is_no_lora_is_refused_or_told(tmp_path):
    with pytest.raises(RequestError, match="does not look like a LoRA"):
        loras.add(made(tmp_path, tensors={"model.weight": MINI[next(iter(MINI))]}))
    (tmp_path / "from" / "bad.safetensors").write_bytes(b"PK\x03\x04")
    with pytest.raises(FluxLocalError, match="not a sound"):
        loras.add(tmp_path / "from" / "bad.safetensors")
    with pytest.raises(RequestError):
        loras.add(tmp_path / "nothing.safetensors")
    (tmp_path / "home" / "loras").mkdir(parents=True)
    (tmp_path / "home" / "loras" / "bad.safetensors").write_bytes(b"PK\x03\x04")
    assert "not a sound" in loras.list_loras()[0].problem


def test_a_library_that_takes_no_file_is_named_not_the_lora(tmp_path):
    (tmp_path / "home").write_text("a file where a folder should be")
    with pytest.raises(RequestError, match=r"home.* can't be written"):
        loras.add(made(tmp_path))


def test_a_changed_file_has_another_digest(tmp_path):
    added = loras.add(made(tmp_path))
    first = loras.digest_of(added)
    save(added, peft("double_blocks.0.img_attn.qkv", *low_rank(9, 768, 256)))
    assert loras.digest_of(added) != first


def test_a_board_names_them_for_all_panels_or_one(tmp_path):
    """The request of a panel has the file, its strength and its sha256."""
    added = loras.add(made(tmp_path))
    board = new_board()
    (panel,) = board.panels()
    board = commands.set_panel(board, panel.id, prompt="a fox")
    board = commands.set_board(board, loras=(Adapter("comic", 0.5),))
    (found,) = panel_job.panel_job(board, panel.id, lambda _: tmp_path).request.loras
    assert (found.path, found.scale, found.sha256) == (str(added), 0.5, loras.digest_of(added))
    settings = commands.replace(board.panel(panel.id).settings, loras=())
    plain = commands.set_panel(board, panel.id, settings=settings)
    assert panel_job.panel_job(plain, panel.id, lambda _: tmp_path).request.loras == ()
    gone = commands.set_board(board, loras=(Adapter("gone"),))
    with pytest.raises(RequestError, match="gone is not in the library"):
        panel_job.panel_job(gone, panel.id, lambda _: tmp_path)
    with pytest.raises(Refused, match="no strength"):
        commands.set_board(board, loras=(Adapter("comic", 99.0),))
