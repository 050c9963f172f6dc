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


class Interrupted(CorenasError):  # noqa: N818 - a request to stop, not a fault
    """Waiting was cut short because a stop was requested; the state is that of the last event."""

    exit_status = 130


class Diverged(CorenasError):  # noqa: N818 - it names what happened
    """Training gave a loss or weights that are not finite."""


class Stopped(CorenasError):  # noqa: N818 - it names what happened
    """The job ended early because ``report`` asked for it."""
