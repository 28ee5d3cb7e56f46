"""The part of a picture that a request uses: cut when it is opened, also once more, the file whole as it was."""

import numpy as np
import pytest
from PIL import Image

from app.pictures import inputs
from mlx_model.errors import RequestError
from mlx_model.request import Request, from_json


@pytest.fixture
def gradient(tmp_path):
    path = tmp_path / "gradient.png"
    row = np.arange(200, dtype=np.uint8)
    Image.fromarray(np.repeat(np.tile(row, (100, 1))[:, :, None], 3, axis=2)).save(path)
    return path


def test_the_part_is_used_and_recorded_with_the_whole_file(gradient):
    whole, part = inputs.load_reference(gradient, []), inputs.load_reference(gradient, [], crop=(20, 10, 120, 90))
    assert part.pixels.shape == (80, 100, 3)
    assert (part.pixels[0, 0, 0], part.pixels[0, -1, 0]) == (20, 119)
    assert (part.sha256, part.crop) == (whole.sha256, (20, 10, 120, 90))


def test_a_recorded_request_is_cut_again_the_same(gradient):
    request = Request("mini", references=(inputs.load_reference(gradient, [], crop=(20, 10, 120, 90)),))
    recorded = from_json(request.to_json())
    assert recorded.references[0].crop == (20, 10, 120, 90)
    for opened in (inputs.reload(recorded, gradient.parent / "out.png", []), inputs.load(recorded, [])):
        assert np.array_equal(opened.references[0].pixels, request.references[0].pixels)


@pytest.mark.parametrize("crop", [(0, 0, 201, 90), (0, 0, 30, 90), (-5, 0, 100, 90), (100, 0, 0, 90)])
def test_a_part_that_is_not_there_is_refused(gradient, crop):
    with pytest.raises(RequestError, match="does not fit"):
        inputs.load_reference(gradient, [], crop=crop)


@pytest.mark.parametrize("crop", [[1, 2, 3], ["a", 0, 1, 1], 7, [0, 0, 10.5, 10]])
def test_what_a_stranger_wrote_for_one_is_no_request(crop):
    request = Request("mini", references=(inputs.Reference("a.png"),))
    text = request.to_json().replace('"crop": null', f'"crop": {str(crop).replace(chr(39), chr(34))}')
    assert text != request.to_json()
    with pytest.raises(RequestError):
        from_json(text)
