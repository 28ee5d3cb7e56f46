"""What a benchmark makes of its repetitions."""

from app.models.benchmark import Task, sum_up

TASK = Task("mini", "64x64", references=0, steps=2)


def repetition(step, peak=10):
    times = {"first_seconds": 3 * step, "edit_seconds": 2 * step, "step_seconds": step}
    return times | {"peak_bytes": peak, "blas": None, "dtype": "float32", "streamed": []}


def test_medians_the_most_memory_and_how_much_slower_it_became():
    found = sum_up(TASK, [repetition(1.0), repetition(1.1, 30), repetition(1.2)], 0.5)
    assert (found["step_seconds"], found["edit_seconds"], found["peak_bytes"]) == (1.1, 2.2, 30)
    assert (found["slower"], found["runs"], found["load_before"]) == (1.2, 3, 0.5)
    assert [one["step_seconds"] for one in found["each"]] == [1.0, 1.1, 1.2]
    assert found["step_tflops"] == found["step_flops"] / 1.1 / 1e12


def test_what_can_not_be_timed_is_said_before_anything_starts(monkeypatch):
    from click.testing import CliRunner

    from app.cli.group import cli

    monkeypatch.setattr("subprocess.run", lambda *_, **__: 1 / 0)
    assert CliRunner().invoke(cli, ["bench", "-m", "mini", "--size", "9x9"]).exit_code == 2
