"""The table of 8-bit floats against torch's."""

import numpy as np
import pytest

from converters.formats import fp8

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.parity


def test_every_code():
    theirs = torch.arange(256, dtype=torch.uint8).view(torch.float8_e4m3fn).float().numpy()
    assert np.array_equal(fp8.make_table(), theirs, equal_nan=True)
    assert np.array_equal(np.signbit(fp8.make_table()), np.signbit(theirs))
