"""The stories that come along."""

import pytest

from app.board.panel_job import panel_job, resolve
from app.fluxboard import samples
from app.models import library
from mlx_model.run.tokenize import PromptTokenizer


@pytest.mark.parametrize("name", samples.SAMPLES)
def test_the_built_in_model_reads_every_word_of_a_story(name, tmp_path):
    """The last word of the outfit was the sixth picture, and was left out."""
    folder = library.find(library.BUILT_IN).folder
    tokenizer = PromptTokenizer(folder.tokenizer_path, folder.spec.template, folder.spec.max_tokens)
    with samples.create(name, tmp_path / "story.fluxboard") as file:
        for panel in file.board.panels():
            choice = resolve(file.board, panel, library.BUILT_IN)
            job = panel_job(file.board, panel.id, file.picture_path, choice)
            assert not tokenizer.left_out(job.request.prompt), job.request.prompt
