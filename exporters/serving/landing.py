"""The page at /: what this agent is, where its metrics are, and how each collector fares."""

from collections.abc import Sequence
from html import escape
from urllib.parse import quote

from exporters.states import Report

_STYLE = """
:root{color-scheme:light dark;
--line:#d9dde3;--soft:#5b6470;--ok:#1a7f4b;--bad:#b3261e;--quiet:#5b6470;--head:#f4f6f8}
@media(prefers-color-scheme:dark){:root{--line:#363c45;--soft:#9aa4b1;--ok:#5fd098;--bad:#ff8a80;--quiet:#9aa4b1;
--head:#20252c}body{background:#15181d;color:#e6e9ee}a{color:#8ab8ff}}
body{font:14px/1.45 system-ui,sans-serif;margin:2.5rem auto;max-width:62rem;padding:0 1.25rem}
h1{font-size:1.45rem;margin:0}h1+p{color:var(--soft);margin:.2rem 0 1.4rem}
nav a{display:inline-block;margin:0 1.2rem .4rem 0}
.wide{overflow-x:auto;margin-top:1.2rem}
table{border-collapse:collapse;width:100%;font-variant-numeric:tabular-nums}
th{background:var(--head);text-align:left;font-weight:600}
th,td{padding:.18rem .7rem;border-bottom:1px solid var(--line);vertical-align:top}
td.n,th.n{text-align:right;white-space:nowrap}
.ok{color:var(--ok)}.failed{color:var(--bad);font-weight:600}.no,.waiting,.no~td{color:var(--quiet)}
td:last-child{overflow-wrap:anywhere}
small{color:var(--soft)}
"""
_LONGEST_WHY = 300
_ORDER = {"failed": 0, "waiting": 1, "ok": 2, "no data": 3}


def page(reports: Sequence[Report], version: str, metrics: str, documents: Sequence[str]) -> bytes:
    """The page as HTML; `metrics` and `documents` are paths."""
    links = [(metrics, "Metrics"), *((path, f"{path} (JSON)") for path in documents), ("/healthz", "Health")]
    nav = "".join(f'<a href="{escape(quote(path))}">{escape(words)}</a>' for path, words in links)
    rows = "".join(_row(one, metrics) for one in sorted(reports, key=lambda one: _ORDER[one.state]))
    said = f"version {escape(version)} · " if version else ""
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>Steward agent</title>'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<style>{_STYLE}</style></head>\n<body><h1>Steward agent</h1>"
        f"<p>{said}{_summary(reports)}</p>\n<nav>{nav}</nav>\n"
        '<div class="wide"><table><thead><tr><th>Collector</th><th>State</th><th class="n">Last run</th>'
        '<th class="n">Age</th><th>Reads</th></tr></thead>\n'
        f"<tbody>{rows}</tbody></table></div>\n"
        "<p><small>No data: nothing of the kind is on this host, which is no fault. Age is shown where a "
        "collector is read in the background.</small></p></body></html>\n"
    ).encode()


def _summary(reports: Sequence[Report]) -> str:
    counts = {state: sum(one.state == state for one in reports) for state in _ORDER}
    words = [f"{count} {state}" for state, count in counts.items() if count]
    return f"{len(reports)} collectors: {', '.join(words)}" if words else "no collectors"


def _row(one: Report, metrics: str) -> str:
    ran = "" if one.state == "waiting" else _duration(one.seconds)
    age = "" if one.age_seconds is None else f"{one.age_seconds:.1f} s"
    background = " <small>in the background</small>" if one.is_slow else ""
    why = f"{escape(one.why[:_LONGEST_WHY])}<br>" if one.why else ""
    only = f"{escape(quote(metrics))}?collect[]={escape(quote(one.name))}"
    return (
        f'<tr><td><a href="{only}">{escape(one.name)}</a>{background}</td>'
        f'<td class="{one.state}">{one.state}</td><td class="n">{ran}</td><td class="n">{age}</td>'
        f"<td>{why}<small>{escape(one.reads)}</small></td></tr>\n"
    )


def _duration(seconds: float) -> str:
    return f"{seconds * 1e3:.1f} ms" if seconds >= 0.001 else f"{seconds * 1e6:.0f} µs"
