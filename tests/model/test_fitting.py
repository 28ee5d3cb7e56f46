"""How a run fits: whole, read from the disk as it runs, or not, and the way out that is offered then."""

import dataclasses

import pytest

from mlx_model import fitting, memory
from mlx_model.errors import Advice, WillNotFit
from mlx_model.fitting import Wanted, choose, expect, require
from mlx_model.memory import GIB, Machine, Streamed, forecast
from mlx_model.specs import SPECS

M1 = Machine("Apple M1", 16 * GIB, 8 * GIB, 8, True, 2.6)
KLEIN = SPECS["flux2-klein-4b"]
MEGAPIXEL = (1024, 1024)


def test_what_would_fit_is_said():
    spec = SPECS["flux2-klein-9b"]
    with pytest.raises(WillNotFit, match="the model at 6 bits") as caught:
        require(Wanted(spec, MEGAPIXEL, [MEGAPIXEL] * 2), dataclasses.replace(M1, total=5 * GIB))
    assert caught.value.exit_code == 4
    assert "predicted" in caught.value.message


@pytest.mark.parametrize("name", SPECS)
def test_what_is_offered_does_fit(name):
    spec = SPECS[name]
    for total in (1, 2, 4, 8, 12, 16, 24, 32, 64):
        here = dataclasses.replace(M1, total=total * GIB)
        try:
            require(Wanted(spec, spec.size, [spec.size] * spec.max_references), here)
        except WillNotFit as error:
            hint = error.hint
        else:
            continue
        if isinstance(hint, Advice) or " and no references" in hint:
            continue
        if "references" in hint:
            count = int(hint.split(" references")[0].rsplit(" ", 1)[1])
            assert memory.fits(choose(Wanted(spec, spec.size, [spec.size] * count), here), here)
        if " bits" in hint:
            bits = int(hint.split(" bits")[0].rsplit(" ", 1)[1])
            assert memory.fits(
                choose(Wanted(spec, spec.size, [spec.size] * spec.max_references, bits=bits), here), here
            )


class Converted:
    """A folder of that model whose components take that many bytes a weight."""

    def __init__(self, spec, bytes_each):
        self.spec, self.components = spec, dict.fromkeys(spec.parameters)
        self.bytes_each = bytes_each

    def count_held(self, role, number_bytes):
        return int(self.spec.parameters[role] * self.bytes_each)

    def count_streamed(self, role, number_bytes):
        """Two of ten blocks, and a tenth that stays."""
        whole = self.count_held(role, number_bytes)
        return Streamed(whole // 10, whole // 5)


MANY = [MEGAPIXEL] * 4


def weighed(spec, bytes_each=2.0):
    return fitting.weigh(Converted(spec, bytes_each), 2)


@pytest.mark.parametrize(("total", "stays"), [(12, ""), (16, "transformer"), (48, "text_encoder transformer")])
def test_what_stays_loaded_is_what_there_is_room_for(monkeypatch, total, stays):
    monkeypatch.setattr(memory, "machine", lambda: dataclasses.replace(M1, total=total * GIB))
    needed, _ = expect(Converted(KLEIN, 2.0), KLEIN.size, [], 2)
    assert " ".join(sorted(needed.stay - memory.ALWAYS)) == stays
    assert needed.peak <= memory.machine().usable


def test_banks_get_half_of_what_nothing_else_needs(monkeypatch):
    kv = SPECS["flux2-klein-9b-kv"]
    rooms = []
    for total in (16, 32, 64, 128):
        monkeypatch.setattr(memory, "machine", lambda total=total: dataclasses.replace(M1, total=total * GIB))
        needed, room = expect(Converted(kv, 0.57), kv.size, MANY, 2)
        assert room - 8 * GIB <= max(0, memory.machine().usable - needed.peak)
        rooms.append(room)
    assert rooms == sorted(rooms)
    assert 8 * GIB <= rooms[0] < 9 * GIB
    assert rooms[-1] > 24 * GIB


def say_streamed(needed):
    return " ".join(sorted(needed.streamed))


@pytest.mark.parametrize(("total", "streamed"), [(32, ""), (12, "transformer"), (8, "text_encoder transformer")])
def test_as_little_as_needed_is_read_as_it_runs(total, streamed):
    here = dataclasses.replace(M1, total=total * GIB)
    needed = require(Wanted(KLEIN, MEGAPIXEL, weights=weighed(KLEIN, 2.6)), here)
    assert say_streamed(needed) == streamed
    assert needed.peak <= here.usable


def test_on_request_all_is_read_as_it_runs():
    needed = require(
        Wanted(KLEIN, MEGAPIXEL, weights=weighed(KLEIN), low=True), dataclasses.replace(M1, total=64 * GIB)
    )
    assert say_streamed(needed) == "text_encoder transformer"
    assert (
        needed.peak
        < require(Wanted(KLEIN, MEGAPIXEL, weights=weighed(KLEIN)), dataclasses.replace(M1, total=64 * GIB)).peak / 2
    )


def test_what_is_streamed_counts_two_blocks_where_it_works_and_what_stays_elsewhere():
    whole, streamed = {"transformer": 90, "text_encoder": 50, "autoencoder": 7}, {"transformer": Streamed(9, 20)}
    phases = forecast(KLEIN, weights=whole, streamed=streamed, gpu=True).phases
    assert [phases[name].weights for name in ("text", "denoise", "decode")] == [50, 9 + 20 + 7, 9 + 7]


def test_adapters_stay_whatever_is_streamed():
    more = weighed(KLEIN).add(100)
    assert more.whole["transformer"] - weighed(KLEIN).whole["transformer"] == 100
    assert more.streamed["transformer"].resting - weighed(KLEIN).streamed["transformer"].resting == 100


def test_what_is_too_much_even_so_is_told():
    with pytest.raises(WillNotFit, match="even with its weights read from the disk as it runs") as caught:
        require(Wanted(KLEIN, MEGAPIXEL, [MEGAPIXEL] * 4, weighed(KLEIN)), dataclasses.replace(M1, total=2 * GIB))
    assert "512x512 and no references" in caught.value.hint
