"""Plugin-based neural architecture search: the public API."""

from corenas.config import Chosen, choose, component, components, option, section, structure
from corenas.errors import (
    ConfigError,
    CorenasError,
    DataError,
    InputError,
    Interrupted,
    PluginError,
    ResumeError,
    SearchError,
    UnknownName,
)
from corenas.evaluator import Diverged, Evaluator, Job, Outcome, Rejected, Report, Stopped
from corenas.hookspecs import Component, NoOptions, Recipe, hookimpl
from corenas.metric import Metric, MetricInfo
from corenas.names import nearest
from corenas.objective import Objective
from corenas.registry import Registry, default_registry
from corenas.reward import Reward
from corenas.run import Run
from corenas.sampled import sampled, trial_seed
from corenas.searching import search_stage
from corenas.stopping import Stop
from corenas.strategy import Budget, Problem, Sampler, Strategy
from corenas.values.architecture import (
    Architecture,
    Decision,
    Relaxable,
    Relaxation,
    SearchSpace,
    Supernet,
    check_choices,
)
from corenas.values.evaluation import Executor, Failure
from corenas.values.plan import StagePlan
from corenas.values.result import Result, State, Task
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
    "Interrupted",
    "Job",
    "Measurement",
    "Metric",
    "MetricInfo",
    "NoOptions",
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
