"""How a panel becomes a request: the order of pictures, the words, the sizes, and what is refused."""

import dataclasses
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs
from msgspec.structs import replace

from app.base import settings
from app.board.data import Board, Member, Panel, PanelReference, Picture, Scene, Settings, Source, Take, Taught
from app.board.panel_job import panel_job
from mlx_model.errors import RequestError
from mlx_model.request import from_json
from mlx_model.specs import SPECS
from tests.app.models.made_models import choose

MODEL = SPECS["flux2-klein-4b"]
MINI = SPECS["mini"]


def picture(name, width=160, height=96):
    return Picture(f"{name}{'0' * (64 - len(name))}", width, height, f"{name}.png")


def member(name, *pictures, role="character"):
    return Member(f"id-{name}", name, role, pictures=tuple(picture(each) for each in pictures or (name,)))


def reference(name, who=None):
    return PanelReference(f"ref-{name}", picture(name), "prop", name, member=who and who.id)


def take(name="take"):
    return Take("t1", picture(name), "{}", "mini", "2026-01-01T00:00:00Z", 3)


def board(*panels, **fields):
    return Board("b", scenes=(Scene("s", panels=tuple(panels)),), **fields)


def path_of(sha256):
    return Path("/blobs") / f"{sha256}.png"


def job(one, panel="p", model=MODEL, **options):
    return panel_job(one, panel, path_of, choose(one, panel, model), **options)


def names(request):
    return [Path(each.path).stem.rstrip("0") for each in request.references]


FOX, GULL, BAR = member("fox"), member("gull", "gull", "gullside"), member("bar", role="place")


def test_text_to_image_from_blank():
    made = job(board(Panel("p", "a fox on a beach"), style="ink drawing"))
    assert made.request.prompt == "a fox on a beach. ink drawing"
    assert made.request.references == ()
    assert (made.label, made.panel, made.model, made.request.model) == ("1A", "p", MODEL.name, MODEL.name)
    assert (made.request.width, made.request.height) == (1360, 768)
    assert made.request.steps == MODEL.steps


def test_the_order_is_source_then_references_then_mentioned_members():
    panel = Panel(
        "p",
        instruction="@bar, @hat and @gull",
        references=(reference("hat"), reference("coat")),
        takes=(take(),),
        current="t1",
        source=Source("take"),
    )
    one = board(panel, cast=(FOX, GULL, BAR))
    request = job(one).request
    assert names(request) == ["take", "hat", "coat", "bar", "gull"]
    assert request.prompt == "image 4, image 2 and image 5"
    assert request.references[3].role == "place"
    assert request.references[1] == dataclasses.replace(
        request.references[1], path=str(path_of(picture("hat").sha256)), name="hat", sha256=picture("hat").sha256
    )


def test_several_pictures_of_one_member_are_all_shown_and_the_first_is_mentioned():
    panel = Panel("p", "@gull flies", references=(reference("side", GULL), reference("front", GULL)))
    request = job(board(panel, cast=(GULL,))).request
    assert names(request) == ["side", "front"]
    assert request.prompt == "image 1 flies"


def test_a_mentioned_member_comes_once_and_the_style_may_mention_too():
    request = job(board(Panel("p", "@fox and @FOX!"), cast=(FOX, GULL), style="as @gull draws")).request
    assert names(request) == ["fox", "gull"]
    assert request.prompt == "image 1 and image 1! as image 2 draws"


def test_a_number_is_a_place_and_never_reaches_a_member():
    panel = Panel("p", "@2", references=(reference("hat"),))
    with pytest.raises(RequestError, match="@2 names no picture"):
        job(board(panel, cast=(FOX, GULL)))
    for number in (1, 9, 10, 11):
        with pytest.raises(RequestError, match=f"@{number} names no picture"):
            job(board(Panel("p", f"@{number} and @fox" if number > 1 else "@1"), cast=(FOX, GULL)))


def test_longest_name_wins():
    twin = member("fox-robot")
    assert names(job(board(Panel("p", "@fox-robot"), cast=(FOX, twin))).request) == ["fox-robot"]


def test_continue_from_another_panel():
    first = Panel("p1", "x", takes=(take("beach"),), current="t1")
    second = Panel("p2", instruction="make it night", source=Source("panel", "p1"))
    made = job(board(first, second), "p2")
    assert names(made.request) == ["beach"]
    assert made.label == "1B"


def test_an_instruction_edits_the_current_take_whatever_the_panel_says():
    first = Panel("p1", "x", takes=(take("beach"),), current="t1")
    panel = Panel("p", "", source=Source("panel", "p1"), takes=(take("mine"),), current="t1")
    request = job(board(first, panel), instruction="make it night").request
    assert (names(request), request.prompt) == (["mine"], "make it night")


@pytest.mark.parametrize(
    ("panel", "message"),
    [
        (Panel("p", "  "), "no prompt"),
        (Panel("p", instruction="x", source=Source("take")), "no picture to change"),
        (Panel("p", instruction="x", source=Source("panel", "gone")), "no longer there"),
        (Panel("p", instruction="x", source=Source("panel", "p0")), "panel 1A, which has no picture"),
        (Panel("p", "@nobody"), "@nobody names no picture"),
        (Panel("p", "x", references=tuple(reference(str(n)) for n in range(11))), "takes up to 10"),
        (Panel("p", "x", settings=Settings(width=100, height=100)), "not a size"),
    ],
)
def test_refusals(panel, message):
    one = board(Panel("p0"), panel, cast=(FOX, Member("g", "ghost")))
    with pytest.raises(RequestError, match=message):
        job(one)


def test_a_mention_of_nothing_is_told_whom_the_cast_has():
    with pytest.raises(RequestError) as told:
        job(board(Panel("p", "a dog and @nobody"), cast=(FOX,)))
    assert "@fox" in told.value.hint


def test_a_member_without_a_picture_is_told_by_its_name_and_counts_as_none():
    request = job(board(Panel("p", "@ghost looks at @fox"), cast=(Member("g", "ghost"), FOX))).request
    assert (names(request), request.prompt) == (["fox"], "ghost looks at image 1")


def test_the_place_of_a_scene_is_added_to_the_words_of_a_new_picture_and_to_no_edit():
    scene = Scene("s", "INT. B@R - NIGHT #12A#")
    placed = Panel("p", "a gull", in_place=True, takes=(take("beach"),), current="t1")
    edited = replace(placed, id="e", instruction="make it day", source=Source("take"))
    one = Board("b", style="ink", scenes=(replace(scene, panels=(placed, edited, Panel("q", "a gull"))),))
    assert [job(one, panel).request.prompt for panel in "peq"] == [
        "a gull. interior, b@r, night. ink", "make it day. ink", "a gull. ink",
    ]  # fmt: skip


def test_mentioned_members_count_towards_the_limit():
    panel = Panel("p", "@fox", references=tuple(reference(f"r{n}") for n in range(6)))
    with pytest.raises(RequestError, match="7 references are too many: the built-in model takes up to 6"):
        job(board(panel, cast=(FOX,)), model=MINI)


def test_seed():
    assert job(board(Panel("p", "x", seed=7, seed_locked=True))).request.seed == 7
    assert job(board(Panel("p", "x", seed=7, seed_locked=True)), seed=9).request.seed == 9
    free = {job(board(Panel("p", "x", seed=7))).request.seed for _ in range(5)}
    assert len(free) == 5


def test_a_mask_counts_only_on_the_source_it_was_painted_on():
    panel = Panel("p", instruction="x", mask=picture("mask"), takes=(take(),), current="t1", source=Source("take"))
    assert job(board(panel)).request.mask.path == str(path_of(picture("mask").sha256))
    other = Panel(
        "p", instruction="x", mask=picture("mask", 10, 10), takes=(take(),), current="t1", source=Source("take")
    )
    assert job(board(other)).request.mask is None
    blank = Panel("p", "x", mask=picture("mask"), references=(reference("hat"),))
    assert job(board(blank)).request.mask is None


def test_strength_needs_a_source():
    settings = Settings(strength=0.5, steps=2, width=256, height=128)
    blank = Panel("p", "x", settings=settings, references=(reference("hat"),))
    assert job(board(blank)).request.strength is None
    edit = Panel("p", instruction="x", settings=settings, takes=(take(),), current="t1", source=Source("take"))
    request = job(board(edit)).request
    assert (request.strength, request.steps, request.width, request.height) == (0.5, 2, 256, 128)


@given(
    st.lists(st.sampled_from(["fox", "gull", "bar", "hat", "coat"]), max_size=6),
    st.permutations(["hat", "coat"]),
    st.booleans(),
)
def test_numbers_in_the_prompt_are_places_of_the_pictures(mentions, order, edit):
    source, references = Source("take" if edit else "blank"), tuple(reference(name) for name in order)
    prompt = "go " + " ".join(f"@{name}" for name in mentions)
    panel = Panel("p", prompt, instruction=prompt, takes=(take(),), current="t1", references=references, source=source)
    request = job(board(panel, cast=(FOX, GULL, BAR))).request
    numbers = [int(word) for word in request.prompt.split() if word.isdigit()]
    assert [names(request)[number - 1] for number in numbers] == mentions


@pytest.fixture
def taught(monkeypatch, tmp_path):
    """A fox that the model was taught, and its file in the library."""
    monkeypatch.setenv("FLUX_LOCAL_HOME", str(tmp_path))
    (tmp_path / "loras").mkdir()
    file = tmp_path / "loras" / "foxy-2.safetensors"
    file.write_bytes(b"learned")
    return structs.replace(FOX, taught=(Taught(MODEL.name, "foxy-2", "foxy", 0.9),)), file


def test_a_member_that_the_model_was_taught_is_called_by_its_word_and_shows_no_picture(taught):
    fox, file = taught
    prompt = "@gull and @fox in @bar"
    made = job(board(Panel("p", prompt), cast=(fox, GULL, BAR))).request
    assert made.prompt == "image 1 and foxy in image 2"
    assert names(made) == ["gull", "bar"]
    assert [(lora.path, lora.scale) for lora in made.loras] == [(str(file), 0.9)]
    assert from_json(made.to_json()).loras == made.loras


def test_what_was_taught_counts_for_its_model_as_long_as_its_file_is_there(taught):
    fox, file = taught
    one = board(Panel("p", "@fox"), cast=(fox,))
    assert job(one, model=SPECS["flux2-klein-9b"]).request.loras == ()
    file.unlink()
    made = job(one).request
    assert (made.prompt, names(made), made.loras) == ("image 1", ["fox"], ())


def test_a_picture_that_the_artist_gave_stays_one(taught):
    fox, _ = taught
    panel = Panel("p", "@fox runs", references=(reference("fox", fox),))
    made = job(board(panel, cast=(fox,))).request
    assert (made.prompt, names(made), len(made.loras)) == ("foxy (image 1) runs", ["fox"], 1)


def test_a_model_that_takes_no_pictures_draws_whom_it_was_taught(taught):
    fox, _ = taught
    plain = SPECS["flux1-dev"]
    fox = structs.replace(fox, taught=(Taught(plain.name, "foxy-2", "foxy"),))
    assert job(board(Panel("p", "@fox runs"), cast=(fox,)), model=plain).request.prompt == "foxy runs"


def test_a_single_picture_is_seen_in_full_where_a_person_chose_that(tmp_path, monkeypatch):
    monkeypatch.setenv("FLUX_LOCAL_HOME", str(tmp_path))
    one = board(Panel("p", "a fox"))
    assert job(one).request.reference_size is None
    settings.save(settings.Settings(full_references=True))
    assert job(one).request.reference_size == 2024 * 2024
    assert job(one, model=SPECS["flux1-schnell"]).request.reference_size is None


def test_a_step_cache_is_used_where_it_gains_something():
    one = board(Panel("p", "a fox", settings=Settings(step_cache=0.1)))
    assert job(one, model=SPECS["flux1-dev"]).request.step_cache == 0.1
    assert job(one, model=SPECS["flux2-klein-4b"]).request.step_cache is None
    assert job(board(Panel("p", "a fox")), model=SPECS["flux1-dev"]).request.step_cache is None


@pytest.mark.parametrize("role", ["pose", "edges", "depth", "layout"])
def test_a_reference_that_is_to_be_followed_is_said_so_to_models_that_can(role):
    followed = PanelReference("ref", picture("stick"), role, "stick")
    one = board(Panel("p", "a dancer on a stage", references=(reference("hat"), followed)))
    prompt = job(one).request.prompt
    assert prompt.startswith("a dancer on a stage. ")
    assert prompt.count("image 2") == 1
    assert "image 1" not in prompt
    assert job(one, model=MINI).request.prompt == "a dancer on a stage"


def test_only_the_region_is_computed_where_a_mask_is_in_force_and_the_model_can():
    one = Panel("p", instruction="x", mask=picture("mask"), takes=(take(),), current="t1", source=Source("take"),
                settings=Settings(region=True))  # fmt: skip
    assert job(board(one)).request.region
    assert not job(board(one), model=SPECS["flux1-fill-dev"]).request.region
    assert not job(board(replace(one, mask=None))).request.region
    assert not job(board(replace(one, settings=Settings()))).request.region
