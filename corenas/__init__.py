"""Plugin-based neural architecture search: the public API."""

from corenas.errors import (
    ConfigError,
    CorenasError,
    DataError,
    Diverged,
    InputError,
    NothingYet,
    PluginError,
    ResumeError,
    SearchError,
    Stopped,
    UnknownName,
)
from corenas.metric import Metric, MetricInfo
from corenas.names import nearest
from corenas.options.structuring import (
    Chosen,
    choose,
    component,
    components,
    option,
    section,
    structure,
)
from corenas.plugins.hookspecs import Component, NoOptions, Recipe, hookimpl
from corenas.plugins.registry import Registry, default_registry
from corenas.protocols import (
    Budget,
    Evaluator,
    Executor,
    Job,
    Objective,
    Problem,
    Relaxable,
    Reward,
    Sampler,
    SearchSpace,
    Strategy,
    Supernet,
    Task,
)
from corenas.runs.run import Run
from corenas.runs.search import search_stage
from corenas.search.lift import sampled, trial_seed
from corenas.stopping import Stop
from corenas.values.architecture import Architecture, Decision, Relaxation, check_choices
from corenas.values.evaluation import Failure, Outcome, Rejected, Report
from corenas.values.plan import StagePlan
from corenas.values.result import Result, State
from corenas.values.trial import Event, Measurement, Trial

__all__ = [
    "Architecture",
    "Budget",
    "Chosen",
    "Component",
    "ConfigError",
    "CorenasError",
    "DataError",
    "Decision",
    "Diverged",
    "Evaluator",
    "Event",
    "Executor",
    "Failure",
    "InputError",
    "Job",
    "Measurement",
    "Metric",
    "MetricInfo",
    "NoOptions",
    "NothingYet",
    "Objective",
    "Outcome",
    "PluginError",
    "Problem",
    "Recipe",
    "Registry",
    "Rejected",
    "Relaxable",
    "Relaxation",
    "Report",
    "Result",
    "ResumeError",
    "Reward",
    "Run",
    "Sampler",
    "SearchError",
    "SearchSpace",
    "StagePlan",
    "State",
    "Stop",
    "Stopped",
    "Strategy",
    "Supernet",
    "Task",
    "Trial",
    "UnknownName",
    "check_choices",
    "choose",
    "component",
    "components",
    "default_registry",
    "hookimpl",
    "nearest",
    "option",
    "sampled",
    "search_stage",
    "section",
    "structure",
    "trial_seed",
]
