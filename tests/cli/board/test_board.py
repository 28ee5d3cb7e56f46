"""flux-local board: what the window does, without it."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from app.base import paths
from app.board import commands
from app.board.data import Source, numbers
from app.fluxboard.file import BoardFile
from app.pictures.images import open_picture
from mlx_model.request import from_json
from mlx_model.specs import SPECS
from tests.cli import scripted_pipeline
from tests.cli.scripted_pipeline import BASE, EDITOR, FakePipeline, events, run


def board(path="gull.fluxboard"):
    with BoardFile.open(path, write=False) as file:
        return file.board


def panel(number, path="gull.fluxboard"):
    here = board(path)
    return here.panel({label: panel_id for panel_id, label in numbers(here).items()}[number])


@pytest.fixture
def gull(machine):
    """A board with one member and three panels, the last going on from the first."""
    run("board", "new", "gull.fluxboard", "--title", "The gull", "--aspect", "1:1")
    run("board", "cast", "gull", "gull", "chair.png")
    run("board", "add", "gull", "@gull in a bar", "@gull at sea", "--shot", "MS")
    run("board", "add", "gull", "make it night", "--from", "1A")
    return machine / "gull.fluxboard"


# new, add, set, cast


def test_a_photo_is_kept_as_it_is_and_what_is_odd_about_it_is_said(gull, machine):
    Image.new("RGB", (200, 100), "red").save(machine / "photo.jpg", icc_profile=b"no profile")
    said = run("board", "cast", "gull", "pal", "photo.jpg")
    assert "The colour profile of photo.jpg was ignored" in said.stderr
    with BoardFile.open("gull.fluxboard", write=False) as file:
        kept = file.picture_path(file.board.cast[-1].pictures[0].sha256)
    assert (kept.suffix, kept.read_bytes()) == (".jpg", (machine / "photo.jpg").read_bytes())


def test_new_says_where_and_adds_the_ending():
    result = run("board", "new", "film", "--aspect", "2.39:1", "--fps", "25", "--style", "ink", "--model", EDITOR)
    assert result.stdout.strip() == str(Path("film.fluxboard").absolute())
    made = board("film.fluxboard")
    assert (made.title, made.aspect, made.fps, made.style, made.model) == ("film", (239, 100), 25, "ink", EDITOR)
    assert list(made.panels()) == []


def test_new_never_replaces_anything(gull):
    assert "is there already" in run("board", "new", "gull", code=2).stderr
    assert board().title == "The gull"


@pytest.mark.parametrize(("text", "aspect"), [("3:2", (3, 2)), ("1.85:1", (185, 100)), ("21:9", (7, 3))])
def test_any_shape(text, aspect):
    run("board", "new", "b", "--aspect", text)
    assert board("b.fluxboard").aspect == aspect


@pytest.mark.parametrize("text", ["16x9", "1:", "0:1", "9:1", "nan:1", "1e999:1"])
def test_nonsense_shapes_are_refused_and_nothing_is_made(text):
    run("board", "new", "b", "--aspect", text, code=2)
    assert not Path("b.fluxboard").exists()


def test_add_makes_a_panel_for_each_prompt(gull):
    result = run("board", "add", "gull", "one", "two", "--new-scene", "INT. BAR", "--seconds", "3.5", "--seed", "9")
    assert result.stdout.split() == ["2A", "2B"]
    one = panel("2A")
    assert (board().scenes[1].heading, one.prompt, one.seconds) == ("INT. BAR", "one", 3.5)
    assert (one.seed, one.seed_locked, panel("2B").prompt) == (9, True, "two")
    assert run("board", "add", "gull", "x", "--scene", "1").stdout.split() == ["1D"]


def test_add_takes_pictures_and_cast_in_order(gull):
    run("board", "add", "gull", "@chair @room", "-r", "chair.png", "-r", "room.png", "--cast", "@Gull")
    references = panel("1D").references
    assert [reference.name for reference in references] == ["chair", "room", "gull"]
    assert len({reference.colour for reference in references}) == 3
    with BoardFile.open(gull, write=False) as file:
        kept = open_picture(file.picture_path(references[1].picture.sha256))
    assert np.array_equal(kept, open_picture("room.png"))


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--from", "9Z"), "There is no panel 9Z"),
        (("--cast", "owl"), "There is no owl in the cast"),
        (("--scene", "7"), "There is no scene 7"),
        (("-r", "nothing.png"), "nothing.png"),
        (("--size", "16:9"), "is not a size in pixels"),
        (("--seconds", "nan"), "is no number"),
        (("--steps", "0"), "steps are out of range"),
    ],
)
def test_what_can_t_be_added_leaves_the_board_as_it_was(gull, words, said):
    before = (gull / "board.json").read_bytes()
    assert said in run("board", "add", "gull", "x", *words, code=2).stderr
    assert (gull / "board.json").read_bytes() == before


def test_set_changes_what_it_names_only(gull):
    before = panel("1B")
    run("board", "set", "gull", "1b", "--prompt", "tea", "--angle", "low", "--from", "1A", "--steps", "7")
    after = panel("1B")
    assert (after.instruction, after.camera.shot, after.camera.angle) == ("tea", "MS", "low")
    assert after.prompt == "@gull at sea"  # an instruction leaves the description alone
    assert (after.source, after.settings.steps) == (Source("panel", panel("1A").id), 7)
    run("board", "set", "gull", "1B", "--from", "none")
    assert (panel("1B").source, panel("1B").id, panel("1B").words) == (Source(), before.id, "@gull at sea")
    run("board", "set", "gull", "1B", "--prompt", "@gull asleep")
    run("board", "set", "gull", "1C", "--description", "night")
    assert (panel("1B").prompt, panel("1C").prompt, panel("1C").words) == ("@gull asleep", "night", "make it night")
    shown = json.loads(run("board", "show", "gull", "1C", "--json").stdout)
    assert (shown["prompt"], shown["instruction"]) == ("night", "make it night")


def test_panels_are_moved_and_removed_and_the_board_before_is_kept(gull):
    run("board", "add", "gull", "@gull asleep", "--new-scene", "EXT. SEA")
    assert run("board", "move", "gull", "2A", "--before", "1B").stdout.split() == ["1B"]
    assert [one.caption for one in board().panels()] == [
        "@gull in a bar",
        "@gull asleep",
        "@gull at sea",
        "make it night",
    ]
    assert run("board", "move", "gull", "1A-1B", "--scene", "2").stdout.split() == ["2A", "2B"]
    assert "one of those" in run("board", "move", "gull", "1A", "--before", "1A", code=2).stderr
    assert run("board", "remove", "gull", "2A").stdout.split() == ["2A"]
    assert [one.caption for one in board().panels()] == ["@gull at sea", "make it night", "@gull asleep"]
    assert panel("1B").source == Source()  # what it went on from is gone
    with BoardFile.open(gull) as file:
        assert any(len(list(file.restore(point).panels())) == 4 for point in file.restore_points())


def test_cast_is_added_to_renamed_and_removed(gull):
    run("board", "cast", "gull", "gull", "room.png", "--role", "prop")
    assert (len(board().cast[0].pictures), board().cast[0].role) == (2, "prop")
    run("board", "cast", "gull", "@GULL", "--rename", "seagull")
    assert panel("1A").prompt == "@seagull in a bar"
    assert json.loads(run("board", "cast", "gull", "--json").stdout)["cast"][0]["name"] == "seagull"
    run("board", "cast", "gull", "seagull", "--remove")
    assert board().cast == ()
    assert "for example two-words" in run("board", "cast", "gull", "two words", code=2).stderr


# render


def test_render_makes_a_take_of_every_panel_in_an_order_that_works(gull):
    run("board", "set", "gull", "1A", "--from", "1B")  # the first goes on from the second now
    result = run("board", "render", "gull", "--seed", "5")
    assert [line.split()[0] for line in result.stdout.splitlines()] == ["1B", "1A", "1C"]
    prompts = [request.prompt for request in FakePipeline.requests]
    assert prompts == ["image 1 at sea", "image 2 in a bar", "make it night"]
    assert FakePipeline.requests[2].references[0].sha256 == panel("1A").take.picture.sha256
    assert len(FakePipeline.opened) == 1
    take = panel("1C").take
    assert (take.seed, take.model, from_json(take.request).prompt) == (5, EDITOR, "make it night")


def test_a_run_is_told_the_prompts_that_come_after_it(gull):
    """1C goes on from 1A, which has no take before it is made."""
    run("board", "render", "gull")
    assert [len(prompts) for prompts in FakePipeline.ahead] == [1, 1, 0]
    assert FakePipeline.ahead[1] == ["make it night"]
    run("board", "set", "gull", "1B", "--model", BASE)
    run("board", "render", "gull", "--panels", "1A,1B")
    assert FakePipeline.ahead[3:] == [[], []]


def test_a_private_board_leaves_nothing_on_the_disk(gull):
    run("board", "render", "gull", "--panels", "1A")
    run("board", "render", "gull", "--panels", "1A", "--no-cache")
    assert FakePipeline.cached == [paths.cache(), None]


def test_render_some_and_keep_every_take(gull):
    run("board", "render", "gull", "--panels", "1A-1B")
    run("board", "render", "gull", "--panels", "1", "--count", "2")
    assert [len(one.takes) for one in board().panels()] == [3, 1, 0]
    assert panel("1A").take == panel("1A").takes[-1]
    run("board", "set", "gull", "1A", "--take", "1")
    assert panel("1A").take == panel("1A").takes[0]
    run("board", "render", "gull", "--missing")
    assert [len(one.takes) for one in board().panels()] == [3, 1, 1]


def test_one_instruction_for_many(gull):
    run("board", "render", "gull", "--panels", "1A,1B")
    first = panel("1A").take
    run("board", "render", "gull", "--panels", "1A,1B", "--instruction", "make it snow")
    request = FakePipeline.requests[-2]
    assert (request.prompt, request.references[0].sha256) == ("make it snow", first.picture.sha256)
    assert (panel("1A").prompt, panel("1A").source) == ("@gull in a bar", Source())


def test_another_model_is_opened_for_the_panel_that_wants_it(gull):
    run("board", "set", "gull", "1B", "--model", BASE)
    run("board", "render", "gull")
    assert [Path(folder).name for folder, _ in FakePipeline.opened] == [EDITOR, BASE, EDITOR]
    assert panel("1B").take.model == BASE


def test_json_says_which_panel_and_where_its_picture_is(gull):
    said = events(run("board", "render", "gull", "--panels", "1A", "--json"))
    assert (said[0].name, said[0].detail) == ("panel", "1A (1 of 1)")
    assert open_picture(said[-1].path).shape == (1024, 1024, 3)
    assert Path(said[-1].path).parent == gull / "blobs"


def test_the_region_of_a_panel_is_chosen_and_taken_back(gull):
    run("board", "set", "gull", "1B", "--region")
    assert panel("1B").settings.region
    run("board", "set", "gull", "1B", "--steps", "5")
    assert panel("1B").settings.region
    run("board", "set", "gull", "1B", "--no-region")
    assert not panel("1B").settings.region


def test_a_step_cache_of_a_render_and_of_a_panel(gull):
    """One that can gain something has it; the render's goes before the panel's own, 0 takes it off."""
    run("board", "set", "gull", "1B", "--steps", "20", "--step-cache", "0.2")
    assert panel("1B").settings.step_cache == 0.2
    said = run("board", "render", "gull", "--panels", "1A-1B", "--step-cache", "0.1").stderr
    assert "1A: in 4 steps a step cache gains nothing, so none is used" in said
    assert said.count("gains nothing") == 1
    run("board", "render", "gull", "--panels", "1B")
    run("board", "render", "gull", "--panels", "1B", "--step-cache", "0")
    assert [request.step_cache for request in FakePipeline.requests] == [None, 0.1, 0.2, None]
    assert from_json(panel("1B").takes[0].request).step_cache == 0.1
    assert "step-cache" in run("board", "render", "gull", "--step-cache", "3", code=2).stderr
    run("board", "set", "gull", "1B", "--step-cache", "0")
    assert panel("1B").settings.step_cache is None


def test_a_panel_that_can_t_be_rendered_does_not_stop_the_others(gull):
    run("board", "set", "gull", "1A", "--prompt", "@nobody")
    result = run("board", "render", "gull", code=2)
    assert "1A: @nobody names no picture" in result.stderr
    assert "2 of 3 panels could not be rendered" in result.stderr
    assert [len(one.takes) for one in board().panels()] == [0, 1, 0]
    assert "continues from panel 1A, which has no picture yet" in result.stderr


def test_a_run_that_fails_leaves_the_takes_before_it(gull, monkeypatch):
    run("board", "render", "gull", "--panels", "1A")
    monkeypatch.setattr(FakePipeline, "fail", 2)
    assert "not finite" in run("board", "render", "gull", "--panels", "1B", code=5).stderr
    assert [len(one.takes) for one in board().panels()] == [1, 0, 0]


def test_ctrl_c_closes_the_run_and_keeps_the_takes(gull, monkeypatch):
    run("board", "render", "gull", "--panels", "1A")
    monkeypatch.setattr(FakePipeline, "interrupt", 2)
    closed = FakePipeline.closed
    run("board", "render", "gull", code=130)
    assert FakePipeline.closed == closed + 1
    assert [len(one.takes) for one in board().panels()] == [1, 0, 0]
    assert not (gull / "lock").exists()


def test_a_locked_seed_counts_up(gull):
    run("board", "set", "gull", "1A", "--seed", "3")
    run("board", "render", "gull", "--panels", "1A", "--count", "2")
    run("board", "render", "gull", "--panels", "1A", "--count", "2", "--seed", "8")
    assert [take.seed for take in panel("1A").takes] == [3, 4, 8, 9]


@pytest.mark.parametrize("text", ["9", "1A-", "1C-1A", "0", "1D", "x"])
def test_panels_that_are_not_there(gull, text):
    assert "1A" in run("board", "render", "gull", "--panels", text, code=2).stderr


def test_a_board_that_is_open_elsewhere_is_not_rendered_but_can_be_read(gull):
    with BoardFile.open(gull):
        assert "is open already" in run("board", "render", "gull", code=2).stderr
        run("board", "list", "gull")
        run("board", "show", "gull")
        run("board", "export", "gull", "-o", "g.zip")
    assert FakePipeline.opened == []


# check, show, list, zip


def test_check_finds_nothing_in_a_good_board(gull):
    run("board", "render", "gull")
    assert run("board", "check", "gull").stdout == "Nothing is wrong.\n"


def test_check_finds_everything_at_once(gull):
    run("board", "render", "gull", "--panels", "1A")
    (gull / "blobs" / f"{panel('1A').take.picture.sha256}.png").unlink()
    blob = gull / "blobs" / f"{board().cast[0].pictures[0].sha256}.png"
    blob.write_bytes(blob.read_bytes()[:-1])
    run("board", "add", "gull", "")
    run("board", "add", "gull", "@owl", "--model", "flux2-klein-9b")
    with BoardFile.open(gull) as file:
        cycle = commands.set_panel(file.board, panel("1C").id, source=Source("panel", panel("1D").id))
        file.save(commands.set_panel(cycle, panel("1D").id, source=Source("panel", panel("1C").id)))
    found = json.loads(run("board", "check", "gull", "--json", code=2).stdout.splitlines()[0])["problems"]
    told = [f"{problem['where']}: {problem['what']}" for problem in found]
    for part in (
        "1E: FLUX.2 klein 9B is not installed",
        "1A: A picture is lost: its file is missing",
        "@gull: A picture is lost: its file was changed",
        "1D: has no instruction",
        "1E: @owl names no picture",
        "1C: starts from a panel that starts from this one",
    ):
        assert [text for text in told if text.startswith(part)], (part, told)


def test_check_counts_pictures_against_the_model(gull):
    for number in range(12):
        Image.new("RGB", (64, 64), (number, 0, 0)).save(f"{number}.png")
    files = [word for number in range(10) for word in ("-r", f"{number}.png")]
    run("board", "add", "gull", "@gull here", *files)
    result = run("board", "check", "gull", code=2)
    assert f"1D: 11 pictures are too many: {EDITOR} takes up to 10" in result.stdout
    assert "more than 10 references" in run("board", "set", "gull", "1D", "-r", "11.png", code=2).stderr


def test_show_and_list(gull):
    run("board", "render", "gull", "--panels", "1B")
    lines = run("board", "list", "gull", "--panels", "2-3").stdout.splitlines()
    assert [line.split()[:2] for line in lines] == [["1B", "1"], ["1C", "0"]]
    rows = json.loads(run("board", "list", "gull", "--json").stdout)["panels"]
    assert [row["picture"] is not None for row in rows] == [False, True, False]
    assert "The model reads: image 1 at sea" in run("board", "show", "gull", "1B").stdout
    assert "The gull" in run("board", "show", "gull").stdout
    shown = json.loads(run("board", "show", "gull", "--json").stdout)
    assert [one["number"] for one in shown["scenes"][0]["panels"]] == ["1A", "1B", "1C"]
    assert json.loads(run("board", "show", "gull", "1B", "--json").stdout)["takes"][0]["model"] == EDITOR


def test_a_zip_comes_back_with_all_takes_and_without_this_machine_s_paths(gull, machine):
    run("board", "render", "gull")
    before = board()
    zipped = run("board", "export", "gull", "-o", "share.zip").stdout.strip()
    again = run("board", "import", zipped, "-o", "again").stdout.strip()
    assert again == str(machine / "again.fluxboard")
    after = board(again)
    assert [len(one.takes) for one in after.panels()] == [1, 1, 1]
    assert (after.cast, after.title) == (before.cast, before.title)
    assert from_json(after.panel(panel("1A").id).take.request).references[0].path.startswith("blobs/")
    assert str(machine).encode() not in (machine / "again.fluxboard" / "board.json").read_bytes()
    run("board", "check", "again")


def test_import_refuses_a_broken_zip_and_leaves_nothing():
    Path("bad.zip").write_bytes(b"PK\x03\x04 not really")
    assert "not a zip" in run("board", "import", "bad.zip", code=2).stderr
    assert [path.name for path in Path.cwd().iterdir() if "board" in path.name] == []


def test_a_recovered_board_says_so(gull):
    with BoardFile.open(gull) as file:
        file.note(commands.set_board(file.board, title="unsaved"))
    assert "did not end as it should" in run("board", "set", "gull", "1A", "--prompt", "x").stderr
    assert board().title == "unsaved"


def test_no_board_and_no_folder_are_told():
    assert "There is no" in run("board", "render", "nothing", code=2).stderr
    Path("file.fluxboard").write_text("x")
    assert "is not a board" in run("board", "show", "file.fluxboard", code=2).stderr


# other programs' formats


def test_the_ending_decides_and_options_are_checked(gull):
    run("board", "render", "gull", "--panels", "1A")
    assert Path(run("board", "export", "gull", "-o", "shots.csv").stdout.strip()).name == "shots.csv"
    assert Path(run("board", "export", "gull", "-o", "shots.csv").stdout.strip()).name == "shots-2.csv"
    run("board", "export", "gull", "-o", "a.gif", "-O", "width=128", "--panels", "1A-1B")
    with Image.open("a.gif") as image:
        assert image.size[0] == 128
    said = run("board", "export", "gull", "-o", "b.gif", "-O", "width=64").stderr
    assert "No picture yet: 1B, 1C" in said
    for words, part in (
        (("-o", "x.docx"), "does not say which format"),
        (("-o", "x.gif", "-O", "width"), "NAME=VALUE"),
        (("-o", "x.gif", "-O", "width=wide"), "not a number"),
        (("-o", "x.gif", "-O", "wide=3"), "no option wide"),
        (("-o", "x", "-f", "fountain"), "no format to export"),
        (("-o", "x.otio", "-O", "media=maybe"), "neither yes nor no"),
        (("-o", "x.csv", "--panels", "7Q"), "no panel 7Q"),
    ):
        assert part in run("board", "export", "gull", *words, code=2).stderr
    assert not [path for path in Path.cwd().iterdir() if path.name.startswith("x")]


def test_the_list_of_formats_names_them_all():
    from app.interchange.formats import FORMATS

    listed = run("board", "export", "--formats").stdout
    assert {line.split()[0] for line in listed.splitlines() if not line.startswith(" ")} == {*FORMATS, "zip"}


def test_a_script_becomes_a_board_and_a_bad_one_leaves_nothing(machine):
    Path("film.fountain").write_text(
        "INT. BAR - NIGHT\n\nA gull orders.\n\nGULL\nOne tea.\n\nEXT. SEA - DAY\n\nWaves.\n"
    )
    made = run("board", "import", "film.fountain").stdout.strip()
    assert made == str(machine / "film.fluxboard")
    assert [scene.heading for scene in board(made).scenes] == ["INT. BAR - NIGHT", "EXT. SEA - DAY"]
    assert run("board", "import", "film.fountain").stdout.strip() == str(machine / "film-2.fluxboard")
    Path("bad.fdx").write_text("<FinalDraft")
    run("board", "import", "bad.fdx", code=2)
    run("board", "import", "room.png", code=2)
    assert not [path for path in machine.iterdir() if path.name.startswith(("bad.flux", "room.flux"))]


def test_render_reads_one_model_json_once(gull, monkeypatch, manifests_read):
    monkeypatch.setattr(scripted_pipeline, "library_spec", lambda path: SPECS[Path(path).name])
    run("board", "render", "gull", "--panels", "1A", "--count", "2")
    assert manifests_read == [str(paths.models() / EDITOR / "model.json")]


def test_a_model_that_does_not_exist_is_refused_when_it_is_set(gull):
    said = run("board", "set", "gull", "1A", "--model", "nosuch", code=2).stderr
    assert "There is no model called nosuch" in said
    assert panel("1A").settings.model is None
    assert "no model called" in run("board", "new", "other", "--model", "nosuch", code=2).stderr


def test_a_model_that_is_not_installed_is_noted_and_render_names_the_panel(gull):
    said = run("board", "set", "gull", "1B", "--model", "flux2-klein-9b").stderr
    assert "FLUX.2 klein 9B is not installed" in said
    assert panel("1B").settings.model == "flux2-klein-9b"
    assert (
        "Panel 1B: FLUX.2 klein 9B is not installed" in run("board", "render", "gull", "--panels", "1B", code=3).stderr
    )


def test_a_script_joins_a_board(gull, machine):
    (machine / "night.fountain").write_text("INT. BAR - NIGHT\n\nA @gull lands.\n")
    before = len(list(board().panels()))
    made = run("board", "import", "night.fountain", "--into", "gull")
    assert "Added 1 panel in 1 scene" in made.stderr
    assert list(board().panels())[before].prompt == r"A \@gull lands."
    run("board", "import", "night.fountain", "--into", "gull", "--output", "other", code=2)
