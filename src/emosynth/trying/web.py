"""What the local pages share: looks, escaping, and a policy under which nothing is loaded or run."""

from __future__ import annotations

import html

from emosynth.escape import printable

POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'; base-uri 'none'; form-action 'self'"
NEVER = "This page holds corpus text and text of models. It is for you alone, and is never published."

_STYLE = """
:root{color-scheme:light dark;--page:#fbfaf7;--plate:#fff;--ink:#1f2328;--soft:#59626c;--line:#dddbd4;--accent:#1d5f8a;--good:#12694a;--bad:#9a3412}
@media(prefers-color-scheme:dark){:root{--page:#14171a;--plate:#1b1f23;--ink:#e8e6e1;--soft:#a7adb4;--line:#343a40;--accent:#86bfe6;--good:#8fd6b4;--bad:#f2a98a}}
*{box-sizing:border-box}
body{margin:0 auto;max-width:76rem;padding:1.5rem;background:var(--page);color:var(--ink);font:1rem/1.5 system-ui,sans-serif;overflow-wrap:anywhere}
h1{font-size:1.6rem;line-height:1.2;margin:0 0 .5rem}h2{font-size:1.2rem;margin:2rem 0 .5rem;border-top:1px solid var(--line);padding-top:1rem}
h3{font-size:1rem;margin:1rem 0 .25rem}a{color:var(--accent)}p{margin:.25rem 0 .75rem}.soft,summary{color:var(--soft)}
.notice{border-left:4px solid var(--bad);padding:.4rem .8rem;background:var(--plate)}
ul{padding-left:1.1rem;margin:.25rem 0}.rows{list-style:none;padding:0}
.rows li{background:var(--plate);border:1px solid var(--line);border-radius:3px;padding:.5rem .8rem;margin:.4rem 0}
.rows p{margin:0 0 .2rem;white-space:pre-wrap}.good{color:var(--good)}.bad{color:var(--bad)}
pre{white-space:pre-wrap;background:var(--plate);border:1px solid var(--line);padding:.6rem;margin:.4rem 0;font-size:.85rem}
form{display:flex;flex-wrap:wrap;gap:.6rem;align-items:end;background:var(--plate);border:1px solid var(--line);padding:.8rem;border-radius:3px}
label{display:flex;flex-direction:column;font-size:.8rem;color:var(--soft)}
input,select,button{font:inherit;padding:.3rem .5rem;color:var(--ink);background:var(--page);border:1px solid var(--soft);border-radius:3px;max-width:16rem}
input[type=number]{width:7rem}
table{border-collapse:collapse;font-size:.9rem}td,th{border-bottom:1px solid var(--line);padding:.25rem .6rem;text-align:left;vertical-align:top}
:focus-visible{outline:2px solid var(--accent);outline-offset:2px}
"""


def escaped(text: object) -> str:
    """Return a text as it may stand in a page and in an attribute, whole."""
    return html.escape(printable(text))


def document(title: str, body: str) -> str:
    """Return a whole page; ``body`` is HTML, ``title`` is not."""
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width,initial-scale=1">'
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">'
        f'<meta name="referrer" content="no-referrer"><link rel="icon" href="data:,"><title>{escaped(title)}</title>'
        f'<style>{_STYLE}</style></head>\n<body><h1>{escaped(title)}</h1>\n<p class="notice">{NEVER}</p>\n{body}\n</body></html>\n'
    )


def verdict(accepted: bool, reason: str) -> str:
    """Return a verdict as HTML."""
    return '<span class="good">accepted</span>' if accepted else f'<span class="bad">rejected: {escaped(reason)}</span>'
