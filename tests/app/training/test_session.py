"""A training run, whole: a set, a run, going on, samples, the result in the next picture."""

import contextlib
import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from app.training import session
from app.training.session import Plan, train
from mlx_model.errors import DiskFull, LayoutError, RequestError
from mlx_model.events import Done, Learned, Preview
from mlx_model.request import Lora, Request
from mlx_model.run.pipeline import Pipeline
from mlx_model.store.folder import open_folder
from mlx_model.training import loop
from mlx_model.training.needs import Settings, count_checkpoint_bytes

MINI = Path(__file__).parents[3] / "assets" / "mini"


@pytest.fixture
def plan(tmp_path):
    data = tmp_path / "set"
    data.mkdir()
    pixels = np.random.default_rng(1).integers(0, 255, (64, 64, 3)).astype(np.uint8)
    for name in ("a", "b"):
        Image.fromarray(pixels).save(data / f"{name}.png")
        (data / f"{name}.txt").write_text(f"a fox {name}")
    settings = Settings(rank=4, rate=1e-3)
    return Plan(data, tmp_path / "fox", "fox", settings, 2, size=64, sample_every=2, trigger="foxy")


def run(plan):
    return list(train(open_folder(MINI), plan))


def test_a_lora_is_trained_goes_on_and_is_used(plan):
    events = run(plan)
    assert [event.step for event in events if isinstance(event, Learned)] == [1, 2]
    assert [event.step for event in events if isinstance(event, Preview)] == [2]
    result = Path(events[-1].path)
    assert sorted(plan.out.rglob("*.safetensors")) == [result]
    assert {path.name for path in (plan.out / "samples").iterdir()} == {"before.npy", "step-000002.png"}
    run(replace(plan, steps=3, resume=True))
    assert [json.loads(line)["step"] for line in (plan.out / "log.jsonl").read_text().splitlines()] == [1, 2, 3]
    assert (plan.out / "loss.png").exists()
    request = Request("mini", "a fox", 64, 64, steps=1, loras=(Lora(str(result)),))
    *_, done = Pipeline.open(MINI).run(request)
    assert isinstance(done, Done)


def test_closing_a_run_keeps_where_it_stands(plan):
    events = train(open_folder(MINI), replace(plan, steps=50, sample_every=0))
    assert next(event for event in events if isinstance(event, Learned)).step == 1
    events.close()
    assert loop.load_trees(plan.out / "state.checkpoint")[1]["step"] == "1"
    assert list(plan.out.glob("*.safetensors")) == []


@pytest.mark.sweep
def test_a_run_is_in_one_hand_at_a_time(plan):
    events = train(open_folder(MINI), replace(plan, steps=50, sample_every=0))
    next(event for event in events if isinstance(event, Learned))
    with pytest.raises(RequestError, match="goes on already"):
        run(replace(plan, resume=True))
    events.close()
    run(replace(plan, resume=True))


@pytest.mark.sweep
def test_steps_after_the_last_checkpoint_are_told_once(plan):
    """A crash leaves a log that is ahead of the checkpoint."""
    run(replace(plan, sample_every=0))
    state = (plan.out / "state.checkpoint").read_bytes()
    run(replace(plan, steps=4, resume=True, sample_every=0))
    with (plan.out / "log.jsonl").open("a") as log:
        log.write('{"step": 5, "lo')
    (plan.out / "state.checkpoint").write_bytes(state)
    run(replace(plan, steps=4, resume=True, sample_every=0))
    assert [json.loads(line)["step"] for line in (plan.out / "log.jsonl").read_text().splitlines()] == [1, 2, 3, 4]


@pytest.mark.sweep
def test_samples_of_before_are_of_before_also_where_a_run_asks_for_them_late(plan, tmp_path):
    early, late = plan, replace(plan, out=tmp_path / "late", sample_every=0)
    run(early)
    run(late)
    run(replace(late, steps=3, sample_every=1, resume=True))
    before = [(one.out / "samples" / "before.npy").read_bytes() for one in (early, late)]
    assert before[0] == before[1]


@pytest.mark.sweep
def test_a_full_disk_keeps_the_last_checkpoint(plan, monkeypatch):
    run(plan)
    before = (plan.out / "state.checkpoint").read_bytes()

    def fill(*given, **options):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(loop.mx, "save_safetensors", fill)
    with pytest.raises(DiskFull):
        run(replace(plan, steps=3, resume=True, sample_every=0))
    assert (plan.out / "state.checkpoint").read_bytes() == before


@pytest.mark.sweep
def test_a_disk_without_room_for_the_checkpoints_is_told_before_the_first_step(plan, monkeypatch):
    monkeypatch.setattr(session, "free_bytes", lambda path: 2**20)
    with pytest.raises(DiskFull, match="are free"):
        run(plan)
    assert not any(plan.out.iterdir())
    room = count_checkpoint_bytes(open_folder(MINI).spec, plan.settings)
    monkeypatch.setattr(session, "free_bytes", lambda path: 2 * room)
    run(plan)
    assert (plan.out / "state.checkpoint").stat().st_size <= room
    monkeypatch.setattr(session, "free_bytes", lambda path: room)  # the checkpoint before lies there already
    run(replace(plan, steps=3, resume=True))


def test_a_run_is_gone_on_with_by_its_own_model_and_begun_in_an_empty_folder(plan, tmp_path):
    run(replace(plan, sample_every=0))
    with pytest.raises(RequestError, match="a run already"):
        run(plan)
    with pytest.raises(RequestError, match="no run"):
        run(replace(plan, out=tmp_path / "other", resume=True))
    said = json.loads((plan.out / "run.json").read_text())
    (plan.out / "run.json").write_text(json.dumps(said | {"model": "flux2-klein-4b"}))
    with pytest.raises(RequestError, match="trains flux2-klein-4b"):
        run(replace(plan, steps=3, resume=True))
    (plan.out / "run.json").write_text('["')
    with pytest.raises(RequestError, match="damaged"):
        run(replace(plan, steps=3, resume=True))


def test_a_run_is_not_put_among_its_examples(plan):
    with pytest.raises(RequestError, match="inside the examples"):
        run(replace(plan, out=plan.data / "out"))
    assert not (plan.data / "out").exists()


def make_pictures(folder):
    for name in ("loss.png", "samples/step-000003.png"):
        Image.fromarray(np.full((64, 64, 3), 9, np.uint8)).save(folder / name)
        (folder / name).with_suffix(".txt").write_text("a fox")


def list_given(plan, tmp_path, how):
    """A set outside of the run's folder that is made of pictures inside it, by names or by links."""
    table, beside = tmp_path / "set.jsonl", tmp_path / "linked"
    beside.mkdir()
    if how == "control":
        lines = [{"image": str(plan.data / "a.png"), "text": "a", "control": "fox/../fox/loss.png"}]
    elif how == "link":
        lines = [{"image": "linked/a.png", "text": "a"}]
        (beside / "a.png").symlink_to(plan.out / "loss.png")
    elif how == "folder of a link":
        (beside / "in").symlink_to(plan.out / "samples")
        lines = [{"image": "linked/in/step-000003.png", "text": "a"}]
    else:
        table = plan.out / "set.jsonl" if how == "table" else table
        lines = [{"image": str(plan.out / "samples" / "step-000003.png"), "text": "a"}]
    table.write_text("\n".join(map(json.dumps, lines)))
    return table


@pytest.mark.sweep
@pytest.mark.parametrize("how", ["names", "control", "link", "folder of a link", "table"])
def test_a_run_goes_on_from_no_picture_that_it_would_overwrite(plan, tmp_path, how):
    run(plan)
    make_pictures(plan.out)
    given = list_given(plan, tmp_path, how)
    before = {path: path.read_bytes() for path in plan.out.rglob("*") if path.is_file()}
    with pytest.raises(RequestError, match="one of the files you gave"):
        run(replace(plan, data=given, steps=3, resume=True))
    assert {path: path.read_bytes() for path in plan.out.rglob("*") if path.is_file()} == before


@pytest.mark.sweep
def test_a_run_puts_its_result_over_no_other_file(plan):
    run(plan)
    (plan.out / "other.safetensors").write_text("mine")
    with pytest.raises(RequestError, match="no result of this run"):
        run(replace(plan, name="other", steps=3, resume=True))
    assert (plan.out / "other.safetensors").read_text() == "mine"


def test_a_run_is_not_put_into_its_model(plan, tmp_path):
    model = shutil.copytree(MINI, tmp_path / "model")
    with pytest.raises(RequestError, match="inside the model"):
        list(train(open_folder(model), replace(plan, out=model / "run")))
    assert not (model / "run").exists()


def link(place, victim):
    place.rename(place.with_name(f"{place.name}-away"))
    place.symlink_to(victim)


@pytest.mark.sweep
@pytest.mark.parametrize("name", ["log.jsonl", "state.checkpoint", "run.json", "samples", "cache"])
def test_a_link_in_a_run_from_somebody_else_is_refused(plan, tmp_path, name):
    run(plan)
    victim = tmp_path / "mine"
    victim.mkdir()
    (victim / "step-000003.png").write_text("mine")
    link(plan.out / name, victim / "step-000003.png" if "." in name else victim)
    with pytest.raises(RequestError, match="a link"):
        run(replace(plan, steps=3, resume=True))
    assert {file.name: file.read_text() for file in victim.iterdir()} == {"step-000003.png": "mine"}


@pytest.mark.sweep
@pytest.mark.parametrize("name", ["log.jsonl", "samples", "cache"])
def test_a_link_that_comes_while_it_runs_is_not_written_through(plan, tmp_path, name):
    run(plan)
    victim = tmp_path / "mine"
    victim.mkdir()
    (victim / "step-000003.png").write_text("mine")
    events = train(open_folder(MINI), replace(plan, steps=3, resume=True))
    next(events)
    link(plan.out / name, victim / "step-000003.png" if "." in name else victim)
    with contextlib.suppress(RequestError):
        list(events)
    assert {file.name: file.read_text() for file in victim.iterdir()} == {"step-000003.png": "mine"}


@pytest.mark.sweep
def test_a_backup_made_of_hard_links_keeps_its_log(plan, tmp_path):
    run(plan)
    before = (plan.out / "log.jsonl").read_text()
    (tmp_path / "backup.jsonl").hardlink_to(plan.out / "log.jsonl")
    run(replace(plan, steps=3, resume=True))
    assert (tmp_path / "backup.jsonl").read_text() == before
    assert (plan.out / "log.jsonl").read_text().startswith(before)
    assert len((plan.out / "log.jsonl").read_text().splitlines()) == 3


def make_npy(shape):
    head = f"{{'descr': '|u1', 'fortran_order': False, 'shape': {shape}, }}".ljust(117).encode() + b"\n"
    return b"\x93NUMPY\x01\x00" + len(head).to_bytes(2, "little") + head


@pytest.mark.sweep
@pytest.mark.parametrize("data", [make_npy((99999999999, 99999, 3)), make_npy((1, 1, 3)) + b"abc", b"\x80\x04N."])
def test_samples_of_before_may_be_anything(plan, data):
    run(plan)
    (plan.out / "samples" / "before.npy").write_bytes(data)
    run(replace(plan, steps=3, resume=True))
    assert (plan.out / "samples" / "step-000003.png").exists()


@pytest.mark.sweep
@pytest.mark.parametrize("line", [b'{"step": %s, "loss": 1}' % (b"9" * 400), b'{"step": 7, "loss": NaN}', b"\xff"])
def test_a_log_may_be_anything(plan, line):
    run(plan)
    with (plan.out / "log.jsonl").open("ab") as log:
        log.write(line + b"\n")
    run(replace(plan, steps=3, resume=True))


@pytest.mark.sweep
@pytest.mark.parametrize("facts", [{"settings": "7"}, {"step": "9" * 400}, {"step": "-1"}])
def test_a_checkpoint_that_no_run_wrote_is_refused(plan, facts):
    run(replace(plan, sample_every=0))
    file = plan.out / "state.checkpoint"
    trees, known = loop.load_trees(file)
    loop.save_trees(file, trees, known | facts)
    with pytest.raises(LayoutError, match="damaged"):
        run(replace(plan, steps=3, resume=True))


@pytest.mark.sweep
@pytest.mark.parametrize("kind", ["trained", "ema", "optimizer"])
def test_a_checkpoint_of_other_shapes_is_refused(plan, kind):
    run(replace(plan, sample_every=0))
    file = plan.out / "state.checkpoint"
    trees, known = loop.load_trees(file)
    loop.save_trees(file, trees | {kind: {"other": loop.mx.zeros(3)}}, known)
    with pytest.raises(LayoutError, match="damaged"):
        run(replace(plan, steps=3, resume=True))
