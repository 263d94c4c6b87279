"""The model directory and the command line."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import cvm
import cvm_models as models
import numpy as np
import pytest
from cvm import CVMError, formal
from cvm.__main__ import main
from cvm.description import Description, parse
from cvm.errors import CVMWarning
from cvm.package import load_package, save_package

EXT = {"producer": "test", "input": {"name": "data", "scale": "1/64"}, "outputs": [{"name": "fc", "scale": "1/4096"}]}


@pytest.fixture
def directory(tmp_path):
    model = models.small()
    save_package(tmp_path / "m", model, EXT, models.batch_of(model, 2))
    return tmp_path / "m"


def test_round_trip(directory):
    package = load_package(directory)
    assert package.description == parse(EXT) and package.sha256
    assert package.model.nodes == models.small().nodes
    names = ["data.npy", "ext.json", "manifest.json", "params", "symbol"]
    assert sorted(path.name for path in directory.iterdir()) == names
    sample = np.load(directory / "data.npy")
    assert sample.dtype == np.int8
    np.testing.assert_array_equal(sample, models.batch_of(package.model, 2))


def test_an_older_directory_loads_with_a_warning(directory):
    (directory / "manifest.json").unlink()
    with pytest.warns(CVMWarning, match="no manifest"):
        assert load_package(directory).description == parse(EXT)
    (directory / "ext.json").unlink()
    with pytest.warns(CVMWarning, match="no manifest"):
        package = load_package(directory)
    assert package.description == Description() and package.sha256 is None


@pytest.mark.parametrize("content", ["{", "[]", "\0"])
def test_a_damaged_ext_is_refused(directory, content):
    (directory / "ext.json").write_text(content)
    with pytest.raises(CVMError, match=r"ext\.json is not the file"):
        load_package(directory)
    (directory / "manifest.json").unlink()
    with pytest.warns(CVMWarning), pytest.raises(CVMError, match=r"ext\.json"):
        load_package(directory)


def test_saving_again_replaces_and_a_refusal_keeps(directory):
    save_package(directory, models.small(1), {}, None)
    assert load_package(directory).description == Description()
    assert not (directory / "data.npy").exists()
    before = {path.name: path.read_bytes() for path in directory.iterdir()}
    with pytest.raises(CVMError, match=r"ext\.json"):
        save_package(directory, models.small(2), {"scale": float("nan")}, None)
    with pytest.raises(CVMError, match="shape"):
        save_package(directory, models.small(2), {}, np.zeros((1, 2), np.int8))
    assert {path.name: path.read_bytes() for path in directory.iterdir()} == before


def test_run_writes_what_formal_computes(directory, tmp_path):
    x = models.batch_of(models.small(), 3)
    np.save(tmp_path / "x.npy", x)
    assert main(["run", str(directory), "--input", str(tmp_path / "x.npy"), "--output", str(tmp_path / "y.npy")]) == 0
    y = np.load(tmp_path / "y.npy")
    assert y.dtype == np.int32
    np.testing.assert_array_equal(y, formal.run(models.small(), x)[0])


def test_inspect_shows_nodes_and_certificate(directory, capsys):
    assert main(["inspect", str(directory)]) == 0
    shown = capsys.readouterr().out
    conv = next(line.split() for line in shown.splitlines() if line.startswith("conv "))
    assert conv[:6] == ["conv", "conv2d", "1x4x8x8", "22", "1024", str(4 * 64 * 27)]
    assert f"{108 + 16 + 640} bytes of parameters" in shown
    assert "No int32 overflow for any input of precision 8" in shown
    assert "1/64" in shown and "1/4096" in shown


def _refused(arguments, capsys):
    assert main([str(a) for a in arguments]) == 2
    error = capsys.readouterr().err
    assert error.startswith("cvm: ") and error.count("\n") == 1
    return error


def test_bad_input_gets_one_line_and_status_2(directory, tmp_path, capsys):
    out = tmp_path / "y.npy"
    out.write_text("before")
    np.save(tmp_path / "float.npy", np.zeros((1, 3, 8, 8)))
    np.savez(tmp_path / "many.npz", a=1)
    unscaled = tmp_path / "unscaled"
    save_package(unscaled, models.small(), {})
    (tmp_path / "junk.npy").write_text("junk")
    for name, message in [
        ("absent.npy", "cannot read"),
        ("junk.npy", "not a .npy"),
        ("many.npz", "no input 'a'"),
        ("float.npy", "no scale"),
    ]:
        assert message in _refused(["run", unscaled, "--input", tmp_path / name, "--output", out], capsys)
    np.save(tmp_path / "x.npy", np.zeros((1, 3, 8, 8), np.int8))
    run = ["run", directory, "--input", tmp_path / "x.npy", "--output", out]
    assert "--threads 0" in _refused([*run, "--threads", "0"], capsys)
    assert "cannot write" in _refused([*run[:-1], tmp_path / "absent" / "y.npy"], capsys)
    assert "not a model directory" in _refused(["inspect", tmp_path / "absent"], capsys)
    (directory / "params").write_bytes(b"")
    assert "params is not the file that manifest.json lists" in _refused(run, capsys)
    assert out.read_text() == "before"


def test_cvm_needs_neither_mxnet_nor_mrt(directory, tmp_path):
    np.save(tmp_path / "x.npy", models.batch_of(models.small(), 1))
    script = (
        "import sys\n"
        "for name in ('mxnet', 'mrt', 'gluoncv'): sys.modules[name] = None\n"
        "import cvm\n"
        "from cvm.__main__ import main\n"
        f"code = main(['run', {str(directory)!r}, '--input', {str(tmp_path / 'x.npy')!r}, "
        f"'--output', {str(tmp_path / 'y.npy')!r}])\n"
        "sys.exit(code)\n"
    )
    root = Path(cvm.__file__).parents[1]
    subprocess.run([sys.executable, "-c", script], check=True, cwd=tmp_path, env={"PYTHONPATH": str(root)})
    assert np.load(tmp_path / "y.npy").shape == (1, 10)


def test_the_module_is_a_command(directory):
    root = Path(cvm.__file__).parents[1]
    command = [sys.executable, "-m", "cvm", "inspect", str(directory / "absent")]
    done = subprocess.run(command, capture_output=True, text=True, env={"PYTHONPATH": str(root)}, check=False)
    assert done.returncode == 2 and done.stdout == "" and done.stderr.count("\n") == 1
    assert json.loads((directory / "ext.json").read_text()) == EXT
