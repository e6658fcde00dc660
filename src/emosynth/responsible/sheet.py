"""The survey as one page that works offline: no host is asked, nothing of the texts runs, answers stay in the browser until they are saved."""

from __future__ import annotations

import base64
import hashlib
import html
from collections.abc import Sequence

from emosynth.escape import json_text, printable

_STYLE = """
:root{color-scheme:light dark;--page:#fbfaf7;--plate:#fff;--ink:#1f2328;--soft:#59626c;--line:#b9b6ac;--accent:#1d5f8a}
@media(prefers-color-scheme:dark){:root{--page:#14171a;--plate:#1b1f23;--ink:#e8e6e1;--soft:#a7adb4;--line:#59626c;--accent:#86bfe6}}
*{box-sizing:border-box}
body{margin:0 auto;max-width:40rem;padding:1rem;background:var(--page);color:var(--ink);font:1rem/1.5 system-ui,sans-serif;overflow-wrap:anywhere}
h1{font-size:1.3rem;margin:0 0 .5rem}p{margin:.3rem 0 .8rem}.soft{color:var(--soft)}
blockquote{margin:.5rem 0 1rem;padding:.8rem 1rem;background:var(--plate);border-left:4px solid var(--accent);font-size:1.1rem;white-space:pre-wrap;overflow-x:auto}
fieldset{border:1px solid var(--line);border-radius:6px;margin:0 0 .8rem;padding:.4rem .8rem;display:flex;flex-wrap:wrap;gap:.4rem}
legend{font-weight:600}fieldset label{display:flex;align-items:center;gap:.5rem;min-height:2.75rem;padding:0 .8rem;border:1px solid var(--line);border-radius:6px;cursor:pointer}
fieldset label:has(:checked){border-color:var(--accent);outline:2px solid var(--accent)}
nav{display:flex;gap:.6rem;flex-wrap:wrap;align-items:center}
button,input[type=text]{font:inherit;min-height:2.75rem;padding:.3rem 1rem;color:var(--ink);background:var(--plate);border:1px solid var(--soft);border-radius:6px}
:focus-visible{outline:3px solid var(--accent);outline-offset:2px}
"""

_SCRIPT = """
'use strict';
const sheet = JSON.parse(document.getElementById('sheet').textContent), place = 'emosynth-survey-' + sheet.sheet;
const $ = id => document.getElementById(id);
const fields = sheet.questions.map(question => question.name);
let state = {rater: '', at: 0, answers: {}};
try { state = Object.assign(state, JSON.parse(localStorage.getItem(place) || '{}')); } catch (error) { $('kept').hidden = false; }
if (!(state.at >= 0 && state.at < sheet.items.length)) state.at = 0;
const keep = () => { try { localStorage.setItem(place, JSON.stringify(state)); } catch (error) { $('kept').hidden = false; } };
const own = id => state.answers[id] || (state.answers[id] = {});
const whole = id => fields.every(name => (state.answers[id] || {})[name] !== undefined);
const show = () => {
  const item = sheet.items[state.at], done = sheet.items.filter(one => whole(one.id)).length;
  $('text').textContent = item.text;
  $('place').textContent = `Text ${state.at + 1} of ${sheet.items.length}; ${done} answered in full`;
  for (const input of document.querySelectorAll('#questions input')) input.checked = own(item.id)[input.name] === input.value;
  $('back').disabled = state.at === 0; $('next').disabled = state.at === sheet.items.length - 1;
};
for (const question of sheet.questions) {
  const set = document.createElement('fieldset'), legend = document.createElement('legend');
  legend.textContent = question.asked; set.append(legend);
  question.options.forEach(([value, shown]) => {
    const label = document.createElement('label'), input = document.createElement('input');
    input.type = 'radio'; input.name = question.name; input.value = value;
    input.addEventListener('change', () => { own(sheet.items[state.at].id)[question.name] = value; keep(); show(); });
    label.append(input, shown); set.append(label);
  });
  $('questions').append(set);
}
const go = step => { state.at = Math.min(sheet.items.length - 1, Math.max(0, state.at + step)); keep(); show(); $('place').focus(); scrollTo(0, 0); };
$('back').addEventListener('click', () => go(-1));
$('next').addEventListener('click', () => go(1));
$('rater').value = state.rater;
$('rater').addEventListener('input', () => { state.rater = $('rater').value.replace(/[^A-Za-z0-9]/g, '').slice(0, 20); $('rater').value = state.rater; keep(); });
$('save').addEventListener('click', () => {
  if (!state.rater) { $('said').textContent = 'Give a code for yourself first.'; $('rater').focus(); return; }
  const rows = sheet.items.filter(item => Object.keys(own(item.id)).length).map(item => [sheet.sheet, state.rater, item.id, ...fields.map(name => own(item.id)[name] ?? '')]);
  const text = [['sheet', 'rater', 'item', ...fields], ...rows].map(row => row.join(',') + '\\n').join('');
  const link = document.createElement('a');
  link.href = URL.createObjectURL(new Blob([text], {type: 'text/csv'})); link.download = `answers-${sheet.sheet}-${state.rater}.csv`;
  document.body.append(link); link.click(); link.remove(); setTimeout(() => URL.revokeObjectURL(link.href), 60000);
  $('said').textContent = `${rows.length} of ${sheet.items.length} texts saved.`;
});
show();
"""

QUESTIONS: dict[str, tuple[str, list[tuple[str, str]]]] = {
    "origin": ("Who wrote it?", [("human", "a person"), ("machine", "a machine")]),
    "fluent": ("Is it fluent?", [("yes", "yes"), ("no", "no")]),
    "keep": ("Would you keep it as an example of what people write?", [("yes", "yes"), ("no", "no")]),
}
"""Questions beside the emotion: name, what is asked, answers with what is shown."""
NONE = "none"
"""Answer to ``emotion`` that names no class; the others are places of classes."""


def page(name: str, classes: Sequence[str], noun: str, items: Sequence[tuple[str, str]]) -> str:
    """Return the page.

    Parameters
    ----------
    name
        Name of the sheet, letters and digits.
    classes
        Classes of the corpus in order; the CSV holds their places.
    items
        Id and text of each item.
    """
    emotion = [*((str(place), printable(label)) for place, label in enumerate(classes)), (NONE, "none of these")]
    asked = [("emotion", "Which of these does the writer express most?", emotion), *((key, *told) for key, told in QUESTIONS.items())]
    data = {
        "sheet": name, "questions": [{"name": key, "asked": what, "options": options} for key, what, options in asked],
        "items": [{"id": item, "text": printable(text)} for item, text in items],
    }  # fmt: skip
    policy = f"default-src 'none'; script-src '{_hash(_SCRIPT)}'; style-src '{_hash(_STYLE)}'; img-src data:; base-uri 'none'; form-action 'none'"
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width,initial-scale=1">'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}"><meta name="referrer" content="no-referrer">'
        f'<link rel="icon" href="data:,"><title>Survey</title><style>{_STYLE}</style></head>\n<body><main>'
        f"<h1>What do these texts say?</h1>\n<p>{len(items)} short texts, each a {html.escape(printable(noun))}; some were written by people, some by a "
        "machine. Names, addresses and numbers may be replaced by words in brackets. Some texts may offend. Your answers stay in this browser "
        'until you save them; close the page and come back whenever you like.</p>\n<p id="kept" role="alert" hidden>This browser keeps nothing: '
        'save before you close the page.</p>\n<p><label>A code for yourself (letters and digits, not your name): <input type="text" id="rater" '
        'autocomplete="off"></label></p>\n<p id="place" class="soft" tabindex="-1" aria-live="polite"></p>\n<blockquote id="text" dir="auto"></blockquote>\n'
        '<div id="questions"></div>\n<nav><button type="button" id="back">Back</button><button type="button" id="next">Next</button>'
        '<button type="button" id="save">Save answers</button><span id="said" role="status"></span></nav>'
        f'</main>\n<script type="application/json" id="sheet">{json_text(data)}</script>\n<script>{_SCRIPT}</script></body></html>\n'
    )


def _hash(code: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(code.encode("utf-8")).digest()).decode("ascii")
