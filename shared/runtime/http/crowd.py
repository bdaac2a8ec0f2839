"""Who is connected to a door, and who must make room: a connection that is idle costs nobody else a place."""

import re
import resource
from collections import Counter
from collections.abc import Callable, Iterator
from ipaddress import IPv4Network, IPv6Address, IPv6Network, collapse_addresses, ip_address, ip_network
from typing import TypeVar

PLACES = 2000
"""Connections at once to one door; fewer where the process may not open so many files."""
SPARE_FILES = 256
"""Files that are not for connections at the door: database, brokers, probes, logs."""

Network = IPv4Network | IPv6Network


_OWN = [
    ip_network(one)
    for one in (
        "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16",
        "fc00::/7", "fe80::/10",
    )
]  # fmt: skip
"""Networks in which nobody comes from outside (RFC 1918, 4193, 6598; loopback, link)."""
_MAPPED, _TRANSLATED = IPv6Network("::ffff:0:0/96"), IPv6Network("64:ff9b::/96")
"""Where IPv6 spells addresses of IPv4: as sockets tell them (RFC 4291, 2.5.5.2), and behind a translator (RFC 6052)."""
_TUNNELS = IPv6Network("2001::/32"), IPv6Network("2002::/16")
"""Those of whoever has IPv4 only: Teredo (RFC 4380) and 6to4 (RFC 3056)."""
_WIDEST = {4: 12, 6: 28}
"""The shortest prefix that a list of proxies may have outside of `_OWN`: the widest of the large networks that carry
others' traffic have 13 and 29.
"""


def room(wanted: int) -> int:
    """How many of these connections there is room for, once the process has taken all the files that it may have
    (setrlimit).
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return wanted if hard == resource.RLIM_INFINITY else min(wanted, max(SPARE_FILES, hard - SPARE_FILES))


def networks(told: str) -> tuple[Network, ...]:
    """The networks and addresses of a list by commas. Raises ValueError."""
    return tuple(ip_network(one.strip()) for one in told.split(",") if one.strip())


def proxies(told: str) -> tuple[Network, ...]:
    """The networks of a list of our own reverse proxies. Raises ValueError also for what is so wide, however the list
    spells it, that strangers are among them, each of whom could name whatever address he likes.
    """
    listed = networks(told)
    together: list[Network] = [*_together(listed, IPv4Network), *_together(listed, IPv6Network)]
    for one in together:
        if _holds_strangers(one):
            raise ValueError(
                f"{one} holds strangers, who could then name whatever address they like in X-Forwarded-For"
            )
        if _lies_in(one, _MAPPED):
            raise ValueError(f"{one}: what IPv6 spells so is an address of IPv4, and is to be told as that")
    return listed


N = TypeVar("N", IPv4Network, IPv6Network)


def _together(listed: tuple[Network, ...], kind: type[N]) -> Iterator[N]:
    return collapse_addresses([one for one in listed if isinstance(one, kind)])


def _holds_strangers(one: Network) -> bool:
    if any(_lies_in(one, own) for own in _OWN):
        return False
    if any(_lies_in(spelt, one) for spelt in (_TRANSLATED, *_TUNNELS)):
        return True
    length = one.prefixlen - (_TRANSLATED.prefixlen if _lies_in(one, _TRANSLATED) else 0)
    return length < _WIDEST[4 if length < one.prefixlen else one.version]


def _lies_in(one: Network, other: Network) -> bool:
    return type(one) is type(other) and one.subnet_of(other)  # type: ignore[arg-type]  # of the same version


def address_of(peer: object, trusted: tuple[Network, ...] = ()) -> str:
    """The address whose connections and requests are counted together, of a socket's peer or of a text, which may name
    a port: of IPv6 the network of the first 64 bits, which one customer has whole, save of a `trusted` one, which is
    known by all of them. Whatever is no address is itself.
    """
    host = str(peer[0]) if isinstance(peer, tuple) and peer else _portless(str(peer or ""))
    try:
        address = ip_address(host.partition("%")[0])
    except ValueError:
        return host
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        return str(address.ipv4_mapped)
    if not isinstance(address, IPv6Address) or within(str(address), trusted):
        return str(address)
    return str(IPv6Network((int(address) >> 64 << 64, 64)))


def _portless(text: str) -> str:
    """As some proxies spell it: 192.0.2.7:5555, [2001:db8::7]:5555, each in quotes or not (RFC 7239, 6)."""
    spelled = _SPELLED.fullmatch(text)
    return text if spelled is None else spelled[1] or spelled[2]


_SPELLED = re.compile(r'"?(?:\[([^\[\]]+)\]|([0-9.]+))(?::[0-9]+)?"?')


def within(address: str, networks: tuple[Network, ...]) -> bool:
    """Whether the address, of one host, lies in one of these networks."""
    try:
        return bool(networks) and any(ip_address(address) in one for one in networks)
    except ValueError:
        return False


class Crowd:
    """The connections of one door: `places` in all, `each` from one address, save from `trusted` networks (the
    reverse proxies), whose connections are those of many people.

    A connection rests while no request is under way on it. Where there is no room left, the one that has rested for
    longest goes: of the same address if that has its share, else of the address that has the most.
    """

    def __init__(self, places: int, each: int, trusted: tuple[Network, ...] = ()) -> None:
        self._places = places
        self._each = each
        self.trusted = trusted
        self._taken = 0
        self._count: Counter[str] = Counter()
        self._resting: dict[str, dict[object, Callable[[], None]]] = {}

    def enter(self, address: str) -> bool:
        """Take a place; False if there is none, even by sending a resting connection away."""
        if self.has_its_share(address) and not self._send_away(address):
            return False
        if self._taken >= self._places and not self._send_away_any():
            return False
        self._count[address] += 1
        self._taken += 1
        return True

    def has_its_share(self, address: str) -> bool:
        """Whether this address may have no more: that is no fault of ours, as it is where all places are taken."""
        return self._count[address] >= self._each and not within(address, self.trusted)

    def leave(self, address: str) -> None:
        """Give the place back."""
        self._taken -= 1
        self._count[address] -= 1
        if not self._count[address]:
            del self._count[address]

    def rests(self, address: str, who: object, leave: Callable[[], None]) -> None:
        """No request is under way on `who`: `leave` may be called, which gives the place back at once."""
        self._resting.setdefault(address, {})[who] = leave

    def works(self, address: str, who: object) -> None:
        """A request is under way on `who`, or it has left."""
        resting = self._resting.get(address)
        if resting is not None and resting.pop(who, None) is not None and not resting:
            del self._resting[address]

    def _send_away(self, address: str) -> bool:
        resting = self._resting.get(address)
        if not resting:
            return False
        who, leave = next(iter(resting.items()))
        self.works(address, who)
        leave()
        return True

    def _send_away_any(self) -> bool:
        return bool(self._resting) and self._send_away(max(self._resting, key=self._count.__getitem__))
