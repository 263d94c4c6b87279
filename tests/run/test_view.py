"""`mrt inspect` and `mrt diff` on what a real run left."""

from __future__ import annotations

import re
from pathlib import Path
from xml.etree import ElementTree

import pytest

from mrt import cli


@pytest.fixture(scope="module")
def out(project: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("out")
    places = [f"DEFAULT.Output_dir={folder}", f"COMPILATION.Dump_dir={folder}", "EVALUATION.Iter_num=0"]
    settings = [argument for place in places for argument in ("--set", place)]
    assert cli.main([str(project / "mrt" / "zoo" / "digits.ini"), "--quiet", *settings]) == 0
    return folder


def cells(text: str, name: str) -> list[str]:
    (line,) = [line for line in text.splitlines() if line.startswith(f"{name} ")]
    return re.split(r"\s{2,}", line.strip())


def test_every_stage_can_be_looked_at(project: Path, out: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def inspected(place: Path) -> str:
        assert cli.main(["inspect", str(place)]) == 0
        return capsys.readouterr().out

    text = inspected(project / "data" / "digits-symbol.json")
    assert cells(text, "digits_conv1_fwd") == ["digits_conv1_fwd", "Convolution", "1x32x8x8", "4,608"]
    text = inspected(out / "digits.prepare.json")
    assert cells(text, "digits_conv1_fwd")[-1] == "4,640" and "BatchNorm" not in text
    text = inspected(out / "digits.quantize.json")
    _, op, shape, bits, bounds, scale = cells(text, "digits_conv0_fwd_right_shift")
    assert (op, shape, bits, bounds) == ("cvm_right_shift", "1x16x8x8", "8", "-127..127")
    assert scale.endswith("(q+127)") and 0.01 < float(scale.split()[0]) < 0.03, "a ReLU's, with its offset"
    model = inspected(out / "digits_cvm")
    assert cells(model, "digits_conv0_fwd_right_shift")[:5] == cells(text, "digits_conv0_fwd_right_shift")[:5]
    assert model.splitlines()[-1].startswith(f"{len(model.splitlines()) - 5} operators"), "all but the input"
    last = text.splitlines()[-3].split()[0]
    assert cells(model, last)[5] == cells(text, last)[5], "the scale of the output is in ext.json"


def test_a_drawing_has_each_node_and_edge(out: Path) -> None:
    assert cli.main(["inspect", str(out / "digits.quantize.json"), "--svg", str(out / "net.svg")]) == 0
    text = " ".join(ElementTree.parse(out / "net.svg").getroot().itertext())
    for part in ("conv2d", "max_pool2d", "8 bits, -127..127", "1x512", "scale 0.0"):
        assert part in text


def test_constants_are_drawn_beside_what_reads_them(out: Path) -> None:
    assert cli.main(["inspect", str(out / "digits_cvm"), "--svg", str(out / "net.svg")]) == 0
    texts = ElementTree.parse(out / "net.svg").getroot().iter("{http://www.w3.org/2000/svg}text")
    places = {each.text: re.findall(r"-?\d+\.\d+", each.attrib["transform"])[:2] for each in texts}
    x, y = map(float, places["digits_conv1_fwd_take"])
    u, v = map(float, places["digits_conv1_fwd_convolution"])
    assert y <= v < y + 200 and u < x < u + 400


def test_what_became_of_the_nodes(project: Path, out: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["diff", str(project / "data" / "digits-symbol.json"), str(out / "digits.prepare.json")]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "10 nodes, then 8: 3 the same, 4 rewritten, 2 fused, 1 lowered, 0 gone, 1 new"
    assert "fused      digits_batchnorm0_fwd (BatchNorm) into digits_conv0_fwd (Convolution)" in lines
    assert cli.main(["diff", str(out / "digits.prepare.json"), str(out / "digits.quantize.json")]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert " 0 gone" in lines[0], "a ReLU is the saturation of what it reads"
    assert "fused      digits_relu0_fwd (Activation) into digits_conv0_fwd_right_shift (cvm_right_shift)" in lines
    assert cli.main(["diff", str(out / "digits_cvm"), str(out / "digits_cvm")]) == 0
    assert re.fullmatch(
        r"(\d+) nodes, then \1: \1 the same, 0 rewritten, 0 fused, 0 lowered, 0 gone, 0 new\n", capsys.readouterr().out
    )


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("none", "none: no such model"),
        ("", "no model in it"),
        ("broken.json", "broken.json: not a readable MXNet symbol"),
    ],
)
def test_bad_input(out: Path, capsys: pytest.CaptureFixture[str], name: str, message: str) -> None:
    (out / "broken.json").write_text("{")
    (out / "broken.params").write_text("")
    assert cli.main(["inspect", str(out / name)]) == 2
    captured = capsys.readouterr()
    assert message in captured.err and captured.err.count("\n") == 1 and captured.out == ""
