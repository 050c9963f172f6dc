"""What a plugin adds to a report: sections of HTML in which text from outside is escaped."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import TYPE_CHECKING, Any, Literal

from attrs import frozen

from corenas.names import printable_lines
from corenas.show.progress import format_duration, format_number

if TYPE_CHECKING:
    from jinja2 import Environment
    from markupsafe import Markup

Place = Literal["answer", "search", "training"]
"""After what a section stands: the numbers of the models, the searches, or the trainings."""


@frozen
class Section:
    """A part of the report that a plugin's hook ``corenas_report_sections`` returns.

    Args:
        name: Its own on the page, in kebab-case.
        title: Its heading.
        body: What `render` returned. Plain text is shown as text.
        place: After what it stands.
        style: CSS for it, written into the page.
        script: JavaScript for it. The page's policy allows it no request.
    """

    name: str
    title: str
    body: Markup
    place: Place = "answer"
    style: str = ""
    script: str = ""


@cache
def _environment() -> Environment:
    # Imported here: a run needs it once, at its end.
    from jinja2 import Environment, StrictUndefined

    environment = Environment(
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_clean,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"number": format_number, "duration": format_duration}
    return environment


def _clean(value: Any) -> Any:
    """Take control characters out of text, which may come from anywhere; markup is ours."""
    return printable_lines(value) if type(value) is str else value


@cache
def _compile(template: str) -> Any:
    return _environment().from_string(template)


def render(template: str, values: Mapping[str, Any]) -> Markup:
    """Fill in a Jinja template: values are escaped, unless they are `markupsafe.Markup`.

    The filters ``number`` and ``duration`` write numbers and seconds as the rest of the page does.

    Args:
        template: The template's text.
        values: What it names.

    Raises:
        jinja2.TemplateError: It has an error, or names what is not among the values.
    """
    from markupsafe import Markup

    return Markup(_compile(template).render(values))
