"""Which names a server on loopback answers to: none that somebody else's DNS could have pointed at it.

A page in a browser on this machine may be of any site. Once its name is made to resolve to 127.0.0.1 (DNS
rebinding), the browser takes this server for that site and lets the page read everything; the Host field
still names the site.
"""

from functools import lru_cache
from ipaddress import ip_address


@lru_cache(maxsize=16)
def is_at_home(host: str) -> bool:
    """Whether a Host field names an address or localhost, which no DNS is asked for; an empty one names
    nothing, and no browser sends it.
    """
    if host.startswith("["):
        name, bracket, port = host[1:].partition("]")
        is_known = bool(bracket) and _is_address(name) and (not port or port.startswith(":"))
    else:
        name, _, port = host.partition(":")
        name = name.lower().removesuffix(".")
        is_known = not host or name == "localhost" or name.endswith(".localhost") or _is_address(name)
    return is_known


def _is_address(name: str) -> bool:
    try:
        ip_address(name)
    except ValueError:
        return False
    return True
