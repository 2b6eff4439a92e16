"""Pages in a browser: nothing is hidden at 420 pixels, everything can be read in light and dark."""

from __future__ import annotations

import html
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

AUROR = Path(sys.prefix) / "bin" / "auror"
NARROW = 420
LEAST_CONTRAST = 4.5
"""Of text, WCAG 2.2 level AA."""
COMMANDS = (
    "simulate --dataset digits --clients 15 --rounds 2 --out run",
    "sweep grid.toml --out grid",
    "report grid",
)
GRID = """
[base]
dataset = "digits"
clients = 15
rounds = 2
[grid]
group_size = [2, 5]
attack = ["flip:4:9", "flip:1:7"]
"""
MEASURE = """
<script>
function parts(colour) { return colour.match(/[\\d.]+/g).map(Number); }
function light(colour) {
  const [r, g, b] = parts(colour).slice(0, 3).map(v => v / 255)
    .map(v => v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
}
function behind(element, win) {
  for (let e = element; e; e = e.parentElement) {
    const colour = parts(win.getComputedStyle(e).backgroundColor);
    if (colour.length < 4 || colour[3] > 0) return `rgb(${colour.slice(0, 3)})`;
  }
  return "rgb(255,255,255)";
}
onload = () => {
  const win = document.querySelector("iframe").contentWindow, doc = win.document;
  for (const d of doc.querySelectorAll("details")) d.open = true;
  const all = [...doc.body.querySelectorAll("*")]
    .filter(e => !e.closest("svg") && e.tagName !== "STYLE");
  const over = all.filter(e => e.scrollWidth > e.clientWidth + 1 && e.clientWidth > 0
    || e.getBoundingClientRect().right > win.innerWidth + 1);
  const unseen = all.filter(
    e => e.textContent.trim() && !e.closest("thead") && !e.getClientRects().length);
  const own = e => [...e.childNodes].some(n => n.nodeType === 3 && n.data.trim());
  const contrast = all.filter(own).map(e => {
    const a = light(win.getComputedStyle(e).color), b = light(behind(e, win));
    return (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
  });
  const svg = doc.querySelector("figure svg");
  document.title = JSON.stringify({
    width: win.innerWidth, elements: all.length, page: doc.documentElement.scrollWidth,
    over: over.map(e => e.outerHTML.slice(0, 120)),
    unseen: unseen.map(e => e.outerHTML.slice(0, 120)),
    contrast: Math.min(...contrast), paper: win.getComputedStyle(doc.body).backgroundColor,
    figure: svg && win.getComputedStyle(svg).filter,
  });
};
</script>
"""


def seen(page: Path, folder: Path, dark: bool, style: str = "") -> Any:
    """What a browser makes of ``page`` in a frame of ``NARROW`` pixels; ``style`` is added."""
    text = page.read_text(encoding="utf-8").replace("</head>", f"<style>{style}</style></head>")
    framed = folder / "framed.html"
    frame = f'style="border:0" width="{NARROW}" height="900" srcdoc="{html.escape(text)}"'
    framed.write_text(f"<meta charset=utf-8>{MEASURE}<iframe {frame}></iframe>", encoding="utf-8")
    words = ["chromium", "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars",
             f"--user-data-dir={folder / 'profile'}", "--virtual-time-budget=5000",
             f"--blink-settings=preferredColorScheme={0 if dark else 1}"]  # fmt: skip
    done = subprocess.run([*words, "--dump-dom", framed.as_uri()], capture_output=True, text=True,
                          check=True, timeout=120)  # fmt: skip
    (title,) = re.findall(r"<title>(.*?)</title>", done.stdout, re.DOTALL)[:1]
    return json.loads(html.unescape(title))


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("pages")
    (folder / "grid.toml").write_text(GRID, encoding="utf-8")
    for line in COMMANDS:
        subprocess.run([AUROR, *line.split()], cwd=folder, check=True, capture_output=True)
    return {"run": folder / "run" / "report.html", "tradeoff": folder / "tradeoff.html"}


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("name", ["run", "tradeoff"])
def test_nothing_is_hidden_and_everything_can_be_read(
    pages: dict[str, Path], name: str, dark: bool, tmp_path: Path
) -> None:
    found = seen(pages[name], tmp_path, dark)
    assert found["width"] == found["page"] == NARROW
    assert found["elements"] > 50
    assert not found["over"]
    assert not found["unseen"]
    assert found["contrast"] >= LEAST_CONTRAST
    assert (found["paper"] == "rgb(255, 255, 255)") is not dark
    assert ("invert" in found["figure"]) is dark


def test_the_browser_sees_what_is_hidden(pages: dict[str, Path], tmp_path: Path) -> None:
    wide = seen(
        pages["run"], tmp_path, dark=False, style="td { min-width: 40rem } p { color: #ccc }"
    )
    assert wide["over"]
    assert wide["contrast"] < LEAST_CONTRAST
    assert seen(pages["run"], tmp_path, dark=False, style="h2 { display: none }")["unseen"]
