"""The reference's models load here, and what is written here loads there."""

from __future__ import annotations

import json

import cvm
import cvm_cases
import cvm_models as models
import numpy as np
import pytest
from cvm import CVMError, Model, Node, formal, format, ops, storage
from cvm.__main__ import main
from cvm.package import save_package
from hypothesis import given, settings
from hypothesis import strategies as st


def test_a_model_of_the_references_own_compiler_runs_in_both_executors(shared, capsys):
    folder = shared / "cases" / "reference"
    x, expected = np.load(folder / "data.npy"), np.load(folder / "expected.npy")
    model = format.load(folder / "symbol", folder / "params")
    np.testing.assert_array_equal(formal.run(model, x)[0], expected)
    np.testing.assert_array_equal(cvm.load(folder)(x), expected)
    assert main(["inspect", str(folder), "--strict"]) == 0
    assert "The reference counts 18170 operations and 5064 bytes of storage." in capsys.readouterr().out


def test_operations_by_hand():
    # conv: 3 * 27 + 1 per element of 4x8x8; max_pool2d: 4 per element of 4x4x4; dense: 3 * 64 per element of 10.
    elements = {"data": 192, "w": 108, "b": 4, "conv": 256, "relu": 256, "shift": 256, "pool": 64, "flat": 64}
    memory = sum(elements.values()) + 640 + 10
    work = 256 * 82 + 256 + 256 + 64 * 4 + 64 + 10 * 192
    assert models.small().operations == work + 5 * memory


def test_storage_of_the_model_and_of_its_file_are_the_same(tmp_path):
    model = models.small()
    save_package(tmp_path, model, {}, None)
    size, departures = format.examine(tmp_path / "symbol", model)
    # The input and three parameters; conv, relu and shift in one place and dense's output in it; pool and flatten.
    assert size == model.storage_size == 4 * (192 + 108 + 4 + 256 + 64 + 640)
    assert departures == []


def deep(elements, count, op="negative"):
    nodes = [Node("null", "data")] + [Node(op, f"n{i}", ((i, 0),)) for i in range(count)]
    return Model(nodes, [(count, 0)], {}, {"data": 8}, (1, elements))


def test_a_deep_network_stays_within_the_references_storage():
    model = deep(2**24, 100)  # 6.7 GB with a storage for each entry
    assert model.storage_size == 3 * 4 * 2**24
    format.encode(model)


def test_what_needs_more_storage_than_the_reference_has_is_not_written():
    model = deep(2**24, 3)
    grown = [Node("tile", "t", ((3, 0),), {"reps": "(64, 1)"}), Node("negative", "u", ((4, 0),))]
    model.nodes += grown
    model.heads = [(5, 0)]
    with pytest.raises(CVMError, match="bytes of storage, more than 4294967296"):
        format.encode(model)


@settings(max_examples=200, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_shared_storage_is_never_overwritten_while_needed(seed):
    rng = np.random.default_rng(seed)
    nodes, entries = [Node("null", "data"), Node("null", "p")], [(0, 0), (1, 0)]
    for i in range(int(rng.integers(1, 30))):
        a, b = (entries[int(rng.integers(max(0, len(entries) - 5), len(entries)))] for _ in range(2))
        op = str(rng.choice(["relu", "negative", "cvm_clip", "broadcast_max", "concatenate", "get_valid_counts"]))
        if op == "get_valid_counts":
            a = (0, 0)
        inputs = (a, b) if op in ("broadcast_max", "concatenate") else (a,)
        nodes.append(Node(op, f"n{i}", inputs, {"precision": "8"} if op == "cvm_clip" else {}))
        entries += [(len(nodes) - 1, k) for k in range(ops.get(op).outputs) if op != "get_valid_counts"]
    heads = [entries[int(i)] for i in rng.integers(0, len(entries), 2)]
    shapes = [[tuple(int(d) for d in rng.integers(1, 9, 2))] * (2 if n.op == "get_valid_counts" else 1) for n in nodes]
    numbers = storage.plan(nodes, heads, shapes)
    assert storage.clash(nodes, heads, numbers) is None
    written = [{numbers[i][k] for i, k in node.inputs} & set(row) for node, row in zip(nodes, numbers)]
    assert all(ops.get(node.op).in_place for node, shared in zip(nodes, written) if shared)
    assert storage.size(shapes, numbers) <= sum(4 * a * b for row in shapes for a, b in row)


@pytest.mark.parametrize(
    ("entry", "number", "message"),
    [(4, 1, "storage of 'w'"), (6, 0, None), (9, 2, "storage of 'b'"), (1, 2, "'w' and 'b' share"), (8, 0, "share")],
)
def test_a_storage_that_is_reused_too_early_is_noticed(entry, number, message):
    model = models.small()
    numbers = [[i] for i in range(10)]
    numbers[entry] = [number]
    found = storage.clash(model.nodes, model.heads, numbers)
    assert found is None if message is None else found is not None and message in found


REFUSED: list[tuple[Model, str | None]] = [
    (models.chain("reshape", {"shape": "(-2, -1)"}, (1, 4)), "-1 may not follow -2"),
    (models.chain("reshape", {"shape": "(-4, 1, -1, -1)"}, (1, 4)), "-1 may not follow -2 or -4"),
]


def _slices(like, axis):
    nodes = [Node("null", "data"), Node("null", "like"), Node("slice_like", "y", ((0, 0), (1, 0)), {"axis": axis})]
    shape = (2, 3, 4)[: len(like) + 1]
    return Model(nodes, [(2, 0)], {"like": np.ones(like, np.int32)}, {"data": 8, "like": 2}, shape)


REFUSED += [(_slices((2, 3), "()"), "different numbers of dimensions"), (_slices((2, 3), "(0, 1)"), None)]


@pytest.mark.parametrize(("model", "message"), REFUSED)
def test_what_the_reference_refuses_is_run_but_not_written(model, message):
    formal.run(model, models.batch_of(model, model.input_shape[0]))
    if message is None:
        format.encode(model)
        return
    with pytest.raises(CVMError, match=message):
        format.encode(model)


def test_too_many_operations_are_refused():
    nodes = [Node("null", "data"), Node("tile", "a", ((0, 0),), {"reps": "(4096, 256)"})]
    nodes += [Node("sum", "b", ((1, 0),), {"axis": "(0,)"})]
    model = Model(nodes, [(2, 0)], {}, {"data": 4}, (1, 1024))
    assert model.operations == 2**30 * 2 + 5 * (1024 + 2**30 + 2**18)
    pool = {"pool_size": "(4096, 4096)", "padding": "(4095, 4095)"}
    huge = models.chain("max_pool2d", pool, (1, 1, 4096, 4096))
    with pytest.raises(CVMError, match="operations are charged"):
        format.encode(huge)


NAMES = ["", "w" * 4097, "w\x00", "é"]


@pytest.mark.parametrize("name", NAMES)
def test_parameter_names_that_cannot_be_read_are_not_written(tmp_path, name):
    model = models.small()
    model.nodes[1] = Node("null", name)
    model.params[name], model.precisions[name] = model.params.pop("w"), model.precisions.pop("w")
    with pytest.raises(CVMError, match="name"):
        save_package(tmp_path / "m", model, {}, None)
    assert not (tmp_path / "m").exists()


@pytest.mark.parametrize("name", ["é 漢字 😀", 'tab\tquote"back\\slash', "", "x" * 10000])
def test_operator_names_are_written_as_they_are(tmp_path, name):
    model = models.small()
    model.nodes[4] = Node("relu", name, ((3, 0),))
    save_package(tmp_path, model, {}, None)
    assert name.encode() in (tmp_path / "symbol").read_bytes() or "\\" in name
    assert b"\\u" not in (tmp_path / "symbol").read_bytes()
    assert format.load(tmp_path / "symbol", tmp_path / "params").nodes == model.nodes
    cvm.load(tmp_path)


@pytest.mark.parametrize("name", ["a\x01", "a\x0b", "\ud800"])
def test_operator_names_that_must_be_escaped_are_not_written(name):
    model = models.small()
    model.nodes[4] = Node("relu", name, ((3, 0),))
    with pytest.raises(CVMError, match="would have to escape"):
        format.encode(model)


@pytest.mark.filterwarnings("ignore:.*manifest")
@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_what_is_written_is_read_back_equal_by_both(tmp_path_factory, data):
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))
    model = cvm_cases.one_operator(cvm_cases.make(data.draw(st.sampled_from(ops.names())), rng), rng)
    at = data.draw(st.integers(1, len(model.nodes) - 1))
    old, name = model.nodes[at], data.draw(st.text(max_size=8) | st.sampled_from(["data", "p0", "x" * 4096]))
    model.nodes[at] = Node(old.op, name, old.inputs, old.attrs)
    if old.is_variable and name != old.name:
        model.params[name], model.precisions[name] = model.params.pop(old.name), model.precisions.pop(old.name)
    folder = tmp_path_factory.getbasetemp() / "written"
    folder.mkdir(exist_ok=True)
    try:
        files = format.encode(model)
    except CVMError as error:
        assert "\n" not in str(error)
        return
    for file, content in zip(("symbol", "params"), files):
        (folder / file).write_bytes(content)
    loaded = format.load(folder / "symbol", folder / "params")
    assert (loaded.nodes, loaded.heads, loaded.precisions) == (model.nodes, model.heads, model.precisions)
    assert loaded.input_shape == model.input_shape and loaded.params.keys() == model.params.keys()
    assert all((loaded.params[key] == value).all() for key, value in model.params.items())
    assert cvm.load(folder).input_shape == model.input_shape
    assert not any("escape" in line or "storage" in line for line in format.examine(folder / "symbol", loaded)[1])


STRICT = [
    (lambda d: d["nodes"][4].update(name="MARK"), "the escape \\u"),
    (lambda d: d["attrs"]["storage_id"][1].__setitem__(6, 2), "which is still needed"),
    (lambda d: d["attrs"]["storage_id"][1].__setitem__(2, 1), "'w' and 'b' share a storage"),
    (lambda d: None, None),
]


@pytest.mark.parametrize(("change", "message"), STRICT)
def test_inspect_strict_says_what_the_reference_would_not_take(tmp_path, capsys, change, message):
    save_package(tmp_path, models.small(), {}, None)
    document = json.loads((tmp_path / "symbol").read_text())
    change(document)
    (tmp_path / "manifest.json").unlink()
    (tmp_path / "symbol").write_text(json.dumps(document).replace("MARK", "\\u0072elu"))
    assert main(["inspect", str(tmp_path)]) == 0
    capsys.readouterr()
    assert main(["inspect", str(tmp_path), "--strict"]) == (0 if message is None else 1)
    shown = capsys.readouterr().out
    assert (message or "The reference takes this model as it is.") in shown


def test_inspect_strict_names_operators_that_the_reference_lacks_or_gets_wrong(tmp_path, capsys):
    save_package(tmp_path / "a", models.chain("cvm_left_shift", {"precision": "8", "shift_bit": "2"}), {}, None)
    assert main(["inspect", str(tmp_path / "a"), "--strict"]) == 1
    assert "'y': the reference's default build has no cvm_left_shift" in capsys.readouterr().out
    nodes = [Node("null", "data"), Node("null", "c"), Node("where", "y", ((1, 0), (0, 0), (0, 0)))]
    model = Model(nodes, [(2, 0)], {"c": np.ones(2, np.int32)}, {"data": 4, "c": 8}, (2, 3))
    save_package(tmp_path / "b", model, {}, None)
    assert main(["inspect", str(tmp_path / "b"), "--strict"]) == 1
    assert "1-D condition" in capsys.readouterr().out
