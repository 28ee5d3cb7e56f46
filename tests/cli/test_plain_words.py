"""Many wrong inputs through the real commands: what is said is for people, never in Python's or a library's words."""

import json
import re
import struct
from pathlib import Path

import pytest
from click.testing import CliRunner

from app.cli.group import cli
from tests.cli.scripted_pipeline import run

PROGRAMMERS = re.compile(
    r"Errno|errno|Traceback|File \"|0x[0-9a-f]{5,}|\w+Error\b|\bobject at|NoneType|expected (str|usize|ident)|"
    r"recursion|<class|::\w|Exceeds the limit|invalid literal|\bcodec\b|subscriptable|hashable|has no attribute|"
    r"\bargument\b|unpack|__\w|Warning\b|line \d+, in |must be (a )?(str|int|real|bytes)|std::|.dtype.|usize|"
    r"[Ee]xception|index out of range|deserializ|fault in Flux|Expecting value|\bfloat\b|\binteger\b|"
    r"\[(read|load_\w+)\]"
)
HEADER = b'{"a":{"dtype":"F32","shape":[-1],"data_offsets":[0,4]}}'
BAD = {
    "empty": b"", "text": b"hello world", "zeros": bytes(1000), "latin": b"caf\xe9 \xff\xfe", "deep": b"[" * 100_000,
    "deep objects": b'{"a":' * 50_000, "number": b"5", "list": b"[1,2]", "null": b"null", "object": b"{}",
    "nan": b'{"a": NaN}',
    "huge number": b'{"OTIO_SCHEMA":"Timeline.1","x":' + b"9" * 6000 + b"}", "xml": b"<a><b/></a>",
    "open xml": b"<a><b></a>",
    "entity": b'<?xml version="1.0"?><!DOCTYPE x [<!ENTITY a "b">]><fcpxml>&a;</fcpxml>', "zip": b"PK\x03\x04broken",
    "png": b"\x89PNG\r\n\x1a\nbroken", "gguf": b"GGUF" + b"\xff" * 100, "short gguf": b"GGUF\x03\0\0\0",
    "header": struct.pack("<Q", 10) + b'{"a":{}}  ', "long header": struct.pack("<Q", 2**62) + b"{}",
    "shape": struct.pack("<Q", 60) + HEADER.ljust(60) + b"0000", "no json": struct.pack("<Q", 8) + b"not json",
    "pickle": b"\x80\x02cos\nsystem\n.", "tracks": b'{"OTIO_SCHEMA":"Timeline.1","tracks":5}',
    "children": b'{"OTIO_SCHEMA":"Timeline.1","name":3,"tracks":{"OTIO_SCHEMA":"Stack.1","children":[{"OTIO_SCHEMA":'
    b'"Track.1","children":"x"}]}}', "schema": b'{"OTIO_SCHEMA":"Whatever.9"}', "clip": b'{"OTIO_SCHEMA":"Clip.1"}',
    "boards": b'{"boards":5}', "durations": b'{"boards":[{"duration":{}}],"fps":"x"}',
    "script": b"<FinalDraft><Content></Content></FinalDraft>", "library": b'<fcpxml version="1.9"><library/></fcpxml>',
    "rate": b'<xmeml version="4"><sequence><rate><timebase>x</timebase></rate></sequence></xmeml>',
    "start": b'<xmeml version="4"><sequence id="a"><duration>10</duration><rate><timebase>24</timebase></rate><media>'
    b"<video><track><clipitem><start>a</start></clipitem></track></video></media></sequence></xmeml>",
    "edit": b"001  AX       V     C        00:00:00:00 00:00:01:00 00:00:00:00 99:99:99:99\n",
    "cells": b'a,b\n"unclosed',
}  # fmt: skip
BOARDS = ("otio", "fountain", "fdx", "edl", "fcpxml", "xml", "csv", "tsv", "storyboarder", "zip", "txt")
WEIGHTS = ("safetensors", "gguf", "pt")
SAID = [
    ("generate", "x", "-o", "/proc/x.png"), ("generate", "x", "-o", "/sys/a.png"), ("board", "new", "/proc/x"),
    ("generate", "x", "--preview", "/proc/x"), ("generate", "x", "--save-latents", "/proc/x.safetensors"),
    ("generate", "x", "--steps", "many"), ("generate", "x", "--guidance", "abc"), ("generate", "x", "--seed", "9" * 50),
    ("edit", "room.png", "-p", "x", "--strength", "abc"), ("edit", "room.png", "-p", "x", "--outpaint", "a,b"),
    ("board", "new", "a", "--fps", "abc"), ("board", "new", "a", "--aspect", "0:0"),
    ("generate", "x", "--size", "1e9x5"),
    ("generate", "x", "--count", "0"), ("convert", "room.png", "-o", "/proc/x"),
    ("train", "gone", "-o", "run"), ("train", "gone.csv", "-o", "run"), ("train", ".", "-o", "run", "--rate", "nan"),
    ("train", ".", "-o", "run", "--ema", "nan"), ("train", ".", "-o", "run", "--alpha", "inf", "--lora"),
    ("train", "character", "Bobo", "gone.png", "-o", "run"), ("lora", "add", "gone.safetensors"), ("lora", "add", "."),
    ("board", "new", "a", "--fps", "nan"), ("lora", "remove", "gone", "--yes"),
]  # fmt: skip


def say(*words: str) -> str:
    """What a command that is refused says."""
    result = CliRunner().invoke(cli, list(words))
    said = result.output + result.stderr
    assert result.exit_code in (0, 2, 3, 4), (words, said, result.exception)
    assert not PROGRAMMERS.search(said), (words, said)
    return said


@pytest.mark.first_case
@pytest.mark.parametrize("name", BAD)
def test_files_of_every_kind(name):
    files = {ending: Path(f"bad.{ending}") for ending in (*BOARDS, *WEIGHTS, "png", "heic", "tif", "avif", "json")}
    for file in files.values():
        file.write_bytes(BAD[name])
    for ending in BOARDS:
        say("board", "import", f"bad.{ending}", "-o", f"b-{ending}")
    for ending in WEIGHTS:
        say("convert", f"bad.{ending}", "-o", "m")
    for ending in ("png", "heic", "tif", "avif"):
        say("edit", f"bad.{ending}", "-p", "x")
    say("edit", "room.png", "-p", "x", "--mask", "bad.png")
    say("generate", "--again", "bad.png")
    for words in (("lora", "add"), ("generate", "x", "--lora"), ("generate", "x", "--noise")):
        say(*words, "bad.safetensors")
    for ending in ("csv", "jsonl"):
        Path(f"bad.{ending}").write_bytes(BAD[name])
        say("train", f"bad.{ending}", "-o", "run")


@pytest.mark.first_case
@pytest.mark.parametrize("name", BAD)
def test_folders_of_every_kind(name):
    for file in ("bad.fluxboard/board.json", "model/model.json", "index/transformer/model.safetensors.index.json",
                 "config/transformer/config.json", "config/model_index.json"):  # fmt: skip
        Path(file).parent.mkdir(parents=True, exist_ok=True)
        Path(file).write_bytes(BAD[name])
    Path("config/transformer/model.safetensors").write_bytes(BAD["header"])
    for words in (("show", "bad"), ("check", "bad"), ("export", "bad", "-o", "x.zip"), ("list", "bad")):
        say("board", *words)
    for words in (("generate", "x", "-m", "model"), ("models", "verify", "model"), ("convert", "index", "-o", "m")):
        say(*words)
    say("convert", "config", "-o", "m")


@pytest.mark.parametrize("words", SAID, ids=" ".join)
def test_options(words):
    assert say(*words)


ABSENT = [
    (("train", "gone", "-o", "run"), "There is no gone"),
    (("lora", "add", "gone.safetensors"), "There is no file gone"),
    (("lora", "add", "."), "is a folder"),
    (("train", ".", "-o", "run", "--rate", "nan"), "nan is not a number"),
]


@pytest.mark.parametrize(("words", "told"), ABSENT)
def test_what_is_not_there_is_told_as_that(words, told):
    assert told in say(*words)


@pytest.mark.parametrize("words", [("generate", "x", "-o", "/proc/x.png"), ("board", "new", "/proc/x"),
                                   ("generate", "x", "--preview", "/proc/x")])  # fmt: skip
def test_a_place_of_the_system_is_called_one(words):
    assert "/proc belongs to the system" in say(*words)


def test_home_behind_every_option_that_takes_a_model_or_a_lora(monkeypatch, tmp_path):
    """Those that may also be a name, so that no type of theirs expands the path."""
    monkeypatch.setenv("HOME", str(tmp_path))
    places = [
        ("generate", "x", "--model=~/gone"), ("generate", "x", "--lora=~/gone.safetensors:0.5"),
        ("edit", "room.png", "-p", "x", "-m~/gone"), ("bench", "--model=~/gone"), ("models", "verify", "~/gone"),
        ("board", "show", "~/gone"), ("convert", "~/gone", "-o", "m"), ("train", "~/gone", "-o", "run"),
        ("train", ".", "-o", "run", "-m~/gone"), ("lora", "add", "~/gone"),
        ("train", "character", "B", *["~/gone"] * 5, "-o", "run"),
        ("generate", "x", "-o=~/gone/x.png"), ("generate", "x", "--noise=~/gone"), ("generate", "--again=~/gone"),
        ("edit", "room.png", "-p", "x", "--mask=~/gone"), ("edit", "~/gone", "-p", "x"), ("board", "import", "~/gone"),
        ("convert", "room.png", "-o", "m", "--companions=~/gone"),
        ("models", "add", "--from=~/gone"),
    ]  # fmt: skip
    for words in places:
        said = say(*words)
        assert str(tmp_path / "gone") in said, (words, said)
    assert not [path for path in Path().iterdir() if "~" in path.name]


def test_json_events_say_the_same():
    Path("bad.otio").write_bytes(BAD["deep"])
    failed = json.loads(run("board", "import", "bad.otio", "-o", "b", "--json", code=2).stdout.splitlines()[-1])
    assert not PROGRAMMERS.search(failed["message"])
