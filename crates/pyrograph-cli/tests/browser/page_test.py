#!/usr/bin/env python3
"""Tries the page of a running server in headless Chromium.

    python3 page_test.py http://127.0.0.1:8080/ --shots DIR [--token TOKEN] [--image FILE] [--browser PATH]

The first model of each task that the server has is tried: text to image (a prompt, previews, progress, the finished
picture, a refused value, Cancel), sprites, and with --image anomaly scores and detections. Then every field is checked
for a label, and screenshots go to DIR. Needs Python 3.10 and Chromium, no packages. Exit code 1 when a check fails.
"""

import argparse
import sys
import struct
import tempfile
import zlib
from pathlib import Path

from chromium import BrowserError, Chromium

VISIBLE = ".panel:not([hidden])"
# Accessible basics: names of fields and buttons, alternative texts, one main heading, a language, unique ids, no sideways scrolling.
BASICS = """(() => {
  const faults = [], shown = node => node.checkVisibility();
  const name = node => [node.getAttribute("aria-label"), ...(node.labels ? [...node.labels].map(label => label.textContent) : []),
    node.matches("button, a, summary") ? node.textContent : "", node.querySelector?.("img[alt]")?.alt,
    ...(node.getAttribute("aria-labelledby") ?? "").split(" ").map(id => id && document.getElementById(id)?.textContent)].join("").trim();
  for (const node of document.querySelectorAll("input, textarea, select, button, a, summary, progress, [role=img], [tabindex='0']"))
    if (!name(node)) faults.push(`no label: ${node.outerHTML.slice(0, 90)}`);
  for (const node of document.querySelectorAll("img")) if (!node.hasAttribute("alt")) faults.push(`no alt: ${node.outerHTML.slice(0, 90)}`);
  const ids = [...document.querySelectorAll("[id]")].map(node => node.id);
  for (const id of ids) if (ids.filter(other => other === id).length > 1) faults.push(`id twice: ${id}`);
  for (const at of ["aria-describedby", "aria-controls", "aria-labelledby"])
    for (const node of document.querySelectorAll(`[${at}]`))
      if (!document.getElementById(node.getAttribute(at))) faults.push(`${at} of nothing: ${node.getAttribute(at)}`);
  if (document.querySelectorAll("h1").length !== 1) faults.push("not exactly one h1");
  if (!document.documentElement.lang) faults.push("no language");
  if (!document.title) faults.push("no title");
  if (!document.querySelector("main")) faults.push("no main");
  if (!document.querySelector("[aria-live=polite]") || !document.querySelector("[role=alert]")) faults.push("no live regions");
  if (document.documentElement.scrollWidth > innerWidth) faults.push(`wider than the window: ${document.documentElement.scrollWidth} > ${innerWidth}`);
  return faults;
})()"""
# Text against what lies behind it, by WCAG's ratio.
CONTRAST = """(() => {
  const rgb = text => text.match(/[\\d.]+/g).map(Number);
  const light = ([r, g, b]) => { const f = v => (v /= 255) <= .03928 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4; return .2126 * f(r) + .7152 * f(g) + .0722 * f(b); };
  const behind = node => { for (; node; node = node.parentElement) { const c = rgb(getComputedStyle(node).backgroundColor); if (c.length < 4 || c[3] > .99) return c; } return [255, 255, 255]; };
  const faults = [];
  for (const node of document.querySelectorAll("body *")) {
    const own = [...node.childNodes].some(child => child.nodeType === 3 && child.textContent.trim());
    if (!own || !node.checkVisibility() || node.closest("template, .sr, :disabled")) continue;
    const [a, b] = [light(rgb(getComputedStyle(node).color)), light(behind(node))].sort((x, y) => y - x);
    if ((a + .05) / (b + .05) < 4.5) faults.push(`contrast ${((a + .05) / (b + .05)).toFixed(2)}: ${node.textContent.trim().slice(0, 40)}`);
  }
  return faults;
})()"""
# Counts previews and keeps the largest progress, since both pass by quickly.
WATCH = """(() => {
  const panel = document.querySelector(".panel:not([hidden])");
  const seen = window.seen = { previews: 0, progress: 0, steps: [], previewSizes: [] };
  const known = new Set();
  new MutationObserver(() => {
    const image = panel.querySelector(".forming img");
    if (image && !known.has(image.src)) {
      known.add(image.src); seen.previews += 1;
      image.decode().then(() => seen.previewSizes.push(image.naturalWidth), () => seen.previewSizes.push(0));
    }
    const bar = panel.querySelector("progress");
    if (bar.hasAttribute("value") && !panel.querySelector(".run").hidden) seen.progress = Math.max(seen.progress, bar.value);
    const step = /^Step (\\d+) of (\\d+)/.exec(panel.querySelector(".now").textContent);
    if (step) seen.steps.push([Number(step[1]), Number(step[2])]);
  }).observe(panel, { subtree: true, childList: true, attributes: true, characterData: true });
})()"""


class Checks:
    """Counts checks and tells them."""

    def __init__(self):
        self.failed = 0

    def that(self, holds, what: str, seen=None):
        print(f"{'ok    ' if holds else 'FAILED'} {what}{'' if holds or seen is None else f': {seen}'}", flush=True)
        self.failed += not holds


def png(width: int, height: int) -> bytes:
    """A picture to give where none is named: a gradient."""
    rows = b"".join(b"\0" + bytes(v for x in range(width) for v in (255 * x // width, 255 * y // height, 90)) for y in range(height))
    part = lambda kind, data: struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
    return (b"\x89PNG\r\n\x1a\n" + part(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
            + part(b"IDAT", zlib.compress(rows)) + part(b"IEND", b""))


def show(browser: Chromium, task: str) -> bool:
    """Turns to the first model of a task. False where there is none."""
    return browser.run(f"""(() => {{ const panel = panels.find(panel => panel.model.task === "{task}");
        if (panel) panel.tab.click(); return Boolean(panel); }})()""")


def idle(browser: Chromium, seconds: float, what: str):
    browser.wait(f"(() => {{ const button = document.querySelector('{VISIBLE} .go'); return !button.disabled && !button.matches('.stop'); }})()",
                 seconds, what)


def shots(browser: Chromium, checks: Checks, folder: Path, name: str):
    """Screenshots: wide and light, wide and dark, phone. The basics must hold in each."""
    for view, size in {"light": (1280, 860, 1, False, False), "dark": (1280, 860, 1, True, False), "phone": (390, 844, 2, False, True)}.items():
        browser.screen(*size)
        faults = browser.run(BASICS) + browser.run(CONTRAST)
        checks.that(not faults, f"{name}, {view}: every field has a label, every text its contrast", faults)
        browser.picture(folder / f"{name}-{view}.png")
    browser.screen(1280, 860)


def text_to_image(browser: Chromium, checks: Checks, folder: Path, image: Path, wait: float):
    shots(browser, checks, folder, "empty")
    browser.type("[name=prompt]", "a lovely cat")
    browser.type("[name='parameters.num_inference_steps']", "12")
    browser.type("[name='parameters.seed']", "7")
    browser.run(WATCH)
    browser.click(f"{VISIBLE} .go")
    browser.wait("seen.previews > 0 || document.querySelector('.pics:not(.forming) img')", wait, "a preview")
    browser.picture(folder / "forming-light.png")
    picture = f"document.querySelector('{VISIBLE} .pics:not(.forming) img')"
    browser.wait(f"{picture}?.complete && {picture}.naturalWidth", wait, "the finished picture")
    idle(browser, wait, "the end of the request")
    seen = browser.run("seen")
    checks.that(seen["previews"] >= 1, "previews appeared", seen)
    checks.that(all(seen["previewSizes"]), "previews are images", seen["previewSizes"])
    checks.that(seen["progress"] == 1, "progress reached the end", seen["progress"])
    checks.that(seen["steps"] and seen["steps"][-1] == [12, 12], "the last step was told", seen["steps"][-1:])
    checks.that(browser.run(f"{picture}.closest('figure').querySelector('.seed').textContent") == "Seed 7", "the seed is shown")
    checks.that(browser.run(f"{picture}.closest('figure').querySelector('a[download]').href").startswith("blob:"), "a download is there")
    checks.that(browser.run(f"document.querySelectorAll('{VISIBLE} .legend li').length >= 3"), "the time by stage is shown")
    checks.that(browser.run(f"document.querySelectorAll('{VISIBLE} .strip li').length") == 1, "the history has the picture")
    live = browser.run(f"document.querySelector('{VISIBLE} [aria-live=polite]').textContent")
    checks.that("Done" in live, "the end is announced", live)
    shots(browser, checks, folder, "picture")

    browser.type("[name='parameters.num_inference_steps']", "0")
    browser.click(f"{VISIBLE} .go")
    browser.wait(f"!document.querySelector('{VISIBLE} [role=alert]').hidden", wait, "an error for 0 steps")
    field = "document.querySelector(\"[name='parameters.num_inference_steps']\")"
    error = browser.run(f"document.querySelector('{VISIBLE} [role=alert]').textContent")
    checks.that("num_inference_steps" in error and "0" in error, "an error names the bad value", error)
    checks.that(browser.run(f"{field}.getAttribute('aria-invalid') === 'true' && document.activeElement === {field}"), "the field is marked and has the focus")
    checks.that(browser.run(f"Boolean(document.querySelector('{VISIBLE} .pics img'))"), "the picture before stays")
    browser.picture(folder / "error-light.png")

    browser.type("[name='parameters.num_inference_steps']", "150")
    browser.click(f"{VISIBLE} .go")
    browser.wait(f"document.querySelector('{VISIBLE} .go').textContent === 'Cancel'", wait, "the Cancel button")
    browser.click(f"{VISIBLE} .go")
    idle(browser, wait, "the cancelled request")
    checks.that(browser.run(f"document.querySelector('{VISIBLE} [aria-live=polite]').textContent") == "Cancelled.", "Cancel is announced")
    checks.that(browser.run(f"document.querySelector('{VISIBLE} [role=alert]').hidden"), "Cancel is no error")

    browser.choose(f"{VISIBLE} input[type=file]", image)
    browser.wait("!document.querySelector('.editor').hidden", 20, "the editor of the mask")
    browser.type("[name='parameters.num_inference_steps']", "6")
    browser.type("[name='parameters.num_images']", "2")
    browser.run("document.querySelector('canvas.mask').focus()")
    browser.press(" ")
    body = browser.run("panels.find(panel => panel.model.task === 'txt2img').task.body({}).then(body => Object.keys(body))")
    checks.that("image" in body and "mask" in body, "an image and a painted mask are in the body", body)
    browser.click(f"{VISIBLE} .clear")
    body = browser.run("panels.find(panel => panel.model.task === 'txt2img').task.body({}).then(body => Object.keys(body))")
    checks.that("image" in body and "mask" not in body, "a cleared mask is not", body)
    browser.click(f"{VISIBLE} .go")
    browser.wait(f"document.querySelectorAll('{VISIBLE} .pics:not(.forming) img').length === 2", wait, "two pictures from an image")
    idle(browser, wait, "the end of the request")
    shots(browser, checks, folder, "two")


def sprites(browser: Chromium, checks: Checks, folder: Path, wait: float):
    browser.type(f"{VISIBLE} [name='parameters.num_images']", "6")
    browser.type(f"{VISIBLE} [name='parameters.num_inference_steps']", "20")
    browser.click(f"{VISIBLE} .go")
    browser.wait(f"document.querySelectorAll('{VISIBLE} .pics:not(.forming) img').length === 6", wait, "six sprites")
    idle(browser, wait, "the end of the request")
    style = browser.run(f"getComputedStyle(document.querySelector('{VISIBLE} .pics img')).imageRendering")
    checks.that(style == "pixelated", "sprites keep their pixels", style)
    shots(browser, checks, folder, "sprites")


def anomaly(browser: Chromium, checks: Checks, folder: Path, image: Path, wait: float):
    browser.choose(f"{VISIBLE} input[type=file]", image)
    browser.wait(f"document.querySelector('{VISIBLE} .verdict')", wait, "a verdict")
    idle(browser, wait, "the end of the request")
    checks.that(browser.run(f"/Score/.test(document.querySelector('{VISIBLE} .facts').textContent)"), "the score is shown")
    shots(browser, checks, folder, "anomaly")


def detect(browser: Chromium, checks: Checks, folder: Path, image: Path, wait: float):
    browser.choose(f"{VISIBLE} input[type=file]", image)
    browser.wait(f"document.querySelector('{VISIBLE} table')", wait, "a table of objects")
    idle(browser, wait, "the end of the request")
    rows = f"document.querySelectorAll('{VISIBLE} tbody tr').length"
    before = browser.run(rows)
    browser.run(f"(() => {{ const range = document.querySelector('{VISIBLE} .least'); range.value = 1; range.dispatchEvent(new Event('input')); }})()")
    checks.that(browser.run(rows) <= before and browser.run(f"{rows} === 0 || {before} > 0"), "the slider leaves objects out", before)
    browser.run(f"(() => {{ const range = document.querySelector('{VISIBLE} .least'); range.value = .4; range.dispatchEvent(new Event('input')); }})()")
    shots(browser, checks, folder, "detect")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("url")
    parser.add_argument("--shots", type=Path, default=Path("browser-shots"), help="folder for screenshots")
    parser.add_argument("--token", help="a bearer token, where the server asks for one")
    parser.add_argument("--image", type=Path, help="an image to start from, score and detect in")
    parser.add_argument("--browser", help="Chromium's path")
    parser.add_argument("--wait", type=float, default=120, help="seconds that a request may take")
    options = parser.parse_args()
    options.shots.mkdir(parents=True, exist_ok=True)
    checks = Checks()
    with tempfile.TemporaryDirectory() as folder, Chromium(options.browser) as browser:
        image = options.image or Path(folder, "gradient.png")
        if options.image is None:
            image.write_bytes(png(96, 96))
        browser.screen(1280, 860)
        browser.open(options.url)
        try:
            if options.token:
                browser.wait("document.querySelector('#token')?.checkVisibility()", options.wait, "the field for a token")
                browser.type("#token-field", options.token)
                browser.press("Tab")
                browser.click("#token button")
            browser.wait("document.querySelector('#state')?.dataset.is === 'ready'", options.wait, "a model that is ready")
            tried = 0
            for task, run in (("txt2img", lambda: text_to_image(browser, checks, options.shots, image, options.wait)),
                              ("sprites", lambda: sprites(browser, checks, options.shots, options.wait)),
                              ("anomaly", lambda: anomaly(browser, checks, options.shots, image, options.wait)),
                              ("detect", lambda: detect(browser, checks, options.shots, image, options.wait))):
                if show(browser, task):
                    run()
                    tried += 1
            checks.that(tried, "the server has a model of a known task")
            checks.that(not browser.complaints, "the page throws nothing and breaks none of its rules", browser.complaints)
        except BrowserError as error:
            checks.that(False, str(error))
            browser.picture(options.shots / "failed.png")
    print(f"{checks.failed} checks failed; screenshots in {options.shots}")
    return 1 if checks.failed else 0


if __name__ == "__main__":
    sys.exit(main())
