"""Reports of folders and summaries that are not as they should be, and of plugins that fail."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any
from urllib.parse import unquote
from zlib import crc32

import pytest

from corenas.commands._serving import LivePage
from corenas.errors import InputError, ResumeError
from corenas.plugins.registry import default_registry
from corenas.report.page import write_report
from corenas.runs import journal
from corenas.testing.installed import InstallPlugin
from corenas.values.trial import Event

from .inventing import WriteRun, begun, measured
from .parsing import check_harmless, make, read


@pytest.fixture
def broken(digits_run: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(digits_run, tmp_path / "broken"))


@pytest.mark.abuse("a report of a damaged folder")
def test_a_torn_journal_gives_a_page_of_the_rest_and_a_note(broken: Path) -> None:
    content = (broken / "journal.jsonl").read_bytes()
    (broken / "journal.jsonl").write_bytes(content[: len(content) * 2 // 3])
    page = make(broken)
    assert "The journal is damaged: line " in page.text
    # While the run goes on, its last line may be half written.
    assert "is damaged" not in make(broken, state="running").text
    assert "The network found" in page.text


@pytest.mark.abuse("a report of texts that are no Unicode")
def test_half_a_pair_of_surrogates_breaks_no_page(write_run: WriteRun) -> None:
    events = [
        begun("<half>"),
        *(measured(n, {"<half>": "<half>"}, score=n, stage="<half>") for n in range(3)),
        Event("epoch", 1, 2, {"<half>": 1.0}, stage="<half>", message="<half>"),
    ]
    folder = write_run(events)
    # As an escape of JSON, which another program may write: no UTF-8 has it.
    path = folder / "journal.jsonl"
    lines = [
        json.dumps(journal.decode(line)) for line in path.read_bytes().splitlines(keepends=True)
    ]
    bodies = [line.replace("<half>", r"\ud800").encode()[:-1] for line in lines]
    path.write_bytes(b"".join(b'%b, "check": "%08x"}\n' % (b, crc32(b)) for b in bodies))
    entry = {"name": "\ud800", "file": "models/\ud800", "\ud800": "\ud800", "size": 3}
    (folder / "summary.json").write_text(json.dumps({"models": [entry]}))
    written = read(write_report(folder, registry=default_registry(), state="stopped"))
    assert "damaged" not in written.text
    assert written.table("The best")
    assert b"The best" in LivePage(folder, default_registry()).current()[1]
    charts = re.findall(r"<svg.*?</svg>", make(folder).source, re.DOTALL)
    assert charts
    assert not any("\ud800" in each for each in charts)


@pytest.mark.abuse("a report of a summary with numbers that are not finite")
@pytest.mark.parametrize("number", ["NaN", "Infinity", "1e999", "1" + "0" * 400])
def test_numbers_that_are_not_finite_are_left_out(write_run: WriteRun, number: str) -> None:
    folder = write_run([begun(), measured(0, {"op": "a"}, score=1.0)])
    (folder / "summary.json").write_text(
        f'{{"models": [{{"name": "net", "size": {number}, "metrics": {{"quality": {number}}}}}], '
        f'"seconds": {{"search": {number}, "training": 5}}}}'
    )
    page = make(folder)
    assert "training 5 s" in page.text
    assert number not in page.text


@pytest.mark.abuse("a report of a damaged folder")
@pytest.mark.parametrize("content", [None, "", "[1, 2", '{"models": 3, "run": "another"}'])
def test_without_a_summary_the_search_still_stands(broken: Path, content: str | None) -> None:
    (broken / "summary.json").unlink()
    if content is not None:
        (broken / "summary.json").write_text(content)
    shutil.rmtree(broken / "images")
    shutil.rmtree(broken / "models")
    page = make(broken, state="stopped")
    assert "The best network so far" in page.text
    assert "summary.json" in page.text
    assert "was stopped before its end" in page.text
    assert page.table("The best")


@pytest.mark.abuse("a report of a damaged folder")
@pytest.mark.parametrize(
    "models",
    [3, [3], [{}], [{"name": None, "file": 3, "metrics": [1], "benchmarks": {"a": 3}}], {"a": 1}],
)
def test_a_strangers_summary_of_another_form_costs_no_page(
    write_run: WriteRun, models: Any
) -> None:
    summary = {"models": models, "architecture": "x", "data": 3, "seconds": {"a": "b"}}
    page = make(write_run([begun(), measured(0, {"op": "a"}, score=1.0)], summary=summary))
    assert "What was asked" in page.text


@pytest.mark.abuse("a report of a damaged folder")
@pytest.mark.parametrize("versions", [{}, {"plugins": {}}, {"corenas": None}, 3, None])
def test_a_run_that_does_not_know_its_versions_has_a_page(broken: Path, versions: Any) -> None:
    info = json.loads((broken / "run.json").read_text()) | {"versions": versions}
    (broken / "run.json").write_text(json.dumps(info))
    assert "Made by CoreNAS" in make(broken).text


@pytest.mark.abuse("a live page of a folder that breaks the report")
def test_what_breaks_the_report_is_shown_by_the_live_page(
    broken: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> str:
        raise KeyError("<odd>")

    monkeypatch.setattr("corenas.commands._serving.make_page", fail)
    page = LivePage(broken, default_registry()).current()[1]
    assert b"KeyError: &#39;&lt;odd&gt;&#39;" in page


@pytest.mark.abuse("a report of a damaged folder")
def test_missing_or_damaged_pictures_are_said(tiny_run: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(tiny_run, tmp_path / "run"))
    (folder / "crops" / "x4" / "2.png").unlink()
    shutil.rmtree(folder / "images")
    assert "Missing: ours." in make(folder).text
    (folder / "crops" / "x4" / "crops.json").write_text('{"pictures": 3}')
    assert "1 comparison cannot be read" in make(folder).text


@pytest.mark.abuse("a report of a damaged folder")
def test_without_a_journal_there_is_an_error_that_says_so(broken: Path, tmp_path: Path) -> None:
    (broken / "journal.jsonl").write_bytes(b"")
    with pytest.raises(InputError, match=r"journal\.jsonl: has no event yet; there is nothing"):
        make(broken)
    (broken / "journal.jsonl").write_bytes(b"not a journal\n")
    with pytest.raises(InputError, match="line 1 is damaged"):
        make(broken)
    (broken / "journal.jsonl").unlink()
    with pytest.raises(InputError, match=r"journal\.jsonl: is missing"):
        make(broken)
    with pytest.raises(ResumeError, match="not a run folder"):
        make(tmp_path / "elsewhere")


def test_another_file_is_not_replaced_and_links_lead_back(digits_run: Path, tmp_path: Path) -> None:
    out = tmp_path / "page.html"
    for _ in range(2):  # a report is replaced by a report
        write_report(digits_run, registry=default_registry(), state="finished", out=out)
    links = [each["href"] for each in read(out).all("a")]
    assert (out.parent / unquote(links[-1])).is_file()
    (model,) = [link for link in links if link.endswith("models/digits.json")]
    assert (out.parent / unquote(model)).resolve() == digits_run / "models" / "digits.json"
    out.write_text("a thesis")
    with pytest.raises(InputError, match="is no report, and is not replaced"):
        write_report(digits_run, registry=default_registry(), state="finished", out=out)
    assert out.read_text() == "a thesis"


@pytest.mark.abuse("a report that cannot be written")
@pytest.mark.parametrize("folder", ["/proc/nowhere", "file"])
def test_a_place_that_cannot_be_written_is_said(
    digits_run: Path, tmp_path: Path, folder: str
) -> None:
    (tmp_path / "file").touch()
    out = tmp_path / folder / "page.html"
    with pytest.raises(InputError, match=r"page\.html: cannot be written: "):
        write_report(digits_run, registry=default_registry(), state="finished", out=out)


# Plugins

ADDING = """
from corenas import hookimpl
from corenas.report.sections import Section, render


@hookimpl
def corenas_report_sections(record):
    body = render("<p>{{ name }} of {{ n }}</p>", {"name": "<i>ours</i>", "n": len(record.stages)})
    return [Section("theirs", "A stranger's", body, "training", "p { margin: 0; }", "0;")]
"""

FAILING = """
from corenas import hookimpl


@hookimpl
def corenas_report_sections(record):
    raise RuntimeError("<no> pictures")
"""

ODD = """
from corenas import hookimpl


@hookimpl
def corenas_report_sections(record):
    return ["text"]
"""


def test_plugins_add_sections_and_a_broken_one_costs_a_note(
    write_run: WriteRun, install_plugin: InstallPlugin
) -> None:
    install_plugin("adding", ADDING)
    install_plugin("failing", FAILING)
    install_plugin("odd", ODD)
    page = make(write_run([begun(), measured(0, {"op": "a"}, score=1.0)]))
    assert "A stranger's <i>ours</i> of 1" in page.text
    assert "The plugin failing added nothing: RuntimeError: <no> pictures (" in page.text
    assert "The plugin odd gave a str where a Section is expected." in page.text
    check_harmless(page)
