"""The converted folder opens strictly and says what is wrong by name."""

import json
import re

import pytest

from mlx_model.errors import FolderVersionError, LayoutError, NotInstalled
from mlx_model.events import Done, Note, Stage, Step
from mlx_model.store.folder import open_folder, verify
from tests.converters.checkpoints import AUTOENCODER, TEXT, TRANSFORMER, arrays, converted, manifest


@pytest.fixture
def folder(tmp_path):
    return converted(tmp_path / "model")


def test_open(folder):
    found = open_folder(folder)
    assert found.spec.name == "flux2-klein-4b"
    assert found.spec.transformer["axes_dim"] == TRANSFORMER.axes_dim
    assert found.spec.text["out_layers"] == TEXT.out_layers
    assert found.spec.autoencoder["ch_mult"] == AUTOENCODER.ch_mult
    assert found.spec.parameters["transformer"] == sum(array.size for array in arrays("transformer").values())
    assert found.files("transformer") == [folder / "transformer" / "00001.safetensors"]
    assert found.bytes == sum(
        file.stat().st_size for file in folder.rglob("*") if file.is_file() and file.name != "model.json"
    )
    assert (found.plan, found.dtype, found.licence) == ("32bit", "float32", "none")


def test_nothing_there(tmp_path):
    with pytest.raises(NotInstalled, match=r"model\.json"):
        open_folder(tmp_path)
    with pytest.raises(NotInstalled):
        open_folder(tmp_path / "missing")


@pytest.mark.first_case
@pytest.mark.parametrize("schema", [2, 0, "1", None, True, 1.0])
def test_unknown_schema(folder, schema):
    manifest(folder, lambda values: values.update(schema=schema))
    with pytest.raises(FolderVersionError, match="schema"):
        open_folder(folder)


def test_unknown_model(folder):
    manifest(folder, lambda values: values.update(model="flux9"))
    with pytest.raises(FolderVersionError, match="flux9"):
        open_folder(folder)


@pytest.mark.parametrize("text", ["", "[]", "{", "null", '{"schema": 1}', '{"schema": 1, "model": "flux2-klein-4b"}'])
def test_damaged_manifest(folder, text):
    (folder / "model.json").write_text(text)
    with pytest.raises((LayoutError, FolderVersionError)):
        open_folder(folder)


def test_missing_shard(folder):
    (folder / "text_encoder" / "00001.safetensors").unlink()
    with pytest.raises(LayoutError, match=r"text_encoder/00001\.safetensors is missing"):
        open_folder(folder)


def test_shortened_shard(folder):
    file = folder / "autoencoder" / "00001.safetensors"
    file.write_bytes(file.read_bytes()[:-8])
    with pytest.raises(LayoutError, match="bytes, not"):
        open_folder(folder)


@pytest.mark.parametrize("name", ["transformer/00002.safetensors", "extra.SAFETENSORS"])
def test_extra_weights(folder, name):
    (folder / name).write_bytes(b"")
    with pytest.raises(LayoutError, match=name):
        open_folder(folder)


def test_other_files_are_no_matter(folder):
    (folder / ".DS_Store").write_bytes(b"x")
    assert open_folder(folder)


@pytest.mark.parametrize("name", ["../secret.safetensors", "/etc/passwd", "a/../../b", "", "a\\..\\b", "x\0y"])
def test_paths_stay_inside(folder, name):
    (folder.parent / "secret.safetensors").write_bytes(b"")

    def change(values):
        values["components"]["transformer"]["files"][name] = {"bytes": 0, "sha256": ""}

    manifest(folder, change)
    with pytest.raises(LayoutError, match="outside"):
        open_folder(folder)


def test_links_stay_inside(folder):
    shard = folder / "transformer" / "00001.safetensors"
    shard.rename(folder.parent / "elsewhere")
    shard.symlink_to(folder.parent / "elsewhere")
    with pytest.raises(LayoutError, match="outside"):
        open_folder(folder)


@pytest.mark.parametrize("change", [
    lambda values: values["components"].pop("text_encoder"),
    lambda values: values["components"]["transformer"].update(family="os"),
    lambda values: values["components"].update(extra=values["components"]["transformer"]),
    lambda values: values["components"]["transformer"].pop("params"),
    lambda values: values.pop("plan"),
    lambda values: values.update(components=[]),
])  # fmt: skip
def test_wrong_components(folder, change):
    manifest(folder, change)
    with pytest.raises(LayoutError):
        open_folder(folder)


def test_verify(folder):
    events = list(verify(open_folder(folder)))
    assert [type(event) for event in events] == [Stage, *[Step] * 5, Done]
    assert events[-2].step == events[-2].total == 5


def test_verify_names_the_damage(folder):
    file = folder / "transformer" / "00001.safetensors"
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes(content)
    seen = []
    with pytest.raises(LayoutError, match=r"transformer/00001\.safetensors"):
        seen.extend(verify(open_folder(folder)))
    events = []
    try:
        for event in verify(open_folder(folder)):
            events.append(event)
    except LayoutError:
        pass
    assert any(isinstance(event, Note) and "transformer/00001" in event.text for event in events)


@pytest.mark.parametrize(
    "entry", [7, "x", ["decoder"], {"decoder": 3}, {"decoder": {"../x": {"bytes": 1, "sha256": ""}}}]
)
def test_packages_of_core_ml_are_read_as_strictly(folder, entry):
    manifest(folder, lambda values: values.update(coreml=entry))
    with pytest.raises(LayoutError):
        open_folder(folder)


def test_manifest_is_readable_json(folder):
    values = json.loads((folder / "model.json").read_text())
    assert values["schema"] == 1
    assert values["family"] == "flux2"
    assert set(values["components"]) == {"transformer", "text_encoder", "autoencoder"}
    assert not list(folder.glob("*.part"))


@pytest.mark.parametrize("text", ["[]", "{}", "null", '"x"', "7", "[" * 100_000])
def test_a_manifest_of_another_kind_is_told_without_python(tmp_path, text):
    (tmp_path / "model.json").write_text(text)
    with pytest.raises(LayoutError) as error:
        open_folder(tmp_path)
    assert re.search("says no schema|nested too deeply", error.value.message)
