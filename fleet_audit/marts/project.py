"""Reads the folder `dbt_like_sql` whole: every model with its documentation, in the order of their dependencies.

Every error that needs no database is raised here, in a sentence that names the file.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from functools import lru_cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

from fleet_audit.errors import PermanentError
from fleet_audit.marts.lineage_cache import LineageCache
from fleet_audit.marts.model import MATERIALIZATIONS, PARTITION_COLUMN, Days, Lineage, Model, Relation
from fleet_audit.marts.rendering import Rendered, Renderer, Variable
from fleet_audit.marts.yaml_files import ModelDocument, ProjectFile, read_models, read_project_file, read_sources
from fleet_audit.schema import registry

FOLDER = Path(__file__).resolve().parents[2] / "dbt_like_sql"
_IDENTIFIER = re.compile(r"[a-z][a-z0-9_]{0,62}")
_SOURCE_SCHEMAS = ("ref", "ops", "fact")


class Project:
    """The models of a folder. `models` are ordered: each comes after those that it reads."""

    def __init__(self, models: Sequence[Model], lineages: Mapping[str, Lineage], renderer: Renderer) -> None:
        """Use `load_project`."""
        self.models = tuple(models)
        self._by_name = {model.name: model for model in models}
        self._lineages = lineages
        self._renderer = renderer

    def model(self, name: str) -> Model:
        """The model of that name; KeyError when there is none."""
        return self._by_name[name]

    def sql(self, model: Model, days: Days | None = None, variables: Mapping[str, Variable] | None = None) -> str:
        """The model's SELECT over all days, or with `days` over what a run of these days publishes."""
        return self._renderer.render(model.template, model.path, days, variables).sql

    def condition(self, template: str, model: Model, days: Days | None) -> str:
        """A piece of SQL that uses the project's macros, e.g. `{{ in_run('operational_date') }}`."""
        return self._renderer.render(template, model.path, days).sql

    def lineage(self, model: Model) -> Lineage:
        """Column -> (relation, column) that its value is computed from."""
        return self._lineages[model.name]

    def readers_of(self, model: Model, views: Collection[str]) -> list[Model]:
        """Models that break when the model's relation is dropped, in making order.

        `views` are the models that are views in the database now, whatever they should be.
        """
        broken = {model.name}
        for other in self.models:
            if other.name in views and broken & set(other.refs):
                broken.add(other.name)
        return [other for other in self.models if other.name in broken and other.name != model.name]

    def related(self, model: Model, to: str) -> Relation:
        """The relation that a relationships test names, e.g. `ref('stg_trips')`; it must be a known one."""
        return self._renderer.render("{{ " + to + " }}", model.path).reads[0]


@lru_cache
def load_project(folder: Path = FOLDER) -> Project:
    """Reads and checks the folder: 0.1 s, where a query is new 0.8 s. Raises PermanentError that names the file."""
    return _Loader(folder).load()


class _Loader:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.file: ProjectFile = read_project_file(folder)
        self.paths = self._model_paths()
        self.documents = self._documents()
        self.sources = {name: source for path in self._yaml() for name, source in read_sources(path).items()}
        macros = {
            path: path.read_text(encoding="utf-8")
            for name in self.file.macro_folders
            for path in sorted((folder / name).glob("**/*.sql"))
        }
        self.current = folder
        self.renderer = Renderer(macros, self.file.variables, self._resolve_ref, self._resolve_source)

    def load(self) -> Project:
        templates = {name: path.read_text(encoding="utf-8") for name, path in self.paths.items()}
        rendered = {name: self._render(name, template) for name, template in templates.items()}
        columns: dict[Relation, Sequence[str]] = {
            Relation(table.schema, table.name): table.column_names
            for table in registry.TABLES.values()
            if table.schema in _SOURCE_SCHEMAS
        }
        models, lineages, cache = [], {}, LineageCache()
        for name in self._order(rendered):
            lineages[name] = cache.trace_columns(rendered[name].sql, self.paths[name], rendered[name].reads, columns)
            model = self._model(name, templates[name], rendered[name], tuple(lineages[name]))
            columns[model.relation] = tuple(lineages[name])
            models.append(model)
        cache.save()
        project = Project(models, lineages, self.renderer)
        self._check_relationships(project, columns)
        return project

    def _model_paths(self) -> dict[str, Path]:
        found: dict[str, Path] = {}
        for folder in self.file.model_folders:
            for path in sorted((self.folder / folder).glob("**/*.sql")):
                if not _IDENTIFIER.fullmatch(path.stem):
                    raise PermanentError(
                        f"{path}: {path.stem} is not a name for a table; use lower case, digits and _."
                    )
                if path.stem in found:
                    raise PermanentError(f"{path} and {found[path.stem]} have the same name; rename one of them.")
                found[path.stem] = path
        if not found:
            raise PermanentError(f"{self.folder} holds no models under {', '.join(self.file.model_folders)}.")
        return found

    def _yaml(self) -> list[Path]:
        return [path for name in self.file.model_folders for path in sorted((self.folder / name).glob("**/*.yml"))]

    def _documents(self) -> dict[str, ModelDocument]:
        documents: dict[str, ModelDocument] = {}
        for path in self._yaml():
            for name, document in read_models(path).items():
                if name in documents:
                    raise PermanentError(f"{path} and {documents[name].path} both describe model {name}.")
                if name not in self.paths:
                    raise PermanentError(f"{path} describes model {name}, but the file {name}.sql is missing.")
                documents[name] = document
        for name, path in self.paths.items():
            if name not in documents:
                raise PermanentError(f"{path} is not described: add {name} to {path.parent / 'schema.yml'}.")
        return documents

    def _resolve_ref(self, name: str) -> Relation:
        if name not in self.paths:
            raise PermanentError(f"{self.current} refers to model {name}, which does not exist.")
        return Relation(self.file.options["schema"], name)

    def _resolve_source(self, source: str, table: str) -> Relation:
        schema, tables = self.sources.get(source, ("", set()))
        if table not in tables:
            raise PermanentError(f"{self.current} reads source {source}.{table}, which no sources.yml lists.")
        if f"{schema}.{table}" not in registry.TABLES:
            raise PermanentError(
                f"{self.current} reads source {source}.{table}, which the column dictionary "
                "(fleet_audit/schema) does not have."
            )
        return Relation(schema, table)

    def _render(self, name: str, template: str) -> Rendered:
        self.current = self.paths[name]
        return self.renderer.render(template, self.paths[name])

    def _order(self, rendered: Mapping[str, Rendered]) -> list[str]:
        try:
            return list(
                TopologicalSorter({name: sorted(set(one.refs)) for name, one in rendered.items()}).static_order()
            )
        except CycleError as error:
            circle = " -> ".join(error.args[1])
            raise PermanentError(f"{self.paths[error.args[1][0]]} reads itself in a circle: {circle}.") from None

    def _model(self, name: str, template: str, rendered: Rendered, columns: Sequence[str]) -> Model:
        path, document = self.paths[name], self.documents[name]
        self._check_columns(name, columns, document)
        options = {**self.file.options, **rendered.config}
        if options.get("materialized") not in MATERIALIZATIONS:
            raise PermanentError(
                f"{path} is materialized as {options.get('materialized')}; use one of {', '.join(MATERIALIZATIONS)}."
            )
        model = Model(
            name,
            path,
            options["schema"],
            template,
            options["materialized"],
            tuple(tuple(index["columns"]) for index in options.get("indexes", [])),
            document.description,
            tuple(document.columns[column] for column in columns),
            tuple(dict.fromkeys(rendered.reads)),
            tuple(dict.fromkeys(rendered.refs)),
        )
        if not model.is_view and not model.is_daily:
            raise PermanentError(f"{path} is incremental but has no column {PARTITION_COLUMN} to replace days by.")
        return model

    def _check_columns(self, name: str, columns: Sequence[str], document: ModelDocument) -> None:
        if missing := [column for column in columns if column not in document.columns]:
            raise PermanentError(f"{self.paths[name]}: {document.path} does not describe {', '.join(missing)}.")
        if surplus := [column for column in document.columns if column not in columns]:
            raise PermanentError(
                f"{document.path} describes columns of {name} that its SELECT does not have: {', '.join(surplus)}."
            )

    def _check_relationships(self, project: Project, columns: Mapping[Relation, Sequence[str]]) -> None:
        for model in project.models:
            for test in model.tests:
                if test.kind != "relationships":
                    continue
                path = self.documents[model.name].path
                self.current = path
                related = project.related(model, test.arguments["to"])
                if test.arguments["field"] not in columns[related]:
                    raise PermanentError(
                        f"{path}: the relationships test of {model.name}.{test.column} names "
                        f"{related}.{test.arguments['field']}, which does not exist."
                    )
