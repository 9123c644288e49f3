"""The HTML of the status page: a template with the current settings inserted. No I/O.

The switches are right in the first frame, before any script runs, and without one. The script takes over from there.
"""

from __future__ import annotations

import html
import re
from collections.abc import Mapping
from typing import Any, Final

__all__ = ["render"]

Json = Mapping[str, Any]

_FAULTS: Final = (
    ("reset", "Reset", "The connection is reset without a response."),
    ("truncate", "Truncate", "The response is cut off in the middle of the body."),
    ("stall", "Stall", "No response is sent until the client disconnects."),
    ("stale_keepalive", "Stale keep-alive", "The connection is reset when the client reuses it."),
)
_DEFAULT_CHANCE: Final = 0.05
_DEFAULT_LATENCY: Final = (0.2, 0.8)
_DEFAULT_QUOTA: Final = {"limit": 100, "period": 60, "fixed": False}

_FAULT_FORM: Final = """\
<form novalidate autocomplete="off" aria-label="{label}" data-fault="{name}">
  <div class="fault">
    <label class="switch"><input type="checkbox" role="switch" name="on" aria-describedby="{name}-hint"{on}>{label}</label>
    <div class="hint" id="{name}-hint">{hint}</div>
    <label class="unit push" data-inputs{hidden}><input type="number" name="chance" value="{percent}" required min="0" \
max="100" step="any" aria-label="{label}, in percent" aria-describedby="{name}-error"> %</label>
  </div>
  <output class="error" id="{name}-error" role="alert"></output>
</form>
"""
_STATUS_ROW: Final = """\
<div class="status" data-key="{status}">
  <input type="number" name="code" value="{status}" required min="400" max="599" aria-label="Status" \
aria-describedby="statuses-error">
  <label class="unit">in <input type="number" name="chance" value="{percent}" required min="0" max="100" step="any" \
aria-label="Status {status}, in percent" aria-describedby="statuses-error"> %</label>
  <button type="button" class="plain push" aria-label="Remove the status {status}">Remove</button>
</div>
"""


def render(template: str, settings: Json, counts: Json) -> str:
    """Replace the ``{{name}}`` markers of the template.

    Args:
        template: The HTML template.
        settings: The settings, as the JSON endpoint of the page has them.
        counts: The number of objects of each kind, as the JSON endpoint of the page has them.
    """
    values = {
        **_latency(settings["latency"]),
        **_rate_limit(settings["rate_limit"]),
        "faults": "".join(_fault_form(settings["faults"], *fault) for fault in _FAULTS),
        "status_rows": "".join(
            _status_row(status, chance) for status, chance in settings["faults"]["status"].items()
        ),
        "status_row": _status_row("", _DEFAULT_CHANCE),
        "if_no_requests": _flag("hidden", not counts["requests"]),
        "if_requests": _flag("hidden", counts["requests"]),
        "if_no_jobs": _flag("hidden", not counts["jobs"]),
        "if_jobs": _flag("hidden", counts["jobs"]),
        **{f"count_{name}": f"{count:,}" for name, count in counts.items()},
    }
    return re.sub(r"\{\{(\w+)\}\}", lambda found: values[found[1]], template)


def _flag(name: str, on: object) -> str:
    """A boolean attribute, if it is on."""
    return f" {name}" if on else ""


def _number(value: float) -> str:
    """A number without rounding errors such as 7.000000000000001."""
    return f"{value:.12g}"


def _latency(latency: float | tuple[float, float]) -> Mapping[str, str]:
    low, high = _DEFAULT_LATENCY
    mode = "off"
    if isinstance(latency, tuple):
        (low, high), mode = latency, "range"
    elif latency:
        low, mode = latency, "fixed"
    return {
        **{f"latency_{name}": _flag("checked", name == mode) for name in ("off", "fixed", "range")},
        "latency_inputs": _flag("hidden", mode == "off"),
        "latency_high_input": _flag("hidden", mode != "range"),
        "latency_low": _number(low * 1000),
        "latency_high": _number(high * 1000),
    }


def _rate_limit(quota: Json | None) -> Mapping[str, str]:
    shown = quota or _DEFAULT_QUOTA
    return {
        "limit_on": _flag("checked", quota),
        "limit_inputs": _flag("hidden", not quota),
        "limit": str(shown["limit"]),
        "limit_period": _number(shown["period"]),
        "limit_fixed": _flag("selected", shown["fixed"]),
    }


def _fault_form(faults: Json, name: str, label: str, hint: str) -> str:
    chance = faults[name]
    return _FAULT_FORM.format(
        name=name,
        label=html.escape(label),
        hint=html.escape(hint),
        on=_flag("checked", chance),
        hidden=_flag("hidden", not chance),
        percent=_number((chance or _DEFAULT_CHANCE) * 100),
    )


def _status_row(status: object, chance: float) -> str:
    return _STATUS_ROW.format(status=status, percent=_number(chance * 100))
