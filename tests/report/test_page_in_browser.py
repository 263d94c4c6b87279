"""The page in a real browser. `make report-check` runs this; without Chromium it is skipped.

CHROMIUM names the program where it is not on the path; MRT_REPORTS, a folder of reports to look at besides.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from mrt import cli
from mrt.report.read import read_report

PROGRAMS = ("chromium", "chromium-browser", "google-chrome", "chrome")

OVERLAPS = """() => {
  const seen = e => { const r = e.getBoundingClientRect(); return r.width && r.height && e.checkVisibility(); };
  const overlap = (a, b) => Math.min(a.right, b.right) - Math.max(a.left, b.left) > 1
    && Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top) > 1;
  const found = [];
  const pairs = (elements, what) => {
    const known = elements.filter(seen).map(e => [e, e.getBoundingClientRect()]);
    known.forEach(([a, x], i) => known.slice(i + 1).forEach(([b, y]) => {
      if (!a.contains(b) && !b.contains(a) && overlap(x, y))
        found.push(`${what}: ${a.textContent.trim().slice(0, 30)} | ${b.textContent.trim().slice(0, 30)}`);
    }));
  };
  pairs([...document.querySelectorAll("h1, h2, .tools > *, figure, details, #networks tbody tr")], "block");
  document.querySelectorAll("tr").forEach(row => pairs([...row.cells], "cell"));
  document.querySelectorAll(".inside").forEach(each => pairs([...each.children], "section"));
  document.querySelectorAll("svg").forEach(svg => pairs([...svg.querySelectorAll("text")], "chart"));
  document.querySelectorAll("td, th, summary, section, p, label, button").forEach(e => {
    const wider = seen(e) && e.clientWidth && e.scrollWidth > e.clientWidth + 1;
    if (wider) found.push(`wider than its place: ${e.textContent.trim().slice(0, 40)}`);
  });
  return found;
}"""


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    program = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, PROGRAMS)), None)
    if not program:
        pytest.skip("no Chromium on the path (on Debian: apt-get install chromium); CHROMIUM can name it")
    with playwright.sync_playwright() as running:
        yield running.chromium.launch(executable_path=program, args=["--no-sandbox"])


@pytest.fixture(scope="module")
def page_file(project: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of a real run of a small network, and of some made up from it."""
    folder = tmp_path_factory.mktemp("reports")
    config = str(project / "mrt" / "zoo" / "digits.ini")
    places = [f"DEFAULT.Output_dir={folder}", f"COMPILATION.Dump_dir={folder}"]
    settings = [argument for place in places for argument in ("--set", place)]
    assert cli.main([config, "--quiet", *settings]) == 0
    assert cli.main(["sensitivity", config, "--quiet", "--pictures", "16", *settings]) == 0
    real = read_report(folder / "digits.report.json")
    for number in range(1, 8):
        faster = real.latency_ms.model_copy(update={"cvm": 0.01 * number**2})
        scores = {name: {"top1": 0.9 + 0.01 * number, "top5": 1.0} for name in ("float", "quantized", "cvm")}
        name = f"a_network_with_quite_a_long_name_{number}" if number % 2 else f"net{number}"
        change = {"model": name, "latency_ms": faster, "accuracy": scores, "samples": 1000 * number}
        real.model_copy(update=change).write(folder)
    change = {"model": "seeded", "weights": "random", "accuracy": {}, "dataset": "imagenet"}
    real.model_copy(update=change).write(folder)
    page = folder / "report.html"
    places = [str(folder), *filter(None, [os.environ.get("MRT_REPORTS")])]
    (folder / "published.csv").write_text("model,float_top1_or_map,cvm_top1\nnet2,94.20,94.21\n")
    assert cli.main(["report", *places, "-o", str(page), "--published", str(folder / "published.csv")]) == 0
    return page


@pytest.fixture(params=[(390, "dark"), (390, "light"), (1440, "dark"), (1440, "light")], ids=str)
def page(browser: Any, page_file: Path, request: pytest.FixtureRequest) -> Iterator[Any]:
    width, scheme = request.param
    tab = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
    tab.set_default_timeout(20_000)
    said: list[str] = []
    tab.on("console", lambda message: said.append(message.text))
    tab.on("pageerror", lambda error: said.append(str(error)))
    tab.on("request", lambda request: said.append(request.url) if request.url.startswith("http") else None)
    tab.goto(page_file.as_uri())
    yield tab
    tab.close()
    assert said == [], "nothing on the console, nothing fetched"


def names(page: Any) -> list[str]:
    shown: list[str] = page.locator("#networks tbody tr:visible td:first-child").all_inner_texts()
    return shown


def counted(name: str) -> list[tuple[int, str]]:
    """As people sort names: net2 before net10."""
    return [(int(part), "") if part.isdigit() else (0, part) for part in re.split(r"(\d+)", name)]


def test_it_can_be_sorted(page: Any) -> None:
    values = "[...document.querySelectorAll('#networks tbody tr')].map(row => Number(row.cells[9].dataset.value))"
    page.select_option("#by", label="integer ms")
    ascending = page.evaluate(values)
    assert ascending == sorted(ascending) and len(set(ascending)) > 5
    page.check("#down")
    assert page.evaluate(values) == ascending[::-1]
    if page.viewport_size["width"] > 900:
        page.get_by_role("button", name="integer ms").click()
        assert page.evaluate(values) == ascending
        page.get_by_role("button", name="network", exact=True).click()
        assert names(page) == sorted(names(page), key=counted)
        assert page.locator("th[aria-sort=ascending]").inner_text().startswith("network")
    page.uncheck("#down")
    page.select_option("#by", label="float")
    last = page.evaluate("[...document.querySelectorAll('#networks tbody tr')].at(-1).cells[3].dataset.value")
    assert last == "", "what has no accuracy comes last"


def test_it_can_be_filtered(page: Any) -> None:
    everything = names(page)
    page.fill("#name", "LONG_name")
    assert names(page) == [name for name in everything if "long_name" in name] != []
    assert page.locator("details:visible").count() == len(names(page))
    assert page.locator("#told").inner_text() == f"{len(names(page))} of {len(everything)} networks"
    page.fill("#name", "")
    page.select_option("select[data-filter=weights]", "random")
    assert "seeded" in names(page) and "digits" not in names(page)
    page.select_option("select[data-filter=weights]", "")
    assert names(page) == everything


def test_a_name_leads_to_its_section(page: Any) -> None:
    page.get_by_role("link", name="digits", exact=True).first.click()
    section = page.locator("details[open]")
    assert "digits" in section.locator("summary").inner_text()
    text = section.inner_text()
    for part in ("Stages", "What was fused", "certificate", "SQNR of each layer", "Values and ranges", "Examples",
                 "Worst operators (mrt sensitivity)", "integers: 4 ("):  # fmt: skip
        assert part in text
    assert section.locator(".examples img").evaluate_all("all => all.every(i => i.complete && i.naturalWidth > 0)")


def test_nothing_overlaps(page: Any) -> None:
    page.evaluate("document.querySelectorAll('details').forEach(each => each.open = true)")
    for place in ("document.documentElement", "document.querySelector('.scroll')"):
        assert page.evaluate(f"{place}.scrollWidth <= {place}.clientWidth"), "nothing to scroll sideways"
    assert page.evaluate(OVERLAPS) == []


def test_it_passes_the_accessibility_checker(page: Any) -> None:
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="axe is not installed")
    page.evaluate("document.querySelectorAll('details').forEach(each => each.open = true)")
    found = axe.Axe().run(page)
    assert found.violations_count == 0, found.generate_report()
