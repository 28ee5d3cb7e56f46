"""Sets of examples as the tools of this field lay them out, and every fault of one told at once."""

import csv
import json

import numpy as np
import pytest
from PIL import Image

from app.training import curve
from app.training.dataset import read_rows, tell_faults
from app.training.examples import open_examples
from mlx_model.errors import RequestError
from mlx_model.specs import SPECS


def picture(path, size=(80, 64)):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.full((*size[::-1], 3), 90, np.uint8)).save(path)
    return path


def caption(path, text="a fox"):
    picture(path).with_suffix(".txt").write_text(text)


def drain(events):
    while True:
        try:
            next(events)
        except StopIteration as end:
            return end.value


def test_pictures_with_captions_also_counted_several_times(tmp_path):
    caption(tmp_path / "a.png", "\ufeffa fox\n")
    caption(tmp_path / "3_fox" / "b.jpg")
    picture(tmp_path / ".thumbs" / "c.png")
    found = read_rows(tmp_path)
    assert [row.prompt for row in found.rows] == ["a fox"] * 4
    assert found.faults == []
    assert found.notes == ["3_fox: each picture counts 3 times."]


def test_edits_find_what_they_start_from_by_name(tmp_path):
    for name in ("a", "b"):
        caption(tmp_path / f"{name}.png")
    picture(tmp_path / "control" / "a.jpg")
    for number in (10, 2):
        picture(tmp_path / "control" / f"b_{number}.png")
    picture(tmp_path / "control_2" / "a.png")
    rows = read_rows(tmp_path).rows
    assert [[path.relative_to(tmp_path).as_posix() for path in row.references] for row in rows] == [
        ["control/a.jpg", "control_2/a.png"],
        ["control/b_2.png", "control/b_10.png"],
    ]


def test_all_faults_are_told_together_with_their_number(tmp_path):
    caption(tmp_path / "fine.png")
    picture(tmp_path / "bare.png")
    caption(tmp_path / "empty.png", "  ")
    caption(tmp_path / "bytes.png")
    (tmp_path / "bytes.txt").write_bytes(b"\xff\xfe\xff")
    caption(tmp_path / "broken.png")
    (tmp_path / "broken.png").write_bytes(b"no picture")
    caption(tmp_path / "linked.png")
    (tmp_path / "linked.png").unlink()
    (tmp_path / "linked.png").symlink_to(tmp_path / "nowhere.png")
    with pytest.raises(RequestError) as raised:
        drain(open_examples(tmp_path, read_rows(tmp_path), SPECS["mini"], None))
    text = raised.value.message
    assert "5 faults" in text
    for name in ("bare.txt", "empty.txt", "bytes.txt", "broken.png", "linked.png: it is a link to nothing"):
        assert name in text
    assert "fine" not in text


def tell(data, classes=0):
    with pytest.raises(RequestError) as raised:
        drain(open_examples(data, read_rows(data, classes), SPECS["mini"], None))
    return raised.value.message


def test_all_faults_of_one_example_are_told_in_the_first_round(tmp_path):
    for name in ("mute.png", "alone.png", "both.png"):
        caption(tmp_path / name)
    (tmp_path / "mute.txt").write_bytes(b"\xff\xfe\xff")
    for path in ("mute.png", "alone.png", "control/both_0.png", "control/both_1.png", "control/mute.png"):
        (tmp_path / path).parent.mkdir(exist_ok=True)
        (tmp_path / path).write_bytes(b"no picture")
    assert "7 faults" in tell(tmp_path)


def test_all_faults_of_one_line_are_told_in_the_first_round(tmp_path):
    (tmp_path / "bad.png").write_bytes(b"no picture")
    lines = [
        {"image": "bad.png", "prompt": "", "control": "gone.png"},
        {"image": "", "prompt": "", "control": ["bad.png", "gone.png"]},
        {"image": "gone.png", "prompt": "a dog", "control": "bad.png"},
    ]
    (tmp_path / "set.jsonl").write_text("\n".join(map(json.dumps, lines)))
    text = tell(tmp_path / "set.jsonl")
    assert [text.count(f"line {number}") for number in (1, 2, 3)] == [3, 4, 2], text


def test_a_faulty_reference_hides_no_fault_of_the_request(tmp_path):
    caption(tmp_path / "a.png")
    for number in range(11):
        picture(tmp_path / "control" / f"a_{number}.png")
    (tmp_path / "control" / "a_3.png").write_bytes(b"no picture")
    text = tell(tmp_path)
    assert "a_3.png" in text
    assert "too many" in text


def test_pictures_without_a_caption_are_called_by_their_folder_as_in_kohyas(tmp_path):
    picture(tmp_path / "3_red_fox" / "a.png")
    caption(tmp_path / "3_red_fox" / "b.png", "a fox asleep")
    picture(tmp_path / "other" / "c.png")
    found = read_rows(tmp_path)
    assert [row.prompt for row in found.rows] == ["red fox"] * 3 + ["a fox asleep"] * 3
    assert ["c.txt" in fault for fault in found.faults] == [True]
    assert [row.prompt for row in read_rows(tmp_path, words="a dog").rows][-1] == "a dog"


def test_every_fault_of_a_large_set_is_told(tmp_path):
    for number in range(45):
        picture(tmp_path / f"{number}.png")
    with pytest.raises(RequestError) as raised:
        tell_faults(tmp_path, read_rows(tmp_path).faults)
    assert "45 faults" in raised.value.message
    assert all(f"{number}.txt" in raised.value.message for number in range(45))


def test_tables_of_other_tools(tmp_path):
    picture(tmp_path / "a.png"), picture(tmp_path / "b.png"), picture(tmp_path / "c.png")
    lines = [
        {"file_name": "a.png", "text": "one"},
        {"image_path": "a.png", "caption": "two", "control_path_0": "b.png", "control_path_1": "c.png", "odd": 1},
        {"target": "a.png", "instruction": "three", "references": ["b.png", "c.png"]},
    ]
    (tmp_path / "metadata.jsonl").write_text("\n".join(map(json.dumps, lines)) + "\n[1]\n{bad\n")
    found = read_rows(tmp_path)
    assert [(row.prompt, [path.name for path in row.references]) for row in found.rows] == [
        ("one", []), ("two", ["b.png", "c.png"]), ("three", ["b.png", "c.png"]),
    ]  # fmt: skip
    assert [fault.split(":")[0] for fault in found.faults] == ["metadata.jsonl line 4", "metadata.jsonl line 5"]
    assert found.notes == ["metadata.jsonl: the column odd is not used."]


def test_a_csv_with_several_pictures_in_a_cell_and_faults_by_line(tmp_path):
    picture(tmp_path / "a.png"), picture(tmp_path / "b.png")
    with (tmp_path / "set.csv").open("w", newline="") as file:
        table = csv.writer(file)
        table.writerows(
            [["image", "prompt", "control"], ["a.png", "go", "a.png|b.png"], ["gone.png", "x", ""], ["a.png", "", ""]]
        )
    found = read_rows(tmp_path / "set.csv")
    assert [path.name for path in found.rows[0].references] == ["a.png", "b.png"]
    assert ["line 3" in found.faults[0], "gone.png" in found.faults[0], "line 4" in found.faults[1]] == [True] * 3


def test_cells_without_an_end_and_numbers_without_one(tmp_path):
    picture(tmp_path / "a.png")
    (tmp_path / "set.csv").write_text('image,prompt\na.png,"' + "x" * 200_000 + "\n")
    assert ["no line of a table" in fault for fault in read_rows(tmp_path / "set.csv").faults] == [True]
    (tmp_path / "set.jsonl").write_text('{"image": "a.png", "text": ' + "9" * 5000 + "}\n" + "[" * 99_999)
    assert ["no JSON object" in fault for fault in read_rows(tmp_path / "set.jsonl").faults] == [True, True]


def test_classes_are_folders(tmp_path):
    picture(tmp_path / "207" / "a.png"), picture(tmp_path / "1001" / "b.png"), picture(tmp_path / "5_dog" / "c.png")
    found = read_rows(tmp_path, classes=1000)
    assert sorted(row.label for row in found.rows) == [5, 207]
    assert ["1001" in fault for fault in found.faults] == [True]


@pytest.mark.parametrize("make", [lambda p: p / "gone", lambda p: picture(p / "a.png"), lambda p: p])
def test_what_is_no_set(tmp_path, make):
    with pytest.raises(RequestError):
        tell_faults(tmp_path, read_rows(make(tmp_path)).faults)


def test_a_picture_may_have_several_captions(tmp_path):
    picture(tmp_path / "a.png")
    (tmp_path / "set.jsonl").write_text('{"image": "a.png", "text": "one"}\n{"image": "a.png", "text": "two"}\n')
    sources = drain(open_examples(tmp_path / "set.jsonl", read_rows(tmp_path / "set.jsonl"), SPECS["mini"], None))
    assert [source.prompt for source in sources] == ["one", "two"]
    assert [source.open().request.prompt for source in sources] == ["one", "two"]


def test_too_many_references_are_a_fault_of_the_row(tmp_path):
    caption(tmp_path / "a.png")
    for number in range(11):
        picture(tmp_path / "control" / f"a_{number}.png")
    with pytest.raises(RequestError, match="too many"):
        drain(open_examples(tmp_path, read_rows(tmp_path), SPECS["mini"], None))


def test_the_curve_of_a_log_whose_last_line_is_cut(tmp_path):
    log = tmp_path / "log.jsonl"
    log.write_text("\n".join(json.dumps({"step": n, "loss": 1 / n}) for n in range(1, 60)) + '\n{"step": 60, "lo')
    lines = curve.read_log(log)
    assert len(lines) == 59
    assert curve.draw_curve(lines).shape == (curve.HEIGHT, curve.WIDTH, 3)
    assert np.allclose(curve.smooth(np.ones(100)), 1)


@pytest.mark.parametrize("digits", ["99999999", "9" * 200])
def test_folders_that_count_more_than_any_set_has_are_refused(tmp_path, digits):
    caption(tmp_path / f"{digits}_cat" / "a.png")
    with pytest.raises(RequestError, match="numbers in the names"):
        read_rows(tmp_path)


@pytest.mark.parametrize("name", ["x" * 400 + ".png", "a\0.png", "\ud800.png", 10**30, {"a": 1}])
def test_a_name_that_no_file_can_have_is_a_fault_of_its_line(tmp_path, name):
    (tmp_path / "set.jsonl").write_text(json.dumps({"image": name, "prompt": "a dog"}) + "\n")
    assert ["line 1: there is no file" in fault for fault in read_rows(tmp_path / "set.jsonl").faults] == [True]
