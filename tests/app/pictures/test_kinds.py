"""What is opened and saved is one table; what is said about it says the same."""

import re

import numpy as np
import pytest
from PIL import Image

from app.cli.options import run_options
from app.pictures import images, kinds
from app.pictures.images import open_picture, save_picture


@pytest.mark.parametrize("ending", kinds.SAVED)
def test_what_is_saved_is_opened_again(tmp_path, ending):
    path = save_picture(np.full((64, 80, 3), 90, np.uint8), tmp_path / f"a{ending}", None, edited=False)
    with Image.open(path) as image:
        assert image.format == kinds.OPENED[ending]
    assert open_picture(path).shape == (64, 80, 3)


def test_every_format_that_is_saved_has_its_settings():
    assert set(kinds.SAVED.values()) == set(images.SETTINGS)


def test_the_names_are_those_of_the_table():
    called = {"HEIC": kinds.HEIF}
    named = [called.get(name, name.upper()) for name in re.split(", | or ", kinds.NAMES)]
    assert sorted(named) == sorted(set(kinds.OPENED.values()))


def test_the_help_of_output_names_what_is_saved():
    command = run_options(lambda: None)
    [output] = [option for option in command.__click_params__ if option.name == "output"]
    named = re.findall(r"[a-z]+", output.help.split(": ")[1])
    assert {kinds.SAVED[f".{name}"] for name in named} == set(kinds.SAVED.values())
