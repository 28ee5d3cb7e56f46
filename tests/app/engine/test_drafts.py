"""Words that are written out in the worker: the order, the text that comes back, and one model at a time."""

import io

from app.engine import protocol
from app.engine.jobs import Draft, Job
from app.engine.worker import Worker
from mlx_model.events import Done, Stage, Step
from mlx_model.request import Request
from mlx_model.run.write import Writer

DRAFT = Draft("a fox", "/models/Qwen", ("@fox (character)",), True, 3)


def test_the_worker_writes_the_text_and_lets_other_models_go(tmp_path, monkeypatch):
    asked = []

    class Spoken:
        def write(self, *given):
            asked.append(given)
            yield Step(1, 9, 0.0, 0.0)
            return "A red fox."

    monkeypatch.setattr(Writer, "open", classmethod(lambda cls, folder, usable: asked.append(str(folder)) or Spoken()))
    job = Job("w1", "Words", Request("mini"), "", draft=DRAFT)
    message = protocol.to_worker(protocol.line(protocol.order(job, tmp_path / "w1", ()))[:-1])
    worker = Worker(0, io.BytesIO(), lambda *_: iter(()))
    worker._pipeline = object()
    stage, step, done = worker._begin(message)
    assert stage == Stage("load", "Qwen")
    assert isinstance(step, Step)
    assert isinstance(done, Done)
    assert worker._pipeline is None
    assert (tmp_path / "w1" / "words.txt").read_text() == "A red fox."
    assert asked == ["/models/Qwen", ("a fox", ("@fox (character)",), True, 3, False)]
