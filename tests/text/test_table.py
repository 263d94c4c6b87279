"""`make text`, on a small network of pictures in place of the sentences': what it does is the same."""

from __future__ import annotations

import json
from pathlib import Path

from text.__main__ import Places, document, run


def test_a_row_is_trained_run_and_kept(project: Path, tmp_path: Path) -> None:
    places = Places(*(tmp_path / name for name in ("rows", "results", "models", "build")))
    places.rows.mkdir()
    places.models.mkdir()
    for part in ("symbol.json", "0000.params"):
        (places.models / f"minilm-{part}").write_bytes((project / "data" / f"digits-{part}").read_bytes())
    text = (project / "mrt/zoo/digits.ini").read_text().replace("Epochs=40", "Epochs=1")
    text = text.replace("Model_name=digits", "Model_name=student")
    path = places.rows / "student.ini"
    path.write_text(f"# A student.\n{text}\n[DISTILLATION]\nMethod=kd\nTeacher=nowhere\n")
    assert "not run yet" in document(places)
    assert run("student", places)
    kept = json.loads((places.results / "student.json").read_text())
    assert kept["bit_exact"]["mismatches"] == 0 and 0.5 < kept["accuracy"]["cvm"]["top1"] <= 1
    written = document(places)
    assert "| student | A student. |  |" in written and f"{kept['accuracy']['cvm']['top1']:.2%}" in written
    (places.models / "student-symbol.json").unlink()
    assert run("student", places)  # it is there
    assert not (places.models / "student-symbol.json").exists()
