"""Screenshots of a run's report for the documentation: desktop in light and dark, and phone.

``python benchmarks/report_pictures.py DIR`` writes ``docs/images/report-*.png``.
"""

from __future__ import annotations

import io
import sys
import tempfile
from pathlib import Path

from PIL import Image

from corenas.plugins.registry import default_registry
from corenas.report.page import write_report
from corenas.runs.launch import state_of
from corenas.testing.browser import look_like, missing_programs, open_browser, screenshot

IMAGES = Path(__file__).parents[1] / "docs" / "images"
COLOURS = 256


def take(driver, address: str, name: str, *, width: int, height: int, at: str, **looks) -> None:
    """Write the screenshot of a page from the element ``at`` on."""
    look_like(driver, **looks)
    driver.set_window_size(width, height)
    driver.get(address)
    driver.execute_async_script(
        "Promise.all([...document.images].map((i) => i.decode())).then(arguments[0], arguments[0])"
    )
    top = driver.execute_script(
        "return document.querySelector(arguments[0]).getBoundingClientRect().top + scrollY", at
    )
    path = IMAGES / f"report-{name}.png"
    screenshot(driver, path, top=int(top), height=height)
    smaller = io.BytesIO()
    with Image.open(path) as image:
        image.convert("RGB").quantize(COLOURS, Image.Quantize.MAXCOVERAGE).save(
            smaller, "PNG", optimize=True
        )
    path.write_bytes(smaller.getvalue())
    print(f"{path.name}: {len(smaller.getvalue()) / 1000:.0f} kB")


def main(folder: Path) -> int:
    if missing := missing_programs():
        print(f"not installed: {', '.join(missing)}")
        return 1
    report = write_report(folder, registry=default_registry(), state=state_of(folder))
    address = report.absolute().as_uri()
    with tempfile.TemporaryDirectory() as profile, open_browser(Path(profile)) as driver:
        take(driver, address, "light", width=1200, height=1150, at="header")
        take(driver, address, "dark", width=1200, height=1150, at="#why", dark=True)
        take(driver, address, "phone", width=390, height=844, at="header", phone=(390, 844))
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
