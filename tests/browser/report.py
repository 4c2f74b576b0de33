#!/usr/bin/python3
"""Opens pages of `bench --html` in a headless browser and does what a reader does.

  report.py DIRECTORY PAGE.html...

DIRECTORY takes the browser's profile. RINGPROBE_SHOTS names a directory for screenshots. Exit status:
0 all as it should be, 1 something is wrong, which is said on stderr. Needs Debian's chromium,
chromium-driver and python3-selenium.
"""

import base64
import json
import os
import pathlib
import sys

from selenium import webdriver
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import Select

WIDE, NARROW = (1600, 1200), (400, 900)
# Pixels of a canvas that are not transparent, beyond axes: coloured ones.
COLOURED = """
  const canvas = arguments[0];
  const data = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data;
  let count = 0;
  for (let at = 0; at < data.length; at += 4) {
    const [red, green, blue, alpha] = data.slice(at, at + 4);
    if (alpha > 100 && Math.max(red, green, blue) - Math.min(red, green, blue) > 60) count++;
  }
  return count;
"""

wrong = []


def check(is_so, what):
    if not is_so:
        wrong.append(what)


def browser(directory):
    options = webdriver.ChromeOptions()
    options.binary_location = "/usr/bin/chromium"
    for flag in (
        "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
        "--disable-background-networking", "--disable-component-update", "--disable-sync",
        "--disable-dev-shm-usage", "--hide-scrollbars", f"--user-data-dir={directory}/profile",
    ):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = webdriver.Chrome(
        service=webdriver.chrome.service.Service("/usr/bin/chromedriver"), options=options)
    driver.set_page_load_timeout(30)
    return driver


class Page:
    """A page in one colour scheme and size."""

    def __init__(self, driver, path, scheme, size):
        self.driver = driver
        self.name = f"{path.stem}-{scheme}-{size[0]}"
        self.url = path.as_uri()
        driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {
            "features": [{"name": "prefers-color-scheme", "value": scheme}]})
        driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", {
            "width": size[0], "height": size[1], "deviceScaleFactor": 1, "mobile": False})
        driver.get(self.url)
        self.settle()

    def settle(self):
        """Waits until what was asked for is painted: uPlot draws in a microtask, sizes come a frame later."""
        self.driver.execute_async_script(
            "const done = arguments[0]; requestAnimationFrame(() => requestAnimationFrame(() => done()))")

    def all(self, selector):
        return self.driver.find_elements(By.CSS_SELECTOR, selector)

    def one(self, selector):
        return self.driver.find_element(By.CSS_SELECTOR, selector)

    def check(self, is_so, what):
        check(is_so, f"{self.name}: {what}")

    def shoot(self, suffix=""):
        shots = os.environ.get("RINGPROBE_SHOTS")
        if not shots:
            return
        pathlib.Path(shots).mkdir(parents=True, exist_ok=True)
        size = self.driver.execute_cdp_cmd("Page.getLayoutMetrics", {})["cssContentSize"]
        image = self.driver.execute_cdp_cmd("Page.captureScreenshot", {
            "captureBeyondViewport": True, "clip": {**size, "scale": 1}})
        path = pathlib.Path(shots) / f"{self.name}{suffix}.png"
        path.write_bytes(base64.b64decode(image["data"]))

    def logs(self):
        """Errors of the console, and whatever was fetched beside the page itself."""
        for entry in self.driver.get_log("browser"):
            # Warnings are about how this test reads pixels.
            self.check(entry["level"] != "SEVERE", f"console: {entry['message']}")
        for entry in self.driver.get_log("performance"):
            message = json.loads(entry["message"])["message"]
            if message["method"] == "Network.requestWillBeSent":
                url = message["params"]["request"]["url"]
                self.check(url == self.url or url.startswith("data:"), f"fetched {url}")

    def plots(self):
        return [figure for figure in self.all("figure") if figure.is_displayed()]

    def background(self):
        return self.driver.execute_script("return getComputedStyle(document.body).backgroundColor")


def look(page, plots):
    """What holds of every page, scheme and size."""
    figures = page.plots()
    page.check(len(figures) == plots, f"{len(figures)} plots instead of {plots}")
    for figure in figures:
        # Where nothing ended there is no latency to draw.
        if page.name.startswith("silent") and figure.get_attribute("id") in ("plot-percentiles", "plot-latency"):
            continue
        canvas = figure.find_element(By.TAG_NAME, "canvas")
        pixels = page.driver.execute_script(COLOURED, canvas)
        page.check(pixels > 100, f"{figure.get_attribute('id')} has {pixels} coloured pixels")
    overflow = page.driver.execute_script(
        "return document.documentElement.scrollWidth - document.documentElement.clientWidth")
    page.check(overflow <= 0, f"{overflow} px too wide")


def use(page):
    """What a reader does with several runs."""
    driver = page.driver
    cards = page.one("#cards").text
    rows = [row.get_attribute("class") for row in page.all("#runs tr")]
    page.check("chosen" in rows[0], "the first run is not marked in the table")
    page.all("#picker button")[1].click()
    page.settle()
    page.check(page.one("#cards").text != cards, "choosing a run does not change the figures")
    table = page.all("#runs tr")[1].text.split()
    page.check(" ".join(table[4:6]) in page.one("#cards").text, f"the p50 {table[4:6]} of the table is no card")
    page.shoot("-run-2")

    figure = page.one("#plot-percentiles")
    canvas = figure.find_element(By.TAG_NAME, "canvas")
    before = driver.execute_script(COLOURED, canvas)
    name = figure.find_elements(By.CSS_SELECTOR, ".u-series th")[2]
    name.click()
    page.settle()
    hidden = driver.execute_script(COLOURED, canvas)
    page.check(hidden < before, f"a hidden line is still drawn: {hidden} of {before} pixels")
    page.check(name.get_attribute("aria-pressed") == "false", "the legend does not say that a line is hidden")
    name.send_keys(Keys.ENTER)
    page.settle()
    page.check(driver.execute_script(COLOURED, canvas) == before, "the keyboard does not show the line again")

    for figure in page.plots():
        over = figure.find_element(By.CSS_SELECTOR, ".u-over")
        driver.execute_script("arguments[0].scrollIntoView({block: 'center'})", over)
        page.settle()
        ActionChains(driver).move_to_element(over).perform()
        page.settle()
        values = [value.text for value in figure.find_elements(By.CSS_SELECTOR, ".u-value")]
        is_read = all(any(letter.isdigit() for letter in value) for value in values)
        page.check(is_read, f"{figure.get_attribute('id')} shows {values} under the pointer")
    page.shoot("-hover")

    was = page.background()
    page.one("#theme").click()
    page.settle()
    page.check(page.background() != was, "the button does not change the colours")
    look(page, len(page.plots()))
    page.one("#theme").click()
    page.settle()
    page.check(page.background() == was, "the button does not change the colours back")


def choose(page):
    """What a reader does with more steps than fit on buttons."""
    names = [name.text for name in page.all("#plot-percentiles .u-series th")[1:]]
    page.check(len(names) == 3, f"lines of {names} instead of both ends and the knee")
    figures = page.one("#cards").text
    Select(page.one("#picker select")).select_by_index(9)
    page.settle()
    page.check(page.one("#cards").text != figures, "choosing a step does not change the figures")
    names = [name.text for name in page.all("#plot-percentiles .u-series th")[1:]]
    page.check(len(names) == 4 and "1,000/s" in names, f"lines of {names} without the chosen step")


def main():
    directory, *paths = sys.argv[1:]
    driver = browser(directory)
    try:
        driver.execute_cdp_cmd("Network.enable", {})
        driver.execute_cdp_cmd("Network.emulateNetworkConditions", {
            "offline": True, "latency": 0, "downloadThroughput": -1, "uploadThroughput": -1})
        # The browser's own first tab.
        driver.get("about:blank")
        driver.get_log("performance")
        for path in map(pathlib.Path, paths):
            plots = {"runs": 4, "hostile": 4, "ramp": 6, "steps": 6, "silent": 4, "nothing": 0}[path.stem]
            backgrounds = set()
            for scheme in ("light", "dark"):
                for size in (WIDE, NARROW):
                    page = Page(driver, path, scheme, size)
                    look(page, plots)
                    page.shoot()
                    backgrounds.add(page.background())
                    page.check("ringprobe bench" in driver.title, f"the title is {driver.title}")
                    page.check(not page.all("img"), "a name became an element")
                    page.check(page.one("#theme").is_displayed(), "no button for the colours")
                    if path.stem == "runs" and size == WIDE:
                        use(page)
                    if path.stem == "steps":
                        choose(page)
                    page.logs()
            check(len(backgrounds) == 2, f"{path.stem}: light and dark are the same")
        # Without JavaScript the tables stay.
        driver.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": True})
        driver.get(pathlib.Path(paths[0]).as_uri())
        check(len(driver.find_elements(By.CSS_SELECTOR, "#runs tr")) == 3, "no table without JavaScript")
        check("need JavaScript" in driver.find_element(By.TAG_NAME, "noscript").text, "no word on JavaScript")
    finally:
        driver.quit()
    for what in wrong:
        print(what, file=sys.stderr)
    sys.exit(bool(wrong))


main()
