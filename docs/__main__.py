"""Build the site: `python -m docs` makes build/docs/site, and fails on any warning, broken link or missing name."""

from __future__ import annotations

import argparse
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Final

from docs.assemble import BrokenLinksError, assemble
from docs.links import problems_of_site, read_page
from docs.polish import link_names, places_of_names, polish
from docs.reference import public_names, undocumented

ROOT: Final = Path(__file__).parents[1]

_COLORS: Final = re.compile(r"\x1b\[[0-9;]*m")


def build(folder: Path) -> list[str]:
    """Build the site in `folder`, and return what is wrong with it.

    Args:
        folder: The folder for the pages and, in ``site``, the site itself. It is emptied first.
    """
    shutil.rmtree(folder, ignore_errors=True)
    try:
        assemble(ROOT, folder / "pages")
    except BrokenLinksError as error:
        return str(error).splitlines()
    settings = shutil.copy(ROOT / "docs/zensical.toml", folder)
    command = [sys.executable, "-m", "zensical", "build", "--strict", "--config-file", str(settings)]
    done = subprocess.run(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
    )
    told = _COLORS.sub("", done.stdout).strip()
    # The problems of docstrings are printed, and do not fail the build by themselves.
    if done.returncode or "griffe:" in told or "Warning:" in told:
        return [told]
    site = folder / "site"
    pages = {path.relative_to(site).as_posix(): path.read_text("utf-8") for path in site.rglob("*.html")}
    anchors = {page: read_page(html).anchors for page, html in pages.items() if page.startswith("reference/")}
    places = places_of_names(anchors)
    for page, html in pages.items():
        (site / page).write_text(link_names(polish(html), page, places), "utf-8")
    missing = undocumented(public_names(), set[str]().union(*anchors.values()))
    return [*problems_of_site(site), *(f"the reference has no entry for {name}" for name in missing)]


def main() -> int:
    """Run the command."""
    parser = argparse.ArgumentParser(prog="python -m docs", description=__doc__)
    parser.add_argument("--folder", type=Path, default=ROOT / "build/docs", help="default: build/docs")
    folder: Path = parser.parse_args().folder.resolve()
    start = time.perf_counter()
    problems = build(folder)
    for problem in problems:
        print(problem, file=sys.stderr)
    if problems:
        return 1
    count = sum(1 for _ in (folder / "site").rglob("*.html"))
    print(f"{count} pages in {time.perf_counter() - start:.0f} s: {folder / 'site/index.html'}")
    print(f"The search needs a server: python3 -m http.server --bind 127.0.0.1 --directory {folder / 'site'}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
