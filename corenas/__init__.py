"""Plugin-based neural architecture search: the public API.

What most plugins need can be imported from here. More is public: in the core's modules, every name
with a docstring, unless it or its module begins with an underscore. ``docs/reference/api.md`` lists
all of it. Inside the core, nothing is imported from here.
"""

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
from corenas.plugins.hookspecs import Component, Kind, NoOptions, Recipe, hookimpl
from corenas.plugins.registry import Registry, default_registry
from corenas.protocols import (
    Budget,
    Evaluator,
    Executor,
    IndependentJobs,
    Job,
    Objective,
    Problem,
    Relaxable,
    Reward,
    Sampler,
    Search,
    SearchSpace,
    Strategy,
    Supernet,
    Task,
)
from corenas.runs.run import Run
from corenas.runs.search import Parts, check_search, parts_of, plan_search
from corenas.search.config import SearchConfig
from corenas.search.lift import sampled, trial_seed
from corenas.search.scheduling import Gradual, Sampling, Scheduler
from corenas.search.strategies.listed import listed
from corenas.stopping import Stop
from corenas.values.architecture import Architecture, Decision, Relaxation, check_choices
from corenas.values.evaluation import Failure, Outcome, Rejected, Report
from corenas.values.fidelity import FULL_TRAINING, Proposal, Share
from corenas.values.plan import StagePlan
from corenas.values.quantity import LATENCY, MULT_ADDS, PARAMS, Quantity
from corenas.values.result import Result, State
from corenas.values.search_result import SearchResult
from corenas.values.trial import Event, Measurement, Trial

__all__ = [
    "FULL_TRAINING",
    "LATENCY",
    "MULT_ADDS",
    "PARAMS",
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
    "Gradual",
    "IndependentJobs",
    "InputError",
    "Job",
    "Kind",
    "Measurement",
    "NoOptions",
    "NothingYet",
    "Objective",
    "Outcome",
    "Parts",
    "PluginError",
    "Problem",
    "Proposal",
    "Quantity",
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
    "Sampling",
    "Scheduler",
    "Search",
    "SearchConfig",
    "SearchError",
    "SearchResult",
    "SearchSpace",
    "Share",
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
    "check_search",
    "choose",
    "component",
    "components",
    "default_registry",
    "hookimpl",
    "listed",
    "nearest",
    "option",
    "parts_of",
    "plan_search",
    "sampled",
    "section",
    "structure",
    "trial_seed",
]
