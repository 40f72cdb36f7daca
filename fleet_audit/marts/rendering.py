"""Rendering of a model's file to SQL: the part of dbt's Jinja that the models use, with the folder's macros.

The SQL itself is analysed in `queries`.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from types import CodeType
from typing import Any

import jinja2

from fleet_audit.errors import PermanentError
from fleet_audit.marts.model import Days, Relation
from fleet_audit.marts.template_cache import TemplateCache

Variable = dt.date | int
_COMPILED = TemplateCache()
_MATERIALIZATIONS = re.compile(r"\{% materialization .*?\{% endmaterialization %\}", re.DOTALL)


@dataclass
class Rendered:
    """SQL, and what the template declared while it was rendered."""

    sql: str = ""
    reads: list[Relation] = field(default_factory=list)
    refs: list[str] = field(default_factory=list)
    config: dict[str, Any] = field(default_factory=dict)


class Renderer:
    """Renders templates of one project folder; `variables` are the defaults of its dbt_project.yml."""

    def __init__(
        self,
        macros: Mapping[Path, str],
        variables: Mapping[str, Variable],
        resolve_ref: Callable[[str], Relation],
        resolve_source: Callable[[str, str], Relation],
    ) -> None:
        """The two functions resolve a name to its relation; their errors reach the caller of `render`."""
        self._macros = dict(macros)
        self._variables = dict(variables)
        self._resolve_ref = resolve_ref
        self._resolve_source = resolve_source

    def render(
        self, template: str, path: Path, days: Days | None = None, variables: Mapping[str, Variable] | None = None
    ) -> Rendered:
        """The SQL of a template: of all days, or with `days` of what an incremental run of these days publishes.

        Values enter as dates and whole numbers only, so nothing that a user types becomes SQL. Raises PermanentError
        that names the file when the template does not render.
        """
        result = Rendered()
        given: dict[str, Variable] = {**self._variables, **(variables or {})}
        if days is not None:
            given |= {"from_date": days.first, "to_date": days.last}
        environment = jinja2.Environment(undefined=jinja2.StrictUndefined, autoescape=False)  # noqa: S701  SQL, not HTML
        environment.globals.update(
            ref=lambda name: self._ref(result, name),
            source=lambda schema, name: self._source(result, schema, name),
            config=lambda **options: result.config.update(options) or "",
            var=lambda name: _value(name, given, path),
            is_incremental=lambda: days is not None,
        )
        try:
            for text in self._macros.values():
                module = _template(environment, text).module
                environment.globals.update(
                    {name: macro for name, macro in vars(module).items() if isinstance(macro, jinja2.runtime.Macro)}
                )
            result.sql = _template(environment, template).render().strip()
        except jinja2.TemplateError as error:
            raise PermanentError(f"{path}: the template does not render: {error}.") from error
        return result

    def _ref(self, result: Rendered, name: str) -> Relation:
        relation = self._resolve_ref(name)
        result.refs.append(name)
        result.reads.append(relation)
        return relation

    def _source(self, result: Rendered, schema: str, name: str) -> Relation:
        relation = self._resolve_source(schema, name)
        result.reads.append(relation)
        return relation


def _template(environment: jinja2.Environment, text: str) -> jinja2.Template:
    return jinja2.Template.from_code(environment, _compiled(text), environment.make_globals(None))


@cache
def _compiled(text: str) -> CodeType:
    """A run of one day renders 19 models and 135 tests: compiling each text again took 10 % of its processor time.

    dbt's own tag for how a model is published is not Jinja, and `publishing` has that part.
    """
    plain = _MATERIALIZATIONS.sub("", text)
    environment = jinja2.Environment(undefined=jinja2.StrictUndefined, autoescape=False)  # noqa: S701  SQL
    kept = _COMPILED.get_bucket(environment, plain, None, plain)
    if kept.code is None:
        kept.code = environment.compile(plain)
        _COMPILED.set_bucket(kept)
    return kept.code


def _value(name: str, given: Mapping[str, Variable], path: Path) -> str:
    if name not in given:
        raise PermanentError(f"{path}: variable {name} is not declared; add its default to vars in dbt_project.yml.")
    value = given[name]
    return value.isoformat() if isinstance(value, dt.date) else str(int(value))
