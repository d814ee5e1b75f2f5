"""Everything that can go wrong in the agent, as one family.

AgentError
├── ConfigurationError           agent.yaml or the environment is not what it should be
├── EnrolmentError               the host could not be enrolled, or is or is not enrolled already
├── JournalError                 the journal is missing, damaged or of another host: refuse everything
├── NoSpaceError                 the disk is too full to promise that a new action is remembered
├── ExecutorUnavailableError     nobody answers on the executor's socket
├── FrameError                   what came over the Unix socket is not a frame of ours
├── ControllerUnavailableError   the controller did not answer; try again later
│   └── UntrustedControllerError its certificate is not by the CA that is pinned
├── UsageError                   the command line is not what the command takes
└── RunnerError                  a program could not be started or its supervisor died
"""

__all__ = [
    "AgentError",
    "ConfigurationError",
    "ControllerUnavailableError",
    "EnrolmentError",
    "ExecutorUnavailableError",
    "FrameError",
    "JournalError",
    "NoSpaceError",
    "RunnerError",
    "UntrustedControllerError",
    "UsageError",
]


class AgentError(Exception):
    """Root of the family; `hint` says what the operator should do next and may be empty."""

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint


class UsageError(AgentError):
    """A flag is unknown, lacks its value, or has one that it does not take."""


class ConfigurationError(AgentError):
    """A key of agent.yaml or an environment variable is unknown, missing or of the wrong type."""


class EnrolmentError(AgentError):
    """Enrolment was refused, or what the controller sent does not match the token."""


class JournalError(AgentError):
    """The journal cannot prove what was already done, so nothing may be done."""


class NoSpaceError(AgentError):
    """Too little room on the disk to remember a new action (`resources_exhausted`)."""


class ExecutorUnavailableError(AgentError):
    """The executor's socket is absent, refuses, or went away before it answered."""


class FrameError(AgentError):
    """A frame on the Unix socket is too long, cut short, or not the JSON that was agreed."""


class ControllerUnavailableError(AgentError):
    """The controller cannot be reached or answered an error; nothing is lost, ask again."""


class UntrustedControllerError(ControllerUnavailableError):
    """Whoever answers at the controller's address has no certificate by the pinned CA."""


class RunnerError(AgentError):
    """The supervisor of a program could not be started or ended without an answer."""
