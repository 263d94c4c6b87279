"""The files: exact layout, round trip, and refusal of everything else."""

from __future__ import annotations

import copy
import json
import struct
import tracemalloc

import cvm_models as models
import numpy as np
import pytest
from cvm import CVMError, Model, Node, formal, format, params
from hypothesis import given, settings
from hypothesis import strategies as st


@pytest.fixture
def saved(tmp_path):
    format.save(models.small(), tmp_path / "symbol", tmp_path / "params")
    return tmp_path / "symbol", tmp_path / "params"


def _load_bytes(folder, symbol, params):
    (folder / "s").write_bytes(symbol)
    (folder / "p").write_bytes(params)
    return format.load(folder / "s", folder / "p")


def test_round_trip(saved):
    model, loaded = models.small(), format.load(*saved)
    assert loaded.nodes == model.nodes
    assert loaded.heads == model.heads
    assert loaded.precisions == model.precisions
    assert loaded.input_shape == model.input_shape
    assert list(loaded.params) == list(model.params)
    x = models.batch_of(model, 3)
    np.testing.assert_array_equal(formal.run(loaded, x)[0], formal.run(model, x)[0])
    assert format.encode(loaded) == format.encode(model)


def test_the_symbol_has_the_layout_of_the_specification(saved):
    document = json.loads(saved[0].read_text())
    assert set(document) == {"nodes", "arg_nodes", "node_row_ptr", "heads", "attrs", "version"}
    assert document["version"] == "cvm_1.0.0"
    assert document["nodes"][1] == {"op": "null", "name": "w", "inputs": []}
    assert document["nodes"][3] == {
        "op": "cvm_op",
        "name": "conv",
        "attrs": {"func_name": "conv2d", "num_inputs": "3", "num_outputs": "1", "flatten_data": "0"},
        "inputs": [[0, 0, 0], [1, 0, 0], [2, 0, 0]],
    }
    assert document["arg_nodes"] == [0, 1, 2, 8]
    assert document["node_row_ptr"] == list(range(11))
    assert document["heads"] == [[9, 0, 0]]
    attrs = document["attrs"]
    assert attrs["dltype"] == ["list_str", ["int32"] * 10]
    assert attrs["shape"][0] == "list_shape" and attrs["shape"][1][3] == [1, 4, 8, 8]
    assert attrs["storage_id"] == ["list_int", [0, 1, 2, 3, 3, 3, 4, 4, 5, 3]]
    assert attrs["precision"] == ["list_int", [8, 8, 14, 22, 22, 8, 8, 8, 8, 23]]
    assert attrs["op_attrs"][0] == "list_str" and attrs["op_attrs"][1][4] == "{}"
    assert json.loads(attrs["op_attrs"][1][5]) == {"precision": "8", "shift_bit": "9"}


def test_the_params_have_the_layout_of_the_specification(saved):
    model, content = models.small(), saved[1].read_bytes()
    expected = struct.pack("<QQQ", 0xF7E58D4F05049CB7, 0, 3)
    for name in ("w", "b", "units"):
        expected += struct.pack("<Q", len(name)) + name.encode()
    expected += struct.pack("<Q", 3)
    for name, bits in (("w", 8), ("b", 32), ("units", 8)):
        value = model.params[name].astype({8: "<i1", 32: "<i4"}[bits])
        expected += struct.pack("<QQiiiBBH", 0xDD5E40F096B4A13F, 0, 1, 0, value.ndim, 0, bits, 1)
        expected += struct.pack(f"<{value.ndim}q", *value.shape) + struct.pack("<q", value.nbytes) + value.tobytes()
    assert content == expected


def test_several_outputs_and_suffixed_names_load(tmp_path):
    nodes = [Node("null", "data"), Node("get_valid_counts", "v", ((0, 0),)), Node("negative", "n", ((1, 1),))]
    model = Model(nodes, [(1, 0), (2, 0)], {}, {"data": 8}, (2, 3, 4))
    symbol, params = format.encode(model)
    document = json.loads(symbol)
    assert document["node_row_ptr"] == [0, 1, 3, 4]
    document["nodes"][1]["attrs"]["func_name"] = "get_valid_counts_17"
    assert _load_bytes(tmp_path, json.dumps(document).encode(), params).nodes == nodes


def _edit(path, value):
    def change(document):
        for key in path[:-1]:
            document = document[key]
        if value is KeyError:
            del document[path[-1]]
        else:
            document[path[-1]] = value

    return change


SYMBOLS = [
    (("extra",), 1, "unknown key"),
    (("node_row_ptr",), KeyError, "missing"),
    (("node_row_ptr", 3), 4, "node_row_ptr"),
    (("arg_nodes",), [0, 1, 2], "arg_nodes"),
    (("version",), "cvm_2.0.0", "version"),
    (("version",), "cvm_1.1.1", "version"),
    (("postprocess",), "argmax", "postprocess"),
    (("postprocess",), [], "postprocess"),
    (("attrs", "extra"), ["list_int", []], "unknown key 'extra'"),
    (("attrs", "device_index"), ["list_int", [0] * 10], "device_index"),
    (("nodes", 4, "precision"), 8, "unknown key 'precision'"),
    (("nodes", 4, "attrs", "extra"), "1", "unknown key 'extra'"),
    (("nodes", 4, "attrs", "num_inputs"), 1, "string"),
    (("nodes", 1, "attrs"), {}, "neither inputs nor attributes"),
    (("attrs", "precision", 1, 4), 0, "neither -1 nor in 1..32"),
    (("attrs", "precision", 1, 1), -1, "outside"),
    (("attrs", "storage_id", 1, 3), 2**31, "0..2147483647"),
    (("attrs", "op_attrs", 1, 1), "[]", "must be an object"),
    (("attrs", "op_attrs", 1, 1), '{"precision":8}', "must be a string"),
    (("attrs", "op_attrs", 1, 5), '{"precision":"8","shift_bit":"\u00a09"}', "integer"),
    (("attrs", "op_attrs", 1, 9), '{"units":"10","use_bias":" False"}', "expected True"),
    (("heads",), [[10, 0, 0]], "before"),
    (("heads",), [[9]], "entry"),
    (("heads",), [[9, 0, 0, 0]], "entry"),
    (("heads",), [[9, 0, 10**18]], "18 digits"),
    (("heads",), [], "no output"),
    (("nodes", 4, "inputs"), [[4, 0, 0]], "before"),
    (("nodes", 4, "inputs"), [[9, 0, 0]], "before"),
    (("nodes", 4, "inputs"), [[-1, 0, 0]], "entry"),
    (("nodes", 4, "inputs"), [[3, 1, 0]], "1 outputs"),
    (("nodes", 4, "inputs"), [[3, True, 0]], "integers"),
    (("nodes", 4, "op"), "relu", "expected 'null'"),
    (("nodes", 4, "attrs", "func_name"), "nn.relu", "no operator"),
    (("nodes", 4, "attrs"), {}, "func_name"),
    (("nodes", 1, "attrs"), {"a": "b"}, "neither inputs nor attributes"),
    (("nodes", 1, "name"), "x", "'x'.*missing|belongs"),
    (("nodes", 1, "name"), "b", "two variables"),
    (("attrs", "dltype", 1, 3), "int8", "int32"),
    (("attrs", "shape", 1, 3), [1, 4, 8, 9], "stored shape"),
    (("attrs", "shape", 1, 0), [1, 3, 2**40, 8], "2\\^24"),
    (("attrs", "shape", 1, 0), [1, 3, 8.0, 8], "JSON|integers"),
    (("attrs", "shape", 0), "list_int", "shape must be"),
    (("attrs", "storage_id", 1, 3), -1, "0..2147483647"),
    (("attrs", "storage_id", 1, 3), 0, "may not write"),
    (("attrs", "storage_id"), KeyError, "storage_id"),
    (("attrs", "precision", 1, 1), 33, "outside"),
    (("attrs", "precision", 1, 1), 7, "leaves"),
    (("attrs", "precision", 1), [8], "has 1 values"),
    (("attrs", "op_attrs", 1, 5), "[]", "must be an object"),
    (("attrs", "op_attrs", 1, 5), '{"precision": 8, "shift_bit": "9"}', "must be a string"),
    (("attrs", "op_attrs", 1, 5), "{", "not valid JSON"),
    (("attrs", "op_attrs", 1, 5), '{"precision": "8", "precision": "8"}', "twice"),
]


@pytest.mark.parametrize(("path", "value", "message"), SYMBOLS)
def test_departures_of_the_symbol_are_refused(saved, tmp_path, path, value, message):
    document = json.loads(saved[0].read_text())
    _edit(path, value)(document)
    with pytest.raises(CVMError, match=message):
        _load_bytes(tmp_path, json.dumps(document).encode(), saved[1].read_bytes())


@pytest.mark.parametrize("content", [b"", b"\xff", b"[]", b"[" * 100000, b'{"nodes":' + b"9" * 5000 + b"}", b"NaN"])
def test_symbols_that_are_no_object_are_refused(saved, tmp_path, content):
    with pytest.raises(CVMError):
        _load_bytes(tmp_path, content, saved[1].read_bytes())


OTHER_WRITERS = [
    [(("attrs", "storage_id", 1), list(range(10)))],
    [(("attrs", "op_attrs", 1, 1), '{"precision":"8","shape":"(4, 3, 3, 3)"}')],
    [(("attrs", "op_attrs", 1, 9), '{"units":"10","use_bias":"false"}')],
    [(("attrs", "op_attrs", 1, 9), '{"units":"10","use_bias":"FALSE"}')],
    [(("attrs", "op_attrs", 1, 6), '{"pool_size":"(2, 2)","strides":"[2,2]","padding":"0"}')],
    [(("attrs", "precision", 1), [8, 8, 14, -1, -1, -1, -1, -1, 8, -1])],
    [(("attrs", "precision", 1, 2), 15)],
    [(("attrs", "device_index"), ["list_int", []])],
    [(("nodes", 4, "attrs"), {"func_name": "relu_7", "op_attrs": "{}"})],
    [(("nodes", 4, "inputs"), [[3, 0]]), (("heads",), [[9, 0]])],
    [(("version",), KeyError)],
    [(("version",), "cvm_1.1.0")],
    [(("version",), "cvm_1.1.0"), (("arg_nodes",), KeyError), (("attrs", "dltype"), KeyError)],
    [(("postprocess",), "")],
]


@pytest.mark.parametrize("changes", OTHER_WRITERS)
def test_what_other_writers_write_loads_and_computes_the_same(saved, tmp_path, changes):
    document = json.loads(saved[0].read_text())
    for path, value in changes:
        _edit(path, value)(document)
    x = models.batch_of(models.small(), 2)
    symbol = json.dumps(document).encode()
    (found,) = formal.run(_load_bytes(tmp_path, symbol, saved[1].read_bytes()), x)
    np.testing.assert_array_equal(found, formal.run(models.small(), x)[0])


def test_parameters_of_8_bits_may_be_stored_in_32(saved, tmp_path):
    arrays = {name: value.astype(np.int32) for name, value in params.decode(saved[1].read_bytes()).items()}
    model = _load_bytes(tmp_path, saved[0].read_bytes(), params.encode(arrays))
    assert format.encode(model) == format.encode(models.small())
    arrays["w"][0, 0, 0, 0] = 128
    with pytest.raises(CVMError, match=r"'w' .* leaves"):
        _load_bytes(tmp_path, saved[0].read_bytes(), params.encode(arrays))


# Offsets in the params of the small model: header 24, names (8+1)+(8+1)+(8+5), count 8, then the array "w".
ARRAY = 24 + 9 + 9 + 13 + 8
PARAMS = [
    (0, b"\0", "magic"),
    (8, b"\1", "reserved"),
    (16, struct.pack("<Q", 2**60), "more than the file can hold"),
    (24, struct.pack("<Q", 2**62), "name of"),
    (32, b"b", "twice"),
    (32, b"\xff", "ASCII"),
    (32, b"x", "belongs to no variable"),
    (ARRAY - 8, b"\2", "number of arrays is 2"),
    (ARRAY, b"\0", "magic"),
    (ARRAY + 16, b"\2", "device 2:0"),
    (ARRAY + 24, b"\0", "0 dimensions"),
    (ARRAY + 24, struct.pack("<i", 2**30), "dimensions"),
    (ARRAY + 28, b"\2", "neither int8 nor int32"),
    (ARRAY + 29, b"\x10", "neither int8 nor int32"),
    (ARRAY + 30, b"\2", "neither int8 nor int32"),
    (ARRAY + 32, struct.pack("<q", -4), "outside the limits"),
    (ARRAY + 32, struct.pack("<q", 2**62), "outside the limits"),
    (ARRAY + 32, struct.pack("<4q", 2**24, 2**24, 2**24, 2**24), "outside the limits"),
    (ARRAY + 32, struct.pack("<4qq", 2**24, 2**6, 1, 1, 2**30), "ends within parameter 'w'"),
    (ARRAY + 64, struct.pack("<q", -1), "bytes are claimed"),
    (ARRAY + 72, b"\x80", "leaves"),
]


@pytest.mark.parametrize(("offset", "patch", "message"), PARAMS)
def test_departures_of_the_params_are_refused_without_allocating(saved, tmp_path, offset, patch, message):
    content = bytearray(saved[1].read_bytes())
    content[offset : offset + len(patch)] = patch
    tracemalloc.start()
    try:
        with pytest.raises(CVMError, match=message):
            _load_bytes(tmp_path, saved[0].read_bytes(), bytes(content))
        assert tracemalloc.get_traced_memory()[1] < 2**20
    finally:
        tracemalloc.stop()


def test_every_truncation_and_trailing_byte_is_refused(saved, tmp_path):
    content = saved[1].read_bytes()
    for size in range(len(content)):
        with pytest.raises(CVMError):
            _load_bytes(tmp_path, saved[0].read_bytes(), content[:size])
    with pytest.raises(CVMError, match="1 bytes follow"):
        _load_bytes(tmp_path, saved[0].read_bytes(), content + b"\0")


@settings(max_examples=400, deadline=None)
@given(data=st.data())
def test_damaged_files_load_legally_or_are_refused(tmp_path_factory, data):
    folder = tmp_path_factory.getbasetemp()
    files = list(format.encode(models.small()))
    which = data.draw(st.integers(0, 1))
    content = bytearray(files[which])
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(content) - 1))
        size = data.draw(st.integers(0, 8))
        content[at : at + size] = data.draw(st.binary(max_size=8) | st.sampled_from([b'"', b"-1", b"0", b"[", b"1e9"]))
    files[which] = bytes(content)
    try:
        model = _load_bytes(folder, *files)
    except CVMError as error:
        assert "\n" not in str(error)
        return
    outputs = formal.run(model, models.batch_of(model, model.input_shape[0]))
    assert [y.shape for y in outputs] == [model.infer().shapes[i][k] for i, k in model.heads]


def _places(value, path=()):
    """Paths of everything inside a JSON value."""
    inside = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in inside:
        yield (*path, key)
        yield from _places(item, (*path, key))


ODD = [None, True, -1, 0, 1, 2, 2**31, 10**30, "", "0", "data", "relu", "(0, 0)", [], [0], [[0, 0, 0]], {}, {"a": "b"}]


@settings(max_examples=300, deadline=None)
@given(data=st.data())
def test_symbols_with_odd_values_load_legally_or_are_refused(tmp_path_factory, data):
    symbol, params = format.encode(models.small())
    document = json.loads(symbol)
    for _ in range(data.draw(st.integers(1, 2))):
        place, value = data.draw(st.sampled_from(list(_places(document)))), data.draw(st.sampled_from([*ODD, KeyError]))
        _edit(place, copy.deepcopy(value))(document)
    try:
        model = _load_bytes(tmp_path_factory.getbasetemp(), json.dumps(document).encode(), params)
    except CVMError as error:
        assert "\n" not in str(error)
        return
    model.infer()


def test_an_illegal_model_is_not_written_and_what_was_there_stays(tmp_path):
    paths = tmp_path / "symbol", tmp_path / "params"
    for path in paths:
        path.write_text("before")
    model = models.small()
    model.precisions["w"] = 3
    with pytest.raises(CVMError, match="leaves"):
        format.save(model, *paths)
    with pytest.raises(CVMError, match="cannot write"):
        format.save(models.small(), paths[0], tmp_path / "absent" / "params")
    assert [path.read_text() for path in paths] == ["before", "before"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["params", "symbol"]


def test_the_input_comes_first():
    model = models.chain("relu", {})
    model.nodes.insert(0, Node("null", "w"))
    model.nodes[2] = Node("relu", "y", ((1, 0),))
    model.heads = [(2, 0)]
    model.params["w"], model.precisions["w"] = np.ones(1, np.int32), 8
    with pytest.raises(CVMError, match="first node"):
        format.encode(model)


def test_missing_files_are_named(tmp_path):
    with pytest.raises(CVMError, match=r"cannot read .*symbol"):
        format.load(tmp_path / "symbol", tmp_path / "params")
