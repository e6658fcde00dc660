"""Own files, a third batch: exports of annotation programs, published layouts, workbooks as people keep them. All text is invented (`own_cases`)."""

from __future__ import annotations

import datetime
import gzip
import io
import json
import subprocess
import sys
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from emosynth import text as texts
from emosynth.corpora import schema, spelling
from emosynth.corpora.own import understand
from emosynth.errors import UserError
from emosynth.params import UserCorpus
from own_cases import LABELS, ROWS, lines, parquet, quoted

TEXTS = [text for text, _ in ROWS]
RECORDS = [{"text": text, "label": label} for text, label in ROWS]
MARKS = [(int(label == "joy"), int(label == "anger")) for label in LABELS]
TWO = {"anger": 60, "joy": 60}
EC = ("anger", "anticipation", "disgust", "fear", "joy", "love", "optimism", "pessimism", "sadness", "surprise", "trust")


def objects(make: Callable[[int, str, str], Any], end: str = "\n") -> str:
    return "".join(json.dumps(make(n, *row)) + end for n, row in enumerate(ROWS))


def tasks(result: Callable[[int, str], Any], **more: Any) -> str:
    made = [{"id": n, "data": {"text": t}, "annotations": [{"id": n, "result": result(n, x)}], **more} for n, (t, x) in enumerate(ROWS)]
    return json.dumps(made)


def rows_of(rows: Sequence[Sequence[Any]], sep: str = ",") -> str:
    return quoted([tuple(map(str, row)) for row in rows], sep)


def choice(*chosen: str) -> dict[str, Any]:
    return {"from_name": "mood", "to_name": "text", "type": "choices", "value": {"choices": list(chosen)}}


def book(rows: Sequence[Sequence[Any]], merged: Sequence[str] = (), hidden: bool = False, **sheets: Sequence[Sequence[Any]]) -> bytes:
    from openpyxl import Workbook

    made = Workbook()
    made.active.title = "answers"
    for sheet, held in [(made.active, rows), *((made.create_sheet(name), held) for name, held in sheets.items())]:
        for row in held:
            sheet.append(list(row))
    for cells in merged:
        made.active.merge_cells(cells)
    for name in sheets if hidden else ():
        made[name].sheet_state = "hidden"
    out = io.BytesIO()
    made.save(out)
    return out.getvalue()


def packed(**files: str | bytes) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, content in files.items():
            archive.writestr(name.replace("_csv", ".csv"), content)
    return out.getvalue()


def one_hot(yes: str, no: str, sep: str = ",", names: str = "joy,anger") -> str:
    return rows_of(
        [("text", *names.split(",")), *((t, *(yes if mark else no for mark in marks)) for t, marks in zip(TEXTS, MARKS, strict=True))], sep
    )


def raw_goemotions() -> str:
    """Three rows a text, one a rater; the third sees nothing but neutral."""
    rows = []
    for n, (text, label) in enumerate(ROWS):
        for rater in range(3):
            given = label if rater < 2 else "neutral"
            rows.append(
                (text, f"e{n:05x}", "t1_x", "1548381039.0", rater, "False", *(int(given == name) for name in ("anger", "joy", "neutral")))
            )
    return rows_of([("text", "id", "parent_id", "created_utc", "rater_id", "example_very_unclear", "anger", "joy", "neutral"), *rows])


def semeval() -> str:
    rows = [
        (f"2017-En-{n:05d}", f'{t} "what', *(int(e == x or (e == "optimism" and x == "joy" and n % 3 == 0)) for e in EC))
        for n, (t, x) in enumerate(ROWS)
    ]
    return lines([tuple(map(str, row)) for row in rows], "\t", "ID,Tweet," + ",".join(EC))


MORE = {"anger": 60, "fear": 30, "joy": 60}
BY_CLASS = {name: [t for t, x in ROWS if x == name] for name in TWO}
CHAT = [f"[{1 + n % 28:02d}.03.24, 10:{n % 60:02d}:11] {('Anna', 'Ben')[n % 2]}: {t}" for n, t in enumerate(TEXTS)]
CHAT_12 = [f"3/{1 + n % 28}/24, 10:{n % 60:02d}\u202fAM - {('Anna', 'Ben')[n % 2]}: {t}" for n, t in enumerate(TEXTS)]
FORMS = [
    "[01.03.24, 10:00:11] Anna: so it goes",
    "@relation emo",
    "- text: so it goes",
    "joy:sub so it goes",
    "window.YTD.tweets = [",
    "-DOCSTART-",
]
"""Lines that other formats begin with, as texts of a table."""


def tagged(cells: Callable[[str, str, int], str], gap: str = "\n") -> str:
    """Return the words of each text, one a line."""
    return gap.join("".join(cells(word, x, at) + "\n" for at, word in enumerate(t.split())) for t, x in ROWS)


STUDIO = ("annotation_id", "annotator", "created_at", "id", "lead_time", "mood", "text", "updated_at")
RIGHT: dict[str, tuple[str, str | bytes, dict[str, int], str]] = {
    # name: file, content, classes, what must be said
    "a hidden sheet of lists": ("a.xlsx", book([("text", "label"), *ROWS], hidden=True, lists=[("joy",), ("anger",)]), TWO, "hidden or hold one column are not read: lists"),
    "a survey in German below its title": ("a.xlsx", book([("Umfrage 2025",), ("Zeitstempel", "Was ist passiert?", "Gefühl"), *(("2025-03-01" if n % 2 else "2025-03-02", *row) for n, row in enumerate(ROWS))]), TWO, "label column: Gefühl"),
    "the same as CSV": ("a.csv", "Umfrage 2025;;\nZeitstempel;Was ist passiert?;Gefühl\n" + "".join(f"2025-03-01;{t};{x}\n" for t, x in ROWS), TWO, "1 lines above the header"),
    "a sheet of notes": ("a.xlsx", book([("text", "label"), *ROWS], notes=[("Please do not edit",)]), TWO, "hold one column are not read: notes"),
    "ticks of a spreadsheet": ("a.xlsx", book([("text", "joy", "anger"), *((t, x == "joy", x == "anger") for t, x in ROWS)]), TWO, "joy, anger"),
    "a header of two rows and two raters": ("a.xlsx", book([("Item", None, "Mood", None), ("id", "text", "rater A", "rater B"), *((n, t, x, x) for n, (t, x) in enumerate(ROWS))]), TWO, "votes of 2 raters"),
    "a row of units": ("a.csv", "text,joy,anger\n(words),(0-1),(0-1)\n" + one_hot("1", "0").split("\n", 1)[1], TWO, "below the header tell what columns hold"),
    "marks of German": ("a.csv", one_hot("ja", "nein", ";", "Freude,Wut"), {"Freude": 60, "Wut": 60}, "label column: Freude, Wut"),
    "marks of a German spreadsheet": ("a.csv", one_hot("WAHR", "FALSCH", ";"), TWO, "label column: joy, anger"),
    "marks of French": ("a.csv", one_hot("oui", "non"), TWO, "label column: joy, anger"),
    "a class without any row": ("a.csv", rows_of([("text", "joy", "anger", "fear"), *((t, *m, 0) for t, m in zip(TEXTS, MARKS, strict=True))]), TWO, "one mark in every row are not taken for classes: fear"),
    "a mark and blank lines in JSONL": ("a.jsonl", "\ufeff" + objects(lambda n, t, x: RECORDS[n], "\n\n"), TWO, "utf-8-sig"),
    "JSONL with ends of DOS, named JSON": ("a.json", objects(lambda n, t, x: RECORDS[n], "\r\n"), TWO, ""),
    "rows beside what describes them": ("a.json", json.dumps({"meta": {"n": 120}, "rows": RECORDS}), TWO, ""),
    "votes in nested annotations": ("a.jsonl", objects(lambda n, t, x: {"text": t, "annotations": [{"annotator": who, "label": x if who < 3 else "joy"} for who in (1, 2, 3)]}), {"anger": 60, "joy": 180}, "export of doccano"),
    "GoEmotions as raters gave it": ("a.csv", raw_goemotions(), TWO, "No row is left of neutral"),
    "SemEval-2018 E-c": ("a.txt", semeval(), {"anger": 60, "joy": 60, "optimism": 20}, "one mark in every row are not taken for classes: anticipation"),
    "Label Studio, CSV": ("a.csv", rows_of([STUDIO, *((n, 1, "2024-01-01", n, 3.5, x, t, "2024-01-01") for n, (t, x) in enumerate(ROWS))]), TWO, "label column: mood"),
    "Label Studio, CSV of several choices": ("a.csv", rows_of([STUDIO, *((n, 1, "2024-01-01", n, 3.5, json.dumps({"choices": [x, "fear"]}) if n % 4 == 0 else x, t, "") for n, (t, x) in enumerate(ROWS))]), MORE, "label_lists"),
    "Label Studio, JSON-MIN of several choices": ("a.json", json.dumps([{"id": n, "text": t, "mood": {"choices": [x, "fear"]} if n % 4 == 0 else x, "annotator": 1} for n, (t, x) in enumerate(ROWS)]), MORE, "label column: mood"),
    "Label Studio, JSON": ("a.json", tasks(lambda n, x: [choice(x)], predictions=[{"result": [choice("fear")]}]), TWO, "export of label-studio"),
    "Doccano, JSONL of one label": ("a.jsonl", objects(lambda n, t, x: {"id": n, "text": t, "label": [x], "Comments": []}), TWO, "task: single reads it as one label"),
    "Doccano, CSV of several labels": ("a.csv", rows_of([("id", "text", "label"), *((n, t, x + "#fear" * (n % 4 == 0)) for n, (t, x) in enumerate(ROWS))]), {"anger": 45, "anger#fear": 15, "joy": 45, "joy#fear": 15}, "label_separator parts them"),
    "Prodigy, yes and no": ("a.jsonl", "".join(json.dumps({"text": t, "label": of, "answer": "accept" if of == x else "reject"}) + "\n" for t, x in ROWS for of in TWO), TWO, "120 examples that were rejected"),
    "Prodigy, several options": ("a.jsonl", objects(lambda n, t, x: {"text": t, "options": [], "accept": [x, "fear"] if n % 4 == 0 else [x], "answer": "accept"}), MORE, "export of prodigy"),
    "spaCy's categories": ("a.jsonl", objects(lambda n, t, x: {"text": t, "cats": {"joy": float(x == "joy"), "anger": float(x == "anger")}}), TWO, "shares"),
    "categories of Arrow, large strings": ("a.parquet", parquet(pa.table({"text": pa.array(TEXTS, pa.large_string()), "label": pa.array(LABELS).dictionary_encode()})), TWO, ""),
    "large lists of Arrow": ("a.parquet", parquet(pa.table({"text": TEXTS, "label": pa.array([[x] for x in LABELS], pa.large_list(pa.string()))})), TWO, "Every list holds one label"),
    "a cell of two million letters": ("a.csv", rows_of([("text", "label"), ("word " * 400_000, "anger"), *ROWS]), {"anger": 61, "joy": 60}, ""),
    "texts of Excel": ("a.txt", lines(ROWS, "\t").replace("\n", "\r\n").encode("utf-16"), TWO, "utf-16"),
    "ends of lines of two systems": ("a.csv", "text,label\r\n" + "".join(f"{t},{x}" + ("\n", "\r\n")[n % 2] for n, (t, x) in enumerate(ROWS)), TWO, ""),
    "semicolons in a gzip": ("a.csv.gz", gzip.compress(lines(ROWS, ";").encode("cp1252")), TWO, "compression: gzip"),
    "a ZIP of one file": ("a.zip", packed(**{"data/train_csv": lines(ROWS), "data/README.md": "about", "__MACOSX/._train_csv": "x"}), TWO, "ZIP; within it data/train.csv"),
    "a ZIP named CSV": ("a.csv", packed(data_csv=lines(ROWS)), TWO, "ZIP; within it data.csv"),
    "a ZIP of one workbook": ("a.zip", packed(**{"a.xlsx": book([("text", "label"), *ROWS])}), TWO, "ZIP; within it a.xlsx"),
    "CSV called Excel": ("a.xlsx", lines(ROWS, ";"), TWO, "text, though the file is called .xlsx"),
    "tabs and UTF-16 called Excel": ("a.xls", lines(ROWS, "\t").encode("utf-16"), TWO, "text, though the file is called .xls"),
    "a gold label beside its raters": ("a.csv", rows_of([("text", "annotator1", "annotator2", "gold_label"), *((t, x, ("joy", "anger")[n % 3 == 0], x) for n, (t, x) in enumerate(ROWS))]), TWO, "Columns of raters are not read: annotator1, annotator2"),
    "a consensus beside its coders": ("a.csv", rows_of([("text", "coder_A", "coder_B", "consensus"), *((t, x, ("joy", "anger")[n % 3 == 0], x) for n, (t, x) in enumerate(ROWS))]), TWO, "Columns of raters are not read: coder_A, coder_B"),
    "one person and the gold": ("a.csv", rows_of([("text", "Anna", "gold"), *((t, ("fear", "joy")[n % 3 == 0], x) for n, (t, x) in enumerate(ROWS))]), TWO, "Several columns may hold labels: 'gold'"),
    "names beside numbers, as ISEAR has them": ("a.csv", rows_of([("ID", "SEX", "EMOT", "Field1", "SIT"), *((n, n % 3, 1 + list(TWO).index(x), x, t) for n, (t, x) in enumerate(ROWS))], "|"), TWO, "'Field1', a name for each number of 'EMOT'"),
    "votes in lists": ("a.csv", rows_of([("text", "votes"), *((t, str([x, x, x] if n % 2 else [x])) for n, (t, x) in enumerate(ROWS))]), TWO, "60 rows name a class more than once"),
    "marks and what pandas writes for none": ("a.csv", one_hot("1.0", "NaN"), TWO, "label column: joy, anger"),
    "who wrote beside marks": ("a.csv", rows_of([("text", "joy", "anger", "male", "verified"), *((t, *m, n % 2 ^ (n % 3 == 0), n % 2) for n, (t, m) in enumerate(zip(TEXTS, MARKS, strict=True)))]), TWO, "are not taken for classes: male, verified"),
    "ratings of three raters": ("a.csv", rows_of([("text", "rater1", "rater2", "rater3"), *((t, 1 + n % 3, 1 + n % 3, 5) for n, (t, _) in enumerate(ROWS))]), {"1": 40, "2": 40, "3": 40}, "if they are ratings on a scale"),
    "columns parted by two bars": ("a.csv", "".join(f"{t}||{x}\n" for t, x in [("text", "label"), *ROWS]), TWO, "empty columns: 1"),
    "CSV called JSON": ("a.json", lines(ROWS), TWO, "text, though the file is called .json"),
    "tabs called JSON lines": ("a.jsonl", lines(ROWS, "\t"), TWO, "text, though the file is called .jsonl"),
    "CSV called Parquet": ("a.parquet", lines(ROWS), TWO, "text, though the file is called .parquet"),
    "CSV in a gzip called Parquet": ("a.parquet.gz", gzip.compress(lines(ROWS).encode()), TWO, "text, though the file is called .parquet"),
    "texts by label, as many as there are": ("a.json", json.dumps(BY_CLASS | {"joy": BY_CLASS["joy"][:-1], "fear": TEXTS[59:60]}), {"anger": 60, "fear": 1, "joy": 59}, "each key is a class"),
    "a label under each text": ("a.json", json.dumps(dict(ROWS)), TWO, "each key is a text"),
    "a list of rows for each split": ("a.json", json.dumps({"train": RECORDS[::2], "dev": RECORDS[1::4], "test": RECORDS[3::4]}), TWO, "split column: split"),
    "lines of other formats among texts": ("a.csv", rows_of([("text", "label"), *((t, "joy") for t in FORMS), *ROWS]), {"anger": 60, "joy": 66}, ""),
    "such a line first, without a header": ("a.tsv", lines([("- text: so it goes", "joy"), ("joy:sub so it goes", "joy"), *ROWS], "\t", None), {"anger": 60, "joy": 62}, ""),
    "turns of a dialogue, without a header": ("a.csv", lines([(f"{'AB'[n % 2]}:so {t}", x) for n, (t, x) in enumerate(ROWS)] + ROWS, header=None), {"anger": 120, "joy": 120}, ""),
    "messages of a chat with labels after commas": ("a.csv", lines([(line.replace(",", "").replace("]", "] "), x) for line, x in zip(CHAT, LABELS, strict=True)] + ROWS, header=None), {"anger": 120, "joy": 120}, ""),
    "messages of a chat with labels": ("a.tsv", lines(list(zip(CHAT, LABELS, strict=True)) + ROWS, "\t", None), {"anger": 120, "joy": 120}, ""),
}  # fmt: skip
ERRORS: dict[str, tuple[str, str | bytes, str]] = {
    # name: file, content, what the error says
    "rows on a hidden sheet": ("a.xlsx", book([("Please do not edit",)], hidden=True, raw=[("text", "label"), *ROWS]), "Several sheets have rows: answers, raw"),
    "a sheet a split": ("a.xlsx", book([("text", "label"), *ROWS[:90]], test=[("text", "label"), *ROWS[90:]]), "Several sheets have rows"),
    "merged labels": ("a.xlsx", book([("label", "text"), *((x if n % 60 == 0 else None, t) for n, (t, x) in enumerate(ROWS))], ["A2:A61", "A62:A121"]), "unmerge them"),
    "labels by formula, never computed": ("a.xlsx", book([("text", "score", "label"), *((t, n % 2, f'=IF(B{n + 2}=1,"joy","anger")') for n, t in enumerate(TEXTS))]), "Nothing stands in label: formulas"),
    "dates as labels": ("a.xlsx", book([("text", "label"), *((t, datetime.datetime(2024, 1, 1 + (x == "joy"))) for t, x in ROWS)]), "a label that is a datetime"),
    "comments among rows": ("a.csv", lines([*ROWS[:40], ("# checked by the lab",), *ROWS[40:]]), "The row has 1 cells, the header 2"),
    "commas after objects": ("a.jsonl", objects(lambda n, t, x: RECORDS[n], ",\n"), "Take away the commas"),
    "a comma before the end": ("a.json", json.dumps(RECORDS)[:-1] + ",]", "Not JSON"),
    "objects as Python prints them": ("a.txt", "".join(f"{record!r}\n" for record in RECORDS), "Not a JSON object"),
    "labels in objects in lists": ("a.json", json.dumps([{"text": t, "labels": [{"name": x, "confidence": 0.9}]} for t, x in ROWS]), "a dotted name reads one"),
    "Label Studio, predictions alone": ("a.json", tasks(lambda n, x: [], predictions=[{"result": [choice("joy")]}]), "holds a choice or a label"),
    "Label Studio, ratings": ("a.json", tasks(lambda n, x: [{"from_name": "r", "type": "rating", "value": {"rating": 1 + n % 5}}]), "holds a choice or a label"),
    "Doccano, spans": ("a.jsonl", objects(lambda n, t, x: {"text": t, "label": [[0, 3, x]]}), "a label that is a list"),
    "a vector of marks": ("a.jsonl", objects(lambda n, t, x: {"text": t, "label": [*MARKS[n], 0]}), "Name 3 classes in their order"),
    "a vector of shares": ("a.csv", rows_of([("text", "label"), *((t, str([0.7, 0.3] if x == "joy" else [0.2, 0.8])) for t, x in ROWS)]), "Name 2 classes in their order"),
    "a map of Arrow": ("a.parquet", parquet(pa.table({"text": TEXTS, "label": pa.array([[(x, 0.8)] for x in LABELS], pa.map_(pa.string(), pa.float64()))})), "a label that is an object with the keys joy"),
    "marks of minus one": ("a.csv", one_hot("1", "-1"), "If each is a class, write 0 and 1"),
    "1 for yes and 2 for no": ("a.csv", one_hot("1", "2"), "If each is a class, write 0 and 1"),
    "ranks": ("a.csv", rows_of([("text", "joy", "anger", "fear"), *((t, *((1, 2, 3), (2, 1, 3), (3, 1, 2))[n % 3]) for n, (t, _) in enumerate(ROWS))]), "If each is a class, write 0 and 1"),
    "scales of seven": ("a.csv", rows_of([("text", "How happy (1-7)", "How angry (1-7)"), *((t, 6 - 5 * no, 1 + 5 * no + n % 2) for n, (t, (_, no)) in enumerate(zip(TEXTS, MARKS, strict=True)))]), "Columns of numbers that may be labels"),
    "a ZIP of files": ("a.zip", packed(train_csv=lines(ROWS), test_csv=lines(ROWS)), "a ZIP archive of 2 files: train.csv, test.csv"),
    "a ZIP of something else": ("a.zip", packed(model_pkl=lines(ROWS)), "a ZIP archive of 1 files"),
    "a ZIP that is cut off": ("a.zip", packed(data_csv=lines(ROWS))[:-40], "it is damaged"),
    "a ZIP with a flipped bit": ("a.zip", packed(data_csv=lines(ROWS)).replace(b"text,label", b"text;label"), "damaged: Bad CRC"),
    "a ZIP of nothing": ("a.zip", packed(data_csv="\n" * 9), "The file is empty"),
    "Russian in KOI8": ("a.csv", ("text,label\n" + "".join(f"сегодня был хороший день {n},{('радость', 'гнев')[n % 2]}\n" for n in range(120))).encode("koi8-r"), "It may be koi8_r"),
    "Japanese in Shift JIS": ("a.csv", ("text,label\n" + "".join(f"今日はとても楽しい一日でした{n},{('喜び', '怒り')[n % 2]}\n" for n in range(120))).encode("shift_jis"), "It may be cp932"),
    "texts by label": ("a.json", json.dumps(BY_CLASS), "If each key is a class, write one object a text"),
    "WebAnno": ("a.tsv", "#FORMAT=WebAnno TSV 3.3\n#T_SP=custom.Emotion|value\n\n" + tagged(lambda w, x, at: f"1-{at}\t0-4\t{w}\t{x}"), "an export of WebAnno"),
    "Weka": ("a.arff", "% by the lab\n@RELATION emo\n@ATTRIBUTE text string\n@attribute class {joy,anger}\n@data\n" + lines(ROWS, header=None), "an ARFF file"),
    "YAML": ("a.yaml", "---\n" + "".join(f"- text: {t}\n  label: {x}\n" for t, x in ROWS), "a YAML file"),
    "YAML by class": ("a.yml", "".join(f"{x}:\n" + "".join(f"  - {t}, indeed\n" for t in held) for x, held in BY_CLASS.items()), "a YAML file"),
    "questions of TREC": ("a.txt", "".join(f"{x.upper()}:some {t}, indeed\n" for t, x in ROWS), "LABEL:kind text"),
    "words with tags": ("a.txt", tagged(lambda w, x, at: f"{w}\t{x if at == 0 else 'O'}"), "words with a tag each"),
    "words with tags, no blank lines": ("a.tsv", tagged(lambda w, x, at: f"{w}\t{f'B-{x}' if at == 0 else 'O'}", ""), "words with a tag each"),
    "words with tags, four columns": ("a.txt", "-DOCSTART- -X- O O\n\n" + tagged(lambda w, x, at: f"{w} NN B-NP {x}"), "words with a tag each"),
    "CoNLL-U": ("a.conllu", tagged(lambda w, x, at: f"{at + 1}\t{w}\t{w}\tNOUN\tNN\t_\t0\troot\t_\t_"), "words with a tag each"),
    "an archive of Twitter": ("tweets.js", "window.YTD.tweets.part0 = " + json.dumps([{"tweet": one} for one in RECORDS]), "a JavaScript file"),
    "a chat": ("a.txt", "\n".join(CHAT), "the export of a chat"),
    "a chat of another telephone": ("a.txt", "\n".join(line + "\nand more" * (n % 3 == 0) for n, line in enumerate(CHAT_12)), "the export of a chat"),
    "broken JSON called JSON": ("a.json", "\n".join(json.dumps(RECORDS, indent=1).split("\n")[1:]), "Not JSON"),
    "broken Parquet": ("a.parquet", b"\x00\x01\x9c" * 99, "This is no file of Parquet"),
    "JSON that is cut off": ("a.json", json.dumps(RECORDS)[:-25], "it looks cut off"),
    "JSON lines that are cut off": ("a.jsonl", objects(lambda n, t, x: RECORDS[n])[:-12], "the last line looks cut off"),
    "an array that is not closed": ("a.json", json.dumps(RECORDS)[:-1], "it looks cut off"),
    "Doccano, spans told": ("a.jsonl", objects(lambda n, t, x: {"text": t, "label": [[0, 3, x]]}), "spans (start, end, label) of a text, and a text needs one label"),
    "labels within objects": ("a.jsonl", objects(lambda n, t, x: {"text": t, "label": {"name": x, "by": {"id": n}}}), "--labels label.name"),
    "texts within objects": ("a.jsonl", objects(lambda n, t, x: {"text": {"label": "en", "body": t}, "label": x}), "--text text.body"),
    "paragraphs": ("a.json", json.dumps({"data": [{"paragraphs": [{"context": t, "emotion": x}]} for t, x in ROWS]}), "--text paragraphs.0.context --labels paragraphs.0.emotion"),
    "messages of a model": ("a.jsonl", objects(lambda n, t, x: {"messages": [{"role": "user", "content": t}, {"role": "assistant", "content": x}]}), "--text messages.0.content --labels messages.1.content"),
    "decimals as labels": ("a.csv", rows_of([("text", "label"), *((t, (0.5, 0.25)[x == "joy"]) for t, x in ROWS)]), """--class-names '{"0.25": "…", "0.5": "…"}' makes them classes"""),
    "true without false": ("a.jsonl", objects(lambda n, t, x: {"text": t, "label": True if x == "joy" else x}), """--class-names '{"true": "…"}' names what they mean"""),
    "several sheets": ("a.xlsx", book([("text", "label"), *ROWS[:9]], wave2=[("text", "label"), *ROWS]), "--sheet wave2"),
    "a source below the table": ("a.csv", lines([*ROWS, ("Source: the lab", "")]), "no label: lines 122"),
}  # fmt: skip


def put(folder: Path, name: str, content: str | bytes) -> Path:
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


@pytest.mark.parametrize("name", RIGHT)
def test_files_that_are_read(tmp_path: Path, name: str) -> None:
    file, content, classes, words = RIGHT[name]
    seen = understand(put(tmp_path, file, content))
    assert seen.classes == classes and words in "; ".join([*map(str, seen.guesses), *seen.warnings])
    assert {row.text.removesuffix(' "what') for row in seen.rows} >= set(TEXTS)


@pytest.mark.parametrize("name", ERRORS)
def test_files_that_are_refused(tmp_path: Path, name: str) -> None:
    file, content, words = ERRORS[name]
    with pytest.raises(UserError) as caught:
        understand(put(tmp_path, file, content))
    assert words in str(caught.value) and file in caught.value.where


def test_a_first_row_of_one_cell_is_a_row_where_no_header_follows(tmp_path: Path) -> None:
    path = put(tmp_path, "a.csv", lines([("the first of all texts is a long one", ""), *ROWS], header=None))
    with pytest.raises(UserError, match="no label: lines 1"):
        understand(path)
    named = put(tmp_path, "b.csv", "text,\n" + lines(ROWS, header=None))
    assert understand(named).rows_read == 120 and understand(named).text == "text"


def test_vectors_are_read_by_the_names_of_their_classes(tmp_path: Path) -> None:
    hot = put(tmp_path, "a.jsonl", objects(lambda n, t, x: {"text": t, "label": [*MARKS[n], int(n % 4 == 0)]}))
    assert understand(hot, UserCorpus(path=str(hot), text="text", labels="label", class_names=["joy", "anger", "fear"])).classes == MORE
    soft = put(tmp_path, "b.jsonl", objects(lambda n, t, x: {"text": t, "label": [0.7, 0.3] if x == "joy" else [0.2, 0.8]}))
    seen = understand(soft, UserCorpus(path=str(soft), text="text", labels="label", class_names=["joy", "anger"]))
    assert seen.classes == TWO and {row.shares for row in seen.rows} == {(("anger", 0.3), ("joy", 0.7)), (("anger", 0.8), ("joy", 0.2))}


def test_plain_texts_are_normalised_sooner_and_alike() -> None:
    plain = [chr(code) for code in range(sys.maxunicode + 1) if spelling.plain(chr(code))]
    assert not [char for char in plain if not spelling.plain(char.lower()) or len(char.split()) != len(char.lower().split())]
    for char in [chr(code) for code in (*range(0x250), *range(0x2000, 0x2070), 0xFE0F, 0xD800, 0xFF07, 0x1E9E, 0x130)]:
        made = f" a{char} {char}B\\n&{char}amp;"
        for one in (f"a{char}  B{char}", made):
            assert spelling.normalise(one) == texts.normalise(one) and schema.fingerprint(one) == texts.fingerprint(one)


def test_a_check_imports_no_library_of_tokens_before_it_is_needed() -> None:
    code = (
        "import sys; import emosynth.trying.profile, emosynth.corpora.own, emosynth.seeding.seeds\n"
        "assert not {'nltk', 'nltk.tokenize', 'datasketch', 'sklearn', 'scipy'} & set(sys.modules)\n"
        "from emosynth.text import near_duplicates, words\n"
        "assert words('So it is!') == ['so', 'it', 'is', '!'] and len(near_duplicates(['a b c d', 'a b c d'], 0.8)) == 1\n"
        "assert 'nltk' in sys.modules and 'datasketch' in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_what_a_remedy_proposes_works(tmp_path: Path) -> None:
    half = put(tmp_path, "a.jsonl", objects(lambda n, t, x: {"text": t, "label": True if x == "joy" else x}))
    assert understand(half, UserCorpus(path=str(half), class_names={"true": "joy"})).classes == TWO
    spec = UserCorpus(path="a", text="messages.0.content", labels="messages.1.content")
    turns = objects(lambda n, t, x: {"messages": [{"role": "user", "content": t}, {"role": "assistant", "content": x}]})
    assert understand(put(tmp_path, "b.jsonl", turns), spec).classes == TWO
    inner = put(tmp_path, "c.jsonl", objects(lambda n, t, x: {"text": t, "label": {"name": x}}))
    assert understand(inner, UserCorpus(path=str(inner), labels="label.name")).classes == TWO
    scale = put(tmp_path, "d.csv", rows_of([("text", "label"), *((t, (0.5, 0.25)[x == "joy"]) for t, x in ROWS)]))
    assert understand(scale, UserCorpus(path=str(scale), class_names={"0.5": "anger", "0.25": "joy"})).classes == TWO


def test_a_remedy_keeps_the_names_that_were_given(tmp_path: Path) -> None:
    path = put(tmp_path, "a.jsonl", objects(lambda n, t, x: {"text": t, "label": x == "joy"}))
    with pytest.raises(UserError, match=r'\{"false": "…", "true": "joy"\}'):
        understand(path, UserCorpus(path=str(path), class_names={"true": "joy"}))


def test_a_list_of_one_column_is_that_column(tmp_path: Path) -> None:
    path = put(tmp_path, "a.csv", rows_of([("text", "Emotion"), *ROWS]))
    seen = understand(path, UserCorpus(path=str(path), text="text", labels=["Emotion"]))
    assert seen.classes == TWO and seen.labels == "Emotion" and not any("votes" in str(one) for one in seen.guesses)


def test_formats_have_several_names_and_what_is_none_is_said(tmp_path: Path) -> None:
    path = put(tmp_path, "a.parquet", lines(ROWS))
    assert UserCorpus(path="a", format="CSV").format == "delimited"  # type: ignore[arg-type]
    assert understand(path, UserCorpus(path=str(path), format="delimited")).classes == TWO
    with pytest.raises(UserError, match="no Parquet file but text") as caught:
        understand(path, UserCorpus(path=str(path), format="parquet"))
    assert "--format" in caught.value.remedy


def test_a_misspelt_column_is_looked_for_in_the_header(tmp_path: Path) -> None:
    path = put(tmp_path, "a.csv", rows_of([("text", "emotion"), *ROWS]))
    with pytest.raises(UserError, match="no column Emotoin") as caught:
        understand(path, UserCorpus(path=str(path), text="text", labels="Emotoin"))
    assert caught.value.where.endswith("a.csv: header") and "Did you mean emotion? --labels emotion." in caught.value.remedy


def test_files_named_by_class_get_a_hint(tmp_path: Path) -> None:
    for name in TWO:
        put(tmp_path, f"{name}.csv", rows_of([("text", "id"), *((t, n) for n, (t, x) in enumerate(ROWS) if x == name)]))
    with pytest.raises(UserError, match="If files are named by class"):
        understand(tmp_path)
