"""Run a command and draw its output as a terminal window.

    python -m docs.pictures.terminal --as 'make demo' docs/pages/pictures/terminal.svg .venv/bin/voucherify-async demo

The colours of the output are kept. Lines of more than 100 columns are broken; on a phone, 60 columns or fewer are best.
"""

from __future__ import annotations

import argparse
import io
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Final
from xml.sax.saxutils import escape

from rich.console import Console
from rich.terminal_theme import TerminalTheme
from rich.text import Text

from docs.pictures.canvas import MONO

_MAX_COLUMNS: Final = 100

# A dark window can be read on a light page, and on a dark one.
_THEME: Final = TerminalTheme(
    background=(0x16, 0x1B, 0x22),
    foreground=(0xE6, 0xED, 0xF3),
    normal=[
        (0x8B, 0x94, 0x9E),  # black, which would be invisible
        (0xFF, 0x9A, 0x91),
        (0x56, 0xD4, 0xA0),
        (0xE3, 0xB3, 0x41),
        (0x79, 0xB8, 0xFF),
        (0xD2, 0xA8, 0xFF),
        (0x76, 0xE3, 0xEA),
        (0xE6, 0xED, 0xF3),
    ],
)

# What rich exports, without its font, which comes from another host.
_FORMAT: Final = """\
<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="800" role="img"
 aria-labelledby="terminal-title terminal-desc">
<title id="terminal-title">%TITLE%</title>
<desc id="terminal-desc">%DESCRIPTION%</desc>
<style>
.{unique_id}-matrix {{ font-family: %FONT%; font-size: {char_height}px; line-height: {line_height}px }}
{styles}
</style>
<defs>
<clipPath id="{unique_id}-clip-terminal"><rect x="0" y="0" width="{terminal_width}" height="{terminal_height}"/></clipPath>
{lines}
</defs>
{chrome}
<g transform="translate({terminal_x}, {terminal_y})" clip-path="url(#{unique_id}-clip-terminal)">
{backgrounds}
<g class="{unique_id}-matrix">
{matrix}
</g>
</g>
</svg>
"""


def draw(shown_command: str, output: str) -> str:
    """Draw the window.

    Args:
        shown_command: The command as the window shows it.
        output: What it printed, with its ANSI codes.
    """
    text = Text.from_ansi(output.strip("\n"))
    columns = min(_MAX_COLUMNS, max(map(len, [f"$ {shown_command}", *text.plain.splitlines()])))
    console = Console(
        record=True, width=columns, file=io.StringIO(), color_system="truecolor", legacy_windows=False
    )
    console.print(Text.assemble(("$ ", "green"), (shown_command, "bold")))
    console.print(text)
    title = f"The output of {shown_command} in a terminal"
    template = _FORMAT.replace("%FONT%", MONO).replace("%TITLE%", _template(title))
    template = template.replace("%DESCRIPTION%", _template(text.plain))
    picture = console.export_svg(title="", theme=_THEME, code_format=template, unique_id="terminal")
    return re.sub(r"[ \t]+$", "", picture, flags=re.MULTILINE)


def _template(text: str) -> str:
    """Text as it has to be in a template: escaped for XML and for `str.format`."""
    return escape(text).replace("{", "{{").replace("}", "}}")


def _main() -> None:
    parser = argparse.ArgumentParser(description="Run a command and draw its output as a terminal window.")
    parser.add_argument("--as", dest="shown", help="the command to show instead of the one that is run")
    parser.add_argument("picture", type=Path, help="the SVG file to write")
    parser.add_argument("command", nargs=argparse.REMAINDER, help="the command to run")
    options = parser.parse_args()
    if not options.command:
        parser.error("a command is required")
    command = [sys.executable if options.command[0] == "python" else options.command[0], *options.command[1:]]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
    output = done.stdout.decode()  # not as text, which would make line feeds of carriage returns
    if done.returncode:
        sys.exit(f"the command failed, nothing was drawn:\n{output}")
    options.picture.write_text(draw(options.shown or shlex.join(options.command), output), "utf-8")


if __name__ == "__main__":
    _main()
