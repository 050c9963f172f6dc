"""One error class per way in which a caller can react."""


class CorenasError(Exception):
    """A failure whose message is meant for the user: where, what was got, what is allowed."""

    exit_status = 1


class InputError(CorenasError):
    """What the user gave is wrong: a command's argument, a file, a value."""

    exit_status = 2


class ConfigError(InputError):
    """A configuration value is unknown, missing or out of range; the message has its path."""


class UnknownName(InputError):  # noqa: N818 - it names what happened, as KeyError's users read it
    """No component, recipe or architecture has this name; the message offers the nearest."""


class DataError(InputError):
    """Images or weights that cannot be used; the message names the files."""


class PluginError(CorenasError):
    """A plugin that cannot be loaded, or two that claim the same name."""


class ResumeError(InputError):
    """A run folder that cannot be continued: damaged, or made with another configuration."""


class SearchError(CorenasError):
    """A search that cannot go on: too many failures or rejections in a row."""


class Stopped(CorenasError):  # noqa: N818 - a request was followed, nothing is at fault
    """Work ended early because a stop was requested, or because a job's ``report`` asked for it.

    In a stage of a run, the state is that of the last event.
    """

    exit_status = 130


class NothingYet(Stopped):
    """A recipe was stopped before there was anything to hand over.

    A recipe raises it instead of returning a summary. Its message is shown, and the run stays open.
    """


class Diverged(CorenasError):  # noqa: N818 - it names what happened
    """Training gave a loss or weights that are not finite."""
