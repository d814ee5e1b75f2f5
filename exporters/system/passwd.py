"""Names of users from passwd(5) below the root: no name service, which may be a network away."""

from exporters.errors import SourceError
from exporters.system.tree import Tree, read_file


def names(passwd: bytes) -> dict[int, str]:
    """Names by uid; the first name of a uid holds."""
    found: dict[int, str] = {}
    for line in passwd.split(b"\n"):
        name, *rest = line.split(b":")
        if name and len(rest) > 1 and rest[1].isdigit():
            found.setdefault(int(rest[1]), name.decode("utf-8", "replace"))
    return found


def read_names(tree: Tree) -> dict[int, str]:
    """Names by uid of this root; none where it has no passwd that may be read."""
    try:
        return names(read_file(tree.below_root("/etc/passwd")))
    except (OSError, SourceError):
        return {}
