"""One module per kind of action: precondition, argv and effect; what a kind may touch is decided here.

`TABLE` says which kinds this agent can do. All of them belong to the executor; the network process can do
none, it only talks. A kind that the protocol knows and this table does not is refused as `unknown_kind`.
"""

from agent.actions import backup_run, host_ping
from agent.actions.work import Ending, Implementation, Work

__all__ = ["TABLE", "Ending", "Implementation", "Work"]

TABLE: dict[str, Implementation] = {
    "backup.run": backup_run.perform,
    "host.ping": host_ping.perform,
}
"""Kind → what does it."""
