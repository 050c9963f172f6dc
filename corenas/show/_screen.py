"""The live screen: lines of text that fit the terminal, drawn from a run's progress."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import accumulate

from attrs import Factory, define
from rich.cells import cell_len
from rich.text import Text

from corenas.names import printable
from corenas.show.progress import (
    BEST,
    RunProgress,
    StageProgress,
    format_duration,
    format_number,
    format_rate,
    trial_numbers,
)
from corenas.values.fidelity import format_share

# Longer lines are hard to follow with the eye; a wide terminal gets a narrow screen.
_WIDEST = 110
_NAME_WIDTH = 20
_PACE_WIDTH = 21
_LEAST_BAR = 8
_SCALAR_LINES = 2
_GAP = "   "
_ASCII = str.maketrans("✓●·━╾─…–", "+*-=>-~-")


@define
class Screen:
    """All that the live screen shows; times are seconds of one clock."""

    title: str = ""
    folder: str = ""
    progress: RunProgress = Factory(RunProgress)
    saved: tuple[int, float] | None = None

    def draw(self, width: int, height: int, now: float, *, ascii_only: bool = False) -> list[Text]:
        """Return at most ``height`` lines of at most ``width`` cells."""
        stages = self.progress.stages
        width = min(width, _WIDEST)
        blocks = [[_draw_header(self.title, self.folder, width)]] if height > 4 else []
        # At most a third for the stages: the newest matter, and the trials need the rest.
        blocks.append(_draw_bars(stages[-max(1, height // 3) :], width, now))
        if stages:
            blocks.append(_draw_table(stages[-1], width, max(1, min(BEST, height - 15))))
            scalars, state = _draw_scalars(stages[-1], width), _draw_state(stages[-1])
            blocks.append([*scalars, *state, *self._draw_saved(now)])
        lines = _join_blocks([block for block in blocks if block], height)
        for line in lines:
            line.truncate(width)
            if ascii_only:
                line.plain = line.plain.translate(_ASCII).encode("ascii", "replace").decode()
        return lines

    def _draw_saved(self, now: float) -> Iterator[Text]:
        if self.saved is not None:
            step, when = self.saved
            yield Text(f"saved at step {step}, {format_duration(now - when)} ago", "dim")


def _join_blocks(blocks: Sequence[Sequence[Text]], height: int) -> list[Text]:
    """Put empty lines between the blocks if there is room for them, and cut the rest."""
    lines = [line for block in blocks for line in block]
    if len(lines) + len(blocks) - 1 <= height:
        lines = [line for block in blocks for line in (Text(), *block)][1:]
    return lines[:height]


def _draw_header(title: str, folder: str, width: int) -> Text:
    """Return the title, and the end of the folder's name as far as there is room for it."""
    title, folder = printable(title), printable(folder)
    room = max(0, width - cell_len(title) - 3)
    if cell_len(folder) > room:
        folder = f"…{folder[-room + 1 :]}" if room > _LEAST_BAR else ""
    space = " " * (width - cell_len(title) - cell_len(folder))
    return Text.assemble((title, "bold"), space, (folder, "dim"))


def _draw_bars(stages: Sequence[StageProgress], width: int, now: float) -> list[Text]:
    # Cut and padded together, so that bars of all stages begin in one column.
    names = [printable(stage.name)[:_NAME_WIDTH] for stage in stages]
    positions = [stage.position() if stage.step or stage.total else "" for stage in stages]
    name_width = max(map(len, names), default=0)
    position_width = max(map(len, positions), default=0)
    bar_width = width - name_width - position_width - _PACE_WIDTH - 8
    lines = []
    for stage, name, position in zip(stages, names, positions, strict=True):
        mark, style = _choose_mark(stage)
        line = Text.assemble((mark, style), " ", f"{name:<{name_width}}")
        if bar_width >= _LEAST_BAR:
            line.append("  ")
            line.append_text(_draw_bar(stage, bar_width, style))
        line.append(f"  {position:>{position_width}}")
        lines.append(line.append(f"  {_describe_pace(stage, now)}", "dim"))
    return lines


def _choose_mark(stage: StageProgress) -> tuple[str, str]:
    """Return the sign of a stage and the colour of its bar."""
    if stage.finished:
        return "✓", "green"
    return ("●", "cyan") if stage.ended is None else ("·", "yellow")


def _draw_bar(stage: StageProgress, width: int, style: str) -> Text:
    share = 1.0 if stage.finished else min(stage.step / stage.total, 1.0) if stage.total else 0.0
    full = int(share * width)
    tip = "╾" if 0 < full < width else ""
    return Text.assemble(("━" * (full - len(tip)) + tip, style), ("─" * (width - full), "dim"))


def _describe_pace(stage: StageProgress, now: float) -> str:
    """Return rate and time left of a stage in progress; what one took that is over."""
    if stage.ended is not None:
        return f"took {format_duration(stage.ended - stage.began)}" if stage.worked else stage.note
    rate, left = stage.rate(), stage.seconds_left(now)
    if rate is None:
        return stage.note or format_duration(now - stage.began)
    pace = format_rate(rate)
    return pace if left is None else f"{pace}, {format_duration(left)} left"


def _draw_table(stage: StageProgress, width: int, most: int) -> list[Text]:
    """Return the best trials, with as many of their metrics as there is room for."""
    trials = stage.best[:most]
    if not trials:
        return []
    names = list(trial_numbers(trials[0]))
    # The best are those of the highest fidelity; below it, a score says less.
    climbing = bool(stage.climbed())
    rows = [["trial", "architecture", *(["share"] if climbing else []), *map(printable, names)]]
    for trial in trials:
        numbers = trial_numbers(trial)
        share = [format_share(trial.fidelity)] if climbing else []
        row = [f"#{trial.number}", trial.architecture.id, *share]
        rows.append([*row, *(numbers.get(name, "–") for name in names)])
    widths = [max(map(cell_len, column)) for column in zip(*rows, strict=True)]
    shown = sum(end <= width for end in accumulate(w + len(_GAP) for w in widths))
    styles = ["dim", "bold", *[""] * len(trials)]
    return [_draw_row(row[:shown], widths, style) for row, style in zip(rows, styles, strict=False)]


def _draw_row(cells: Sequence[str], widths: Sequence[int], style: str) -> Text:
    """Return a line of the table: only the second column, the architecture, begins at the left."""
    line = Text(style=style)
    for i, (cell, width) in enumerate(zip(cells, widths, strict=False)):
        space = " " * (width - cell_len(cell))
        line.append(_GAP + (cell + space if i == 1 else space + cell))
    return line[1:]


def _draw_scalars(stage: StageProgress, width: int) -> list[Text]:
    """Return the newest scalars, as many as a few lines hold."""
    lines = [Text()]
    for name, value in stage.scalars.items():
        item = Text.assemble((printable(name), "dim"), " ", format_number(value))
        if lines[-1] and lines[-1].cell_len + len(_GAP) + item.cell_len > width:
            lines.append(Text())
        if lines[-1]:
            lines[-1].append(_GAP)
        lines[-1].append_text(item)
    return [line for line in lines[:_SCALAR_LINES] if line]


def _draw_state(stage: StageProgress) -> Iterator[Text]:
    """Iterate over how the trials went, the last failure and the last message."""
    tally = [f"{count} {status}" for count, status in stage.tally()]
    if tally:
        yield Text(_GAP.join(tally))
    if stage.climbed():
        yield Text(f"shares of the training: {stage.climbed()}")
    if stage.failure:
        yield Text(f"last failure: {printable(stage.failure)}", "yellow")
    if stage.message:
        yield Text(printable(stage.message), "dim")
