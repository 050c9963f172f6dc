"""The report as one HTML file, which asks the network for nothing."""

from __future__ import annotations

import base64
import hashlib
import json
import os
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from importlib.resources import files
from pathlib import Path
from typing import Any
from urllib.parse import quote

from attrs import frozen
from markupsafe import Markup

from corenas.errors import InputError
from corenas.files import atomic_write
from corenas.plugins.registry import Registry
from corenas.report._answer import Answer, find_answer, find_limits
from corenas.report._asked import (
    describe_asked,
    describe_line,
    find_changes,
    format_time,
    list_commands,
    list_seconds,
    read_configuration,
)
from corenas.report._curves import Curves, draw_curves
from corenas.report._files import find_diagrams, list_files
from corenas.report._options import score_options
from corenas.report._search import Again, SearchView, compare_again, view_searches
from corenas.report.record import RunRecord, mapping, read_record
from corenas.report.sections import Section, render
from corenas.show.progress import format_number

REPORT = "report.html"
"""The file's name in a run's folder."""

MARK = "<!-- corenas report -->"
"""Stands in the first lines of each report, by which it is known as ours."""

_LIVE = "live.js"


@frozen
class _Training:
    """A stage that trained something."""

    name: str
    position: str
    finished: bool
    curves: Curves


def write_report(
    folder: Path, *, registry: Registry, state: str, out: Path | None = None, failure: str = ""
) -> Path:
    """Write the report of a run and return its path.

    Args:
        folder: The run's.
        registry: Whose plugins may add sections.
        state: How the run stands: ``running``, ``finished``, ``stopped`` or ``failed``.
        out: Where to; by default `REPORT` in the folder. Another file there is not replaced.
        failure: Why the run failed, where that is known.

    Raises:
        InputError: The journal is missing or empty, or the file is no report, or it cannot be
            written.
        ResumeError: It is no run folder.
    """
    path = folder / REPORT if out is None else out
    page = make_page(
        folder, registry=registry, state=state, base=_base(folder, path), failure=failure
    )
    if path.exists() and not _is_report(path):
        raise InputError(f"{path}: is no report, and is not replaced: name another file")
    try:
        with atomic_write(path) as file:
            file.write(encode(page))
    except OSError as error:
        raise InputError(f"{path}: cannot be written: {error.strerror or error}") from error
    return path


def encode(page: str) -> bytes:
    """Return a page as bytes, with a question mark for half a pair of surrogates.

    JSON can have those, and so can what a run's files say.
    """
    return page.encode(errors="replace")


def _base(folder: Path, path: Path) -> str:
    """Return what leads from the report to the run's folder, for links; empty within it."""
    here, there = path.absolute().parent, folder.absolute()
    if here == there:
        return ""
    try:
        return f"./{quote(os.fsencode(os.path.relpath(there, here)))}/"
    except ValueError:  # another drive of Windows
        return f"{there.as_uri()}/"


def _is_report(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            return MARK.encode() in file.read(200)
    except OSError:
        return False


def make_page(
    folder: Path,
    *,
    registry: Registry,
    state: str,
    base: str = "",
    live: str = "",
    failure: str = "",
) -> str:
    """Return the report of a run as HTML.

    Args:
        folder: The run's.
        registry: Whose plugins may add sections.
        state: How the run stands.
        base: What stands before the links to the run's files.
        failure: Why the run failed, where that is known.
        live: Tells this page from a later one, for a page that is served and reloads itself.

    Raises:
        InputError: The journal is missing or empty.
        ResumeError: It is no run folder.
    """
    record = read_record(folder, state=state)
    answer = find_answer(record)
    sections, faults = _ask_plugins(record, registry)
    searches = view_searches(record, answer.network, find_limits(record))
    again = compare_again(record, answer.network)
    styles = [_read("page.css"), *dict.fromkeys(s.style for s in sections if s.style)]
    scripts = [_read("page.js"), *dict.fromkeys(s.script for s in sections if s.script)]
    scripts += [_read(_LIVE)] if live else []
    listed, more_files = list_files(folder)
    diagrams, left_out = find_diagrams(folder)
    values: dict[str, Any] = {
        "mark": Markup(MARK),
        "policy": _make_policy(styles, scripts, live=bool(live)),
        "styles": [Markup(style) for style in styles],
        "scripts": [Markup(script) for script in scripts],
        "live": live,
        "base": base,
        "record": record,
        "answer": answer,
        "headline": _make_headline(record, answer),
        "lede": list(_explain_choice(record, answer, searches, again)),
        "notes": [*([failure] if failure else []), *record.notes, *faults],
        "diagrams": diagrams,
        "left_out": left_out,
        "written": _write_architecture(record),
        "searches": [
            (view, score_options(view.stage.trials, answer.architecture) if number == 0 else None)
            for number, view in enumerate(searches)
        ],
        "again": again,
        "trainings": list(_view_trainings(record)),
        "sections": {
            place: [section for section in sections if section.place == place]
            for place in ("answer", "search", "training")
        },
        "asked": describe_asked(record),
        "changes": find_changes(record, registry),
        "commands": list(list_commands(record)),
        "configuration": read_configuration(folder),
        "files": listed,
        "more_files": more_files,
        "tail": [describe_line(line) for line in record.tail],
        "made": format_time(datetime.now(UTC).isoformat()),
        "created": format_time(str(record.info.get("created", ""))),
        "updated": format_time(record.updated),
        "seconds": list_seconds(record),
    }
    return str(render(_read("page.html"), values))


def _read(name: str) -> str:
    return files(__package__).joinpath(name).read_text(encoding="utf-8")


def _make_policy(styles: Sequence[str], scripts: Sequence[str], *, live: bool) -> str:
    """Return a policy under which the page asks nobody for anything, and runs its own code alone.

    A served page may ask its own server whether there is a newer one.
    """
    rules = {
        "default-src": ["'none'"],
        "img-src": ["data:"],
        "style-src": [_hash(style) for style in styles],
        "script-src": [_hash(script) for script in scripts],
        "base-uri": ["'none'"],
        "form-action": ["'none'"],
    }
    if live:
        rules["connect-src"] = ["'self'"]
    return "; ".join(f"{name} {' '.join(allowed)}" for name, allowed in rules.items())


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def _ask_plugins(record: RunRecord, registry: Registry) -> tuple[list[Section], list[str]]:
    """Return the sections of all plugins, and a note for each that failed."""
    sections, faults = list[Section](), list[str]()
    for answer in registry.ask("corenas_report_sections", Section, record=record):
        sections += answer.items
        faults += [f"The plugin {answer.plugin} gave {stray}." for stray in answer.strays]
        if answer.error:
            faults.append(f"The plugin {answer.plugin} added nothing: {answer.error}.")
    return sections, faults


def _make_headline(record: RunRecord, answer: Answer) -> str:
    if answer.network:
        return "The network found" if answer.models else "The best network so far"
    if answer.models:
        return "The network trained"
    return "No network yet"


def _write_architecture(record: RunRecord) -> str:
    """Return the architecture as its recipe wrote it down for people; maybe nothing."""
    described = {n: v for n, v in mapping(record.summary.get("architecture")).items() if n != "id"}
    return _write(described) if described else ""


def _write(value: Any, indent: str = "") -> str:
    """Return JSON in which an object has a line for each entry, and a list stands on one."""
    if not isinstance(value, dict) or not value:
        return json.dumps(value, ensure_ascii=False)
    inner = indent + "  "
    entries = (f"{inner}{json.dumps(key)}: {_write(each, inner)}" for key, each in value.items())
    return "{\n" + ",\n".join(entries) + f"\n{indent}}}"


def _explain_choice(
    record: RunRecord, answer: Answer, searches: Sequence[SearchView], again: Sequence[Again]
) -> Iterator[str]:
    """Yield sentences on how the network came to be chosen."""
    trial = answer.candidate
    for view in searches:
        counts = view.counts
        refused = [f"{counts[s]:,} {s}" for s in ("rejected", "failed") if counts.get(s)]
        others = f"; {' and '.join(refused)}" if refused else ""
        candidates = sum(each.continues is None for each in view.stage.trials)
        measured = f"{candidates:,} candidates were measured in {view.stage.name}"
        if candidates < counts.get("finished", 0):
            measured += f", in {counts['finished']:,} trainings"
        if trial is None or trial not in view.stage.trials:
            if view is searches[0]:
                yield f"{measured}{others}."
            continue
        better = {
            t.architecture.id
            for t in view.stage.trials
            if t.fidelity >= trial.fidelity and (t.score or 0.0) > (trial.score or 0.0)
        } - {trial.architecture.id}
        place = f"it is number {len(better) + 1:,} by score" if better else "it scored best"
        score = format_number(trial.score)
        yield f"{measured}{others}. With {score}, {place} (trial {trial.number})."
    for look in again:
        for row in look.rows:
            if row[-1]:
                yield (
                    f"Among the {len(look.rows)} scored again in {look.after}, it is number "
                    f"{row[4]} with {row[3]}."
                )


def _view_trainings(record: RunRecord) -> Iterator[_Training]:
    for stage in record.stages.values():
        if stage.trials or stage.refused or not stage.curves:
            continue
        position = f"{stage.step:,} of {stage.total:,}" if stage.total else f"{stage.step:,}"
        yield _Training(stage.name, position, stage.finished, draw_curves(stage, x="steps"))
