"""Pickles that would run code, lie or never end: refused, and nothing of them is ever executed.

Files are written by hand, without torch: a zip of stored entries, as torch.save makes them.
"""

import os
import pickle
import pickletools
import struct
import zipfile
from collections import OrderedDict

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from converters.formats import pickle_free, pickle_machine
from converters.formats.pickle_free import read_tensors
from mlx_model.errors import UnsafeFile
from tests.measuring import peak_of_python

END = b"."


def text(value: str) -> bytes:
    return b"X" + struct.pack("<I", len(value.encode())) + value.encode()


def whole(value: int) -> bytes:
    if 0 <= value < 2**31:
        return b"J" + struct.pack("<i", value)
    raw = value.to_bytes((value.bit_length() + 8) // 8, "little", signed=True)
    return b"\x8a" + bytes([len(raw)]) + raw


def name(module: str, attribute: str) -> bytes:
    return f"c{module}\n{attribute}\n".encode()


def numbers(values) -> bytes:
    return b"(" + b"".join(map(whole, values)) + b"t"


def storage(kind="FloatStorage", key="0", count=6) -> bytes:
    return b"(" + text("storage") + name("torch", kind) + text(key) + text("cpu") + whole(count) + b"tQ"


def tensor(shape=(2, 3), strides=(3, 1), start=0, block: bytes | None = None) -> bytes:
    block = storage() if block is None else block
    rest = b"\x89" + name("collections", "OrderedDict") + b")R"
    arguments = b"(" + block + whole(start) + numbers(shape) + numbers(strides) + rest + b"t"
    return name("torch._utils", "_rebuild_tensor_v2") + arguments + b"R"


def state(**items: bytes) -> bytes:
    return b"}(" + b"".join(text(key) + value for key, value in items.items()) + b"u"


def program(*parts: bytes) -> bytes:
    return b"\x80\x02" + b"".join(parts) + END


SIX = np.arange(6, dtype="<f4")


def write(file, pickled: bytes, blocks=None, extra=None, compression=zipfile.ZIP_STORED, root="archive"):
    blocks = {"0": SIX.tobytes()} if blocks is None else blocks
    with zipfile.ZipFile(file, "w", compression) as archive:
        archive.writestr(f"{root}/data.pkl", pickled)
        for key, raw in blocks.items():
            archive.writestr(f"{root}/data/{key}", raw)
        for key, raw in (extra or {}).items():
            archive.writestr(key, raw)
    return file


@pytest.fixture
def file(tmp_path):
    return tmp_path / "weights.pth"


def refused(file, match=None):
    with pytest.raises(UnsafeFile, match=match) as error:
        read_tensors(file)
    assert file.name in error.value.message
    assert len(str(error.value)) < 600


# what is read


def test_a_plain_file_is_read(file):
    write(file, program(state(w=tensor(), t=tensor((3, 2), (1, 3)), s=tensor((2,), (2,), 1), n=tensor((), (), 5))))
    found = read_tensors(file)
    assert {key: found[key].shape for key in found} == {"w": (2, 3), "t": (3, 2), "s": (2,), "n": ()}
    assert found["w"].raw().tolist() == [[0, 1, 2], [3, 4, 5]]
    assert found["t"].raw().tolist() == [[0, 3], [1, 4], [2, 5]]
    assert found["s"].raw().tolist() == [1, 3]
    assert found["n"].array().shape == ()
    assert found["n"].array().item() == 5
    assert found["w"].dtype == "F32"


@pytest.mark.parametrize(("kind", "raw", "dtype", "values"), [
    ("HalfStorage", np.array([1.5, -2, 65504], "<f2"), "F16", [1.5, -2, 65504]),
    ("BFloat16Storage", np.array([0x3FC0, 0xC000, 0x7F7F], "<u2"), "BF16", [1.5, -2, 3.3895313892515355e38]),
    ("LongStorage", np.array([1, -2, 2**62], "<i8"), "I64", [1, -2, 2**62]),
])  # fmt: skip
def test_number_formats(file, kind, raw, dtype, values):
    write(file, program(state(w=tensor((3,), (1,), 0, storage(kind, "0", 3)))), {"0": raw.tobytes()})
    found = read_tensors(file)["w"]
    assert (found.dtype, found.array().tolist(), found.nbytes) == (dtype, values, raw.nbytes)


@pytest.mark.parametrize("wrap", [
    lambda inner: inner,
    lambda inner: state(model=inner, step=whole(7)),
    lambda inner: state(state_dict=inner, epoch=whole(1)),
    lambda inner: state(state_dict=state(model=inner)),
    lambda inner: state(model=state(other=tensor()), ema=inner, optimizer=state(groups=b"](" + whole(1) + b"e")),
])  # fmt: skip
@pytest.mark.parametrize("prefix", ["", "module.", "_orig_mod."])
def test_nests_and_prefixes(file, wrap, prefix):
    write(file, program(wrap(state(**{prefix + "a.weight": tensor(), prefix + "b.bias": tensor()}))))
    assert set(read_tensors(file)) == {"a.weight", "b.bias"}


def test_the_caller_may_choose_the_nest(file):
    write(file, program(state(model=state(raw=tensor()), ema=state(averaged=tensor()))))
    assert set(read_tensors(file)) == {"averaged"}
    assert set(read_tensors(file, "model")) == {"raw"}
    with pytest.raises(UnsafeFile, match="no dict of tensors"):
        read_tensors(file, "teacher")


def test_parameters_and_noted_versions(file):
    parameter = name("torch._utils", "_rebuild_parameter") + b"(" + tensor() + b"\x88" + b"Nt" + b"R"
    noted = name("collections", "OrderedDict") + b")R(" + text("w") + parameter + b"u" + state(_metadata=b"}") + b"b"
    write(file, program(noted))
    assert read_tensors(file)["w"].shape == (2, 3)


def test_nothing_is_read_before_it_is_asked_for(file):
    count = 4_000_000
    write(file, program(state(w=tensor((count,), (1,), 0, storage(count=count)))), {"0": bytes(4 * count)})
    found = {}
    assert peak_of_python(lambda: found.update(read_tensors(file))) < 1_000_000
    assert found["w"].nbytes == 4 * count


# what would run code


@pytest.fixture
def canary(tmp_path):
    """A file that every one of these programs would create."""
    path = tmp_path / "canary"
    yield path
    assert not path.exists()


def shell(path) -> str:
    return f"touch {path}"


def python(path) -> str:
    return f"open({str(path)!r}, 'w').close()"


class Reduced:
    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


def attacks(path):
    """Made by Python's own pickler: each runs when unpickled."""
    return {
        "os.system": Reduced(os.system, shell(path)),
        "eval": Reduced(eval, python(path)),
        "exec": Reduced(exec, python(path)),
        "open": Reduced(open, str(path), "w"),
        "import": Reduced(__import__, "os"),
        "dict of weights": OrderedDict(w=Reduced(exec, python(path))),
        "hidden in a nest": {"model": {}, "args": [Reduced(os.system, shell(path))]},
    }


@pytest.mark.parametrize("protocol", [0, 1, 2, 3, 4, 5])
@pytest.mark.parametrize("attack", attacks("x"))
def test_code_is_never_run(file, canary, attack, protocol):
    write(file, pickle.dumps(attacks(canary)[attack], protocol))
    refused(file)


def test_the_canary_sings_for_python_itself(tmp_path):
    """These attacks are real: the unpickler of Python runs one."""
    path = tmp_path / "sung"
    pickle.loads(pickle.dumps(attacks(path)["exec"], 2))
    assert path.exists()


def by_hand(path):
    """What a pickler would not write."""
    command = text(python(path))
    execute = name("builtins", "exec") + b"(" + command + b"tR"
    return {
        "after the weights": program(state(w=tensor()), b"0", execute),
        "before the weights": program(execute, b"0", state(w=tensor())),
        "as a key": program(b"}", execute, tensor(), b"s"),
        "as a shape": program(name("torch._utils", "_rebuild_tensor_v2"), b"(", storage(), execute, b"tR"),
        "as a kind": program(b"(", text("storage"), name("os", "system"), text("0"), text("cpu"), whole(6), b"tQ"),
        "as a block": program(state(w=tensor(block=execute))),
        "as hooks": program(
            name("torch._utils", "_rebuild_tensor_v2") + b"(" + storage() + whole(0) + numbers((6,)) + numbers((1,)),
            b"\x89" + execute + b"tR",
        ),
        "obj": program(b"(" + name("builtins", "exec") + command + b"o"),
        "inst": program(b"(" + command + b"ibuiltins\nexec\n"),
        "newobj": program(name("builtins", "exec") + b"(" + command + b"t\x81"),
        "extension": program(b"\x82\x01"),
        "stack global": program(text("builtins") + text("exec") + b"\x93(" + command + b"tR"),
        "a text persistent id": program(b"Pos.system\n"),
        "build on a name": program(name("collections", "OrderedDict") + state(x=whole(1)) + b"b"),
        "build on a tensor": program(tensor() + state(x=whole(1)) + b"b"),
        "OrderedDict with arguments": program(name("collections", "OrderedDict") + b"(" + b"]" + b"tR"),
        "dotted": program(name("collections", "OrderedDict.fromkeys") + b"(" + b"]" + b"tR"),
        "torch.load": program(name("torch", "load") + b"(" + command + b"tR"),
        "a call of a dict": program(b"})R"),
        "double storage": program(state(w=tensor(block=storage("DoubleStorage", "0", 3)))),
        "untyped storage": program(name("torch.storage", "UntypedStorage") + b")R"),
        "a similar name": program(name("torch._utils", "_rebuild_tensor_v2 ") + b")R"),
        "a name in two lines": program(b"ccollections\nOrderedDict os\n)R"),
    }


@pytest.mark.parametrize("attack", by_hand("x"))
def test_hand_made_programs(file, canary, attack):
    write(file, by_hand(canary)[attack])
    refused(file)


def test_no_name_is_ever_looked_up(file, monkeypatch):
    """Neither importing nor attribute look-up happens, even for the names that are allowed."""
    assert not {"torch", "pickle", "importlib"} & {*vars(pickle_machine), *vars(pickle_free)}
    write(file, program(state(w=tensor())))

    def never(*_):
        raise AssertionError("looked up")

    monkeypatch.setattr("builtins.__import__", never)
    found = read_tensors(file)
    monkeypatch.undo()
    assert found["w"].shape == (2, 3)


# what lies about sizes


@pytest.mark.parametrize(("shape", "strides", "start"), [
    ((7,), (1,), 0),
    ((2, 3), (3, 1), 1),
    ((2,), (6,), 0),
    ((1,), (1,), 6),
    ((10**12,), (0,), 0),
    ((2**62, 2**62), (0, 0), 0),
    ((2**2000, 2**2000), (1, 1), 0),
    ((3, 3), (0, 1), 0),
    ((2,), (1, 1), 0),
    ((1,) * 9, (1,) * 9, 0),
    ((0, 5), (5, 1), 7),
])  # fmt: skip
def test_shapes_beyond_the_block(file, shape, strides, start):
    write(file, program(state(w=tensor(shape, strides, start))))
    refused(file)


def test_negative_numbers(file):
    minus = b"J" + struct.pack("<i", -1)
    call = name("torch._utils", "_rebuild_tensor_v2") + b"(" + storage()
    for rest in (minus + numbers((1,)) + numbers((1,)), whole(5) + b"(" + minus + b"t" + numbers((1,)),
                 whole(5) + numbers((2,)) + b"(" + minus + b"t"):  # fmt: skip
        write(file, program(state(w=call + rest + b"tR")))
        refused(file, "negative")


@pytest.mark.parametrize(("block", "blocks"), [
    (storage(count=7), None),
    (storage(count=5), None),
    (storage(count=10**15), None),
    (storage(key="1"), None),
    (storage(key="../data.pkl"), None),
    (storage(key="0", count=0), {"0": b"abc"}),
])  # fmt: skip
def test_blocks_that_lie(file, block, blocks):
    write(file, program(state(w=tensor(block=block))), blocks)
    refused(file)


def test_one_block_as_two_kinds(file):
    both = state(a=tensor((6,), (1,)), b=tensor((6,), (1,), 0, storage("HalfStorage", "0", 6)))
    write(file, program(both), {"0": bytes(24)})
    refused(file)
    again = state(a=tensor((6,), (1,)), b=tensor((3,), (1,), 0, storage("LongStorage", "0", 3)))
    write(file, program(again), {"0": bytes(24)})
    refused(file, "two kinds")


def test_many_views_of_one_block(file):
    """A file may not unfold to many times its size."""
    count = 100_000
    whole_block = tensor((count,), (1,), 0, storage(count=count))
    write(file, program(state(**{f"w{i}": whole_block for i in range(50)})), {"0": bytes(4 * count)})
    refused(file, "unfold")


def test_a_changed_weight_is_noticed(file):
    write(file, program(state(w=tensor())))
    content = bytearray(file.read_bytes())
    at = content.index(SIX.tobytes())
    content[at + 5] ^= 1
    file.write_bytes(content)
    found = read_tensors(file)
    with pytest.raises(UnsafeFile, match="checksum"):
        found["w"].raw()


# what never ends


@pytest.mark.first_case
@pytest.mark.parametrize("pickled", [
    program(b"]" * 200_000 + b"a" * 199_999),
    program(b")" + b"\x85" * 1_000_000),
    program(b"(" * 1_000_000),
    program(b"N" * 1_000_000),
    program(b"]q\x00h\x00a"),
    program(b"}q\x00" + text("model") + b"h\x00s"),
    program(b"]" + b"q\x00(h\x00h\x00tq\x00" * 40 + b"a"),
    program(b"N0" * 1_500_000),
    program(b"r" + struct.pack("<I", 2**32 - 1)),
    program(b"N" + b"r" + struct.pack("<I", 2**32 - 1)),
    program(b"\x8a\xff" + bytes(255)),
    program(b"\x8b" + struct.pack("<i", 2**31 - 1)),
    program(b"X" + struct.pack("<I", 2**32 - 1)),
    program(b"\x8d" + struct.pack("<Q", 2**63 - 1)),
    program(b"I" + b"9" * 100_000 + b"\n"),
    program(b"\x95" + struct.pack("<Q", 2**63 - 1)),
])  # fmt: skip
def test_deep_and_endless(file, pickled):
    write(file, pickled)
    assert peak_of_python(lambda: refused(file)) < 120_000_000


@pytest.mark.parametrize("pickled", [
    b"", b"\x80", b"\x80\x02", END, program(), program(b"N", b"N"), program(b"0"), program(b"t"), program(b"R"),
    program(b"u"), program(b"s"), program(b"e"), program(b"Q"), program(b"b"), program(b"\x87"), program(b"h\x07"),
    program(b"N"), program(b"]"), program(b"}"), program(whole(1)), program(tensor()), program(state(a=b"N")),
    program(state(a=tensor(), b=whole(1))), program(b"}" + whole(1) + tensor() + b"s"),
    program(b"}" + b")" + b"Ns"), program(b"}(N" + text("x") + b"u"), b"not a pickle at all",
    b"\x80\x04" + state(w=tensor()) + END, b"\x80\x03" + state(w=tensor()) + END,
])  # fmt: skip
def test_broken_and_odd_trees(file, pickled):
    write(file, pickled)
    refused(file)


# what the file itself can be


def test_the_old_form_is_refused_by_name(file):
    file.write_bytes(pickle.dumps(0x1950A86A20F9469CFC6C, 2) + pickle.dumps(1001, 2) + program(state()))
    refused(file, "before 1.6")


@pytest.mark.parametrize("content", [b"", b"PK", b"PK\x03\x04", b"PK\x03\x04" + bytes(500), b"ustar" * 200])
def test_no_torch_file(file, content):
    file.write_bytes(content)
    refused(file)


def test_compressed_entries(file):
    write(file, program(state(w=tensor())), {"0": bytes(10**6)}, compression=zipfile.ZIP_DEFLATED)
    refused(file, "compressed")


@pytest.mark.parametrize("extra", [
    {"other/data.pkl": b"N."},
    {"archive/constants.pkl": b"N."},
    {"archive/byteorder": b"big"},
])  # fmt: skip
def test_other_contents(file, extra):
    write(file, program(state(w=tensor())), extra=extra)
    refused(file)


def test_twice_the_same_entry(file):
    with pytest.warns(UserWarning, match="Duplicate"):
        write(file, program(state(w=tensor())), extra={"archive/data/0": SIX.tobytes()})
    refused(file, "twice")


def test_a_tree_that_is_too_large(file, monkeypatch):
    monkeypatch.setattr(pickle_free, "PICKLE_LIMIT", 100)
    write(file, program(state(w=tensor())))
    refused(file, "a tree of")


@pytest.mark.parametrize("part", [0.2, 0.6, 0.95, 0.999])
def test_truncated(file, part):
    write(file, program(state(w=tensor())))
    content = file.read_bytes()
    file.write_bytes(content[: int(part * len(content))])
    refused(file)


def test_something_before_the_zip(file):
    write(file, program(state(w=tensor())))
    file.write_bytes(b"#!/bin/sh\n" + file.read_bytes())
    refused(file)


SMALL = program(state(w=tensor()))


@pytest.mark.sweep
@pytest.mark.filterwarnings("ignore:invalid escape sequence")  # of pickletools, about a harmed name
@settings(deadline=None, max_examples=300)
@given(st.data())
def test_mutations_end_in_tensors_or_a_refusal(tmp_path_factory, data):
    """Any bytes of the tree or of the file changed: never another error, never more than the file holds."""
    file = tmp_path_factory.mktemp("mutated") / "weights.pth"
    pickled = bytearray(SMALL)
    for _ in range(data.draw(st.integers(0, 4))):
        pickled[data.draw(st.integers(0, len(pickled) - 1))] = data.draw(st.integers(0, 255))
    write(file, bytes(pickled))
    content = bytearray(file.read_bytes())
    for _ in range(data.draw(st.integers(0, 2))):
        content[data.draw(st.integers(4, len(content) - 1))] = data.draw(st.integers(0, 255))
    file.write_bytes(content)
    try:
        found = [tensor.raw() for tensor in read_tensors(file).values()]
    except UnsafeFile:
        return
    assert sum(array.nbytes for array in found) <= 8 * len(content)


def test_every_instruction_is_decided():
    """Python's list of instructions may grow; ours is a closed list."""
    known = {*pickle_machine.CONSTANTS, *pickle_machine.PLAIN, *pickle_machine.FRESH, *pickle_machine.STEPS, "STOP"}
    every = {opcode.name for opcode in pickletools.opcodes}
    assert known < every
    calling = {"INST", "OBJ", "NEWOBJ", "NEWOBJ_EX", "STACK_GLOBAL", "EXT1", "EXT2", "EXT4", "PERSID", "NEXT_BUFFER"}
    assert not known & calling
