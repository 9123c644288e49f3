"""Draw the pictures of the documentation.

    python -m docs.pictures          # into docs/pages/pictures
    python -m docs.pictures FOLDER   # elsewhere

What they show is the result of runs against the sandbox, so they change with the code. The picture of the terminal is
drawn by `terminal.py`, as its times differ from run to run.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import Final

from docs.pictures import call, stream, sync, walk

_DEFAULT_FOLDER: Final = Path(__file__).parents[1] / "pages" / "pictures"


_PICTURES: Final = {
    "call": call.draw,
    "walk-over-a-tie": walk.draw,
    "stream-windows": stream.draw,
    "sync": sync.draw,
}


def _draw(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, picture in _PICTURES.items():
        (folder / f"{name}.svg").write_text(asyncio.run(picture()), "utf-8")


if __name__ == "__main__":
    _draw(Path(sys.argv[1]) if len(sys.argv) > 1 else _DEFAULT_FOLDER)
