"""node_network_address_info: the addresses of each network device, over rtnetlink(7)."""

from collections.abc import Callable
from ipaddress import IPv4Address, IPv6Address
from struct import Struct

from exporters.errors import SourceError
from exporters.samples import Family, Kind, Metric, Row, label
from exporters.system.links import Links
from exporters.system.netlink import Message, attributes

_INFO = Metric(
    "node_network_address_info",
    Kind.GAUGE,
    "Addresses of a network device; always 1.",
    ("device", "address", "netmask", "scope"),
)
_HEADER = Struct("=BBBBI")  # family, length of the prefix, flags, scope, index: struct ifaddrmsg
_ADDRESS, _LOCAL = 1, 2
_IPV4_BYTES, _IPV6_BYTES = 4, 16


def address_info(links: Links, accept: Callable[[str], bool]) -> Family:
    """The addresses of the accepted devices.

    Raises:
        OSError: the kernel refuses.
        SourceError: an answer is malformed.
    """
    names = {link.index: label(link.name) for link in links.read()}
    rows: dict[Row, None] = {}
    for message in links.addresses():
        index, address, prefix = _address(message)
        device = names.get(index)
        if address is not None and device is not None and accept(device):
            rows[device, str(address), str(prefix), scope(address)] = None
    return Family(_INFO, tuple(rows), (1,) * len(rows))


def _address(message: Message) -> tuple[int, IPv4Address | IPv6Address | None, int]:
    datagram, start, end = message
    if end - start < _HEADER.size:
        raise SourceError("rtnetlink", f"address in {end - start} bytes")
    _, prefix, _, _, index = _HEADER.unpack_from(datagram, start)
    found = attributes(datagram, start + _HEADER.size, end)
    # On a point-to-point device ADDRESS is the other end's.
    value = found.get(_LOCAL, found.get(_ADDRESS, b""))
    if len(value) == _IPV4_BYTES:
        return index, IPv4Address(value), prefix
    return index, IPv6Address(value) if len(value) == _IPV6_BYTES else None, prefix


def scope(address: IPv4Address | IPv6Address) -> str:
    """How far an address reaches, in node_exporter's words."""
    if address.is_loopback or address.is_link_local:
        return "link-local"
    return "" if address.is_unspecified or address.is_multicast else "global"
