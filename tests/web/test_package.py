"""The package that `make web` builds, in Chromium and in Node.js: the integers of the native runtime."""

from __future__ import annotations

import functools
import http.server
import json
import os
import shutil
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cvm
import numpy as np
import pytest

PROGRAMS = ("chromium", "chromium-browser", "google-chrome", "chrome")
PACKAGE = Path(__file__).resolve().parents[2] / "build" / "web" / "package"
SAMPLE = """
import { readFileSync } from "node:fs";
import { load } from "./cvm.js";
const [folder] = process.argv.slice(2);
const read = (name) => readFileSync(`${folder}/${name}`);
const files = { symbol: read("symbol"), params: read("params"), description: JSON.parse(read("ext.json")) };
const model = await load({ wasm: readFileSync("cvm.wasm"), ...files });
const stored = read("data.npy");
const input = new Int8Array(stored.subarray(10 + stored.readUInt16LE(8)));
const refusals = [];
for (const attempt of [() => model.run(new Int8Array(3)), () => model.run([1, 2])]) {
  try { attempt(); } catch (error) { refusals.push(error.message); }
}
try { await load({ wasm: readFileSync("cvm.wasm"), ...files, params: new Uint8Array(3) }); }
catch (error) { refusals.push(`${error.status} ${error.message}`); }
console.log(JSON.stringify({ outputs: model.run(input).map((each) => Array.from(each)), refusals }));
"""

pytestmark = pytest.mark.skipif(not PACKAGE.is_dir(), reason="the package is not built: make web MODELS='DIR ...'")


def folders() -> list[Path]:
    return sorted((PACKAGE / "models").glob("*")) if PACKAGE.is_dir() else []


@pytest.mark.parametrize("folder", folders(), ids=lambda path: path.name)
def test_the_integers_are_those_of_the_native_runtime(folder: Path, tmp_path: Path) -> None:
    if not shutil.which("node"):
        pytest.skip("no Node.js on the path")
    script = PACKAGE / "sample.mjs"
    script.write_text(SAMPLE)
    try:
        done = subprocess.run(
            ["node", script.name, str(folder)], cwd=PACKAGE, capture_output=True, text=True, check=True
        )
    finally:
        script.unlink()
    found = json.loads(done.stdout)
    x = np.load(folder / "data.npy")
    expected = cvm.load(folder)(x)
    assert [np.array(each).tolist() for each in found["outputs"]] == [np.ravel(expected).tolist()]
    assert found["refusals"][0] == f"the input has 3 values, expected {x[0].size}"
    assert found["refusals"][1:] == ["the input must be an Int8Array or Int32Array", "1 the data is truncated"]


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, format: str, *arguments: Any) -> None:
        pass


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    handler = functools.partial(Quiet, directory=str(PACKAGE))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.fixture(params=[390, 1440])
def page(address: str, request: pytest.FixtureRequest) -> Iterator[Any]:
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    program = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, PROGRAMS)), None)
    if not program:
        pytest.skip("no Chromium on the path (on Debian: apt-get install chromium); CHROMIUM can name it")
    said: list[str] = []
    with playwright.sync_playwright() as running:
        browser = running.chromium.launch(executable_path=program, args=["--no-sandbox"])
        tab = browser.new_page(viewport={"width": request.param, "height": 900})
        tab.on("console", lambda message: said.append(message.text))
        tab.on("pageerror", lambda error: said.append(str(error)))
        tab.goto(address)
        tab.wait_for_selector("#model option", state="attached")
        yield tab
        browser.close()
    assert said == [], "nothing on the console"


def test_a_drawn_digit_is_read(page: Any) -> None:
    if not (PACKAGE / "models" / "mnist_cvm").is_dir():
        pytest.skip("the package was built without mnist")
    page.select_option("#model", "mnist_cvm")
    page.wait_for_function("document.getElementById('told').textContent === 'Nothing given yet.'")
    box = page.locator("#canvas").bounding_box()
    page.mouse.move(box["x"] + 140, box["y"] + 50)
    page.mouse.down()
    page.mouse.move(box["x"] + 140, box["y"] + 230, steps=10)
    page.mouse.up()
    assert page.locator("#told").inner_text().startswith("1, in ")
    assert page.locator("#classes tbody tr").count() == 10
    assert page.locator("#classes tr.best td").first.inner_text() == "1"
    page.get_by_role("button", name="Clear").click()
    assert page.locator("#classes").is_hidden()
    page.set_input_files("#file", {"name": "x.png", "mimeType": "image/png", "buffer": b"no picture"})
    page.wait_for_function("document.getElementById('told').textContent === 'x.png is not a readable picture.'")
