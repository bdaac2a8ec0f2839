"""Who comes with nothing to show is counted by address: a proxy's word is taken only from our own."""

from collections.abc import Iterator
from ipaddress import ip_network
from itertools import count

import pytest

from shared.errors import Refused
from shared.runtime.http.crowd import networks
from shared.runtime.http.rates import STRANGERS, Strangers

PROXY, NEAR = ("10.0.0.7", 1), (ip_network("10.0.0.0/8"),)


class Clock:
    """A clock that is set."""

    now = 0.0

    def __call__(self) -> float:
        """Seconds."""
        return self.now


def refused(strangers: Strangers, peer: object = ("192.0.2.1", 1), forwarded: str = "") -> int:
    """How many are counted before one is refused, and for how long it is then sent away."""
    for number in count():
        try:
            strangers.count(peer, forwarded)
        except Refused as one:
            assert one.code == "DOS-INT-429" and one.facts["retry_after_s"] >= 1
            return number
    raise AssertionError


def test_ten_seconds_worth_at_once_and_then_the_rate() -> None:
    strangers = Strangers(5, clock=(clock := Clock()))
    assert refused(strangers) == 50
    clock.now = 1.0
    assert refused(strangers) == 5
    assert refused(strangers, ("192.0.2.2", 1)) == 50, "another address"


def test_ipv6_neighbours_are_one_and_a_port_is_none() -> None:
    strangers = Strangers(1, clock=Clock())
    assert refused(strangers, ("2001:db8::1", 1)) == 10
    assert refused(strangers, ("2001:db8::2", 9)) == 0


@pytest.mark.parametrize(
    ("peer", "forwarded", "same"),
    [
        pytest.param(PROXY, "203.0.113.9", True, id="through our proxy"),
        pytest.param(PROXY, "1.2.3.4, 203.0.113.9", True, id="what the client itself said before is not believed"),
        pytest.param(PROXY, "203.0.113.9, 10.0.0.8", True, id="two proxies of ours"),
        pytest.param(("203.0.113.9", 4), "192.0.2.77", True, id="a stranger's word is none"),
        pytest.param(PROXY, "203.0.113.10", False, id="another"),
        pytest.param(PROXY, "", False, id="the proxy itself"),
        pytest.param(PROXY, "not an address", False, id="nonsense"),
    ],
)
def test_whose_request_it_is(peer: object, forwarded: str, same: bool) -> None:
    strangers = Strangers(1, NEAR, Clock())
    refused(strangers, PROXY, "203.0.113.9")
    assert (refused(strangers, peer, forwarded) == 0) is same


@pytest.mark.parametrize(
    ("trusted", "peer", "named"),
    [
        pytest.param("::1", "::1", "203.0.113.9", id="a proxy on this machine"),
        pytest.param("fd00::5", "fd00::5", "203.0.113.9", id="one address of IPv6"),
        pytest.param("fd00::/120", "fd00::7", "2001:db8::7", id="few addresses of IPv6"),
        pytest.param("10.0.0.0/8", "::ffff:10.0.0.7", "203.0.113.9", id="IPv4 within IPv6"),
        pytest.param("10.0.0.7", "10.0.0.7", "203.0.113.9:5555", id="named with its port"),
        pytest.param("10.0.0.7", "10.0.0.7", '"[2001:db8::7]:5555"', id="IPv6 with its port"),
        pytest.param("10.0.0.7, fd00::5", "10.0.0.7", "203.0.113.9, fd00::5", id="two proxies"),
    ],
)
def test_people_behind_a_proxy_are_counted_one_by_one_however_it_is_told(trusted: str, peer: str, named: str) -> None:
    strangers = Strangers(1, networks(trusted), Clock())
    assert refused(strangers, (peer, 1), named) == 10
    assert refused(strangers, (peer, 2), named.replace("5555", "6666")) == 0, "the same one"
    assert refused(strangers, (peer, 3), "192.0.2.1") == 10, "another"


def test_a_neighbour_of_a_proxy_is_none() -> None:
    strangers = Strangers(1, networks("fd00::/120"), Clock())
    refused(strangers, ("fd00::ffff", 1), "203.0.113.9")
    assert refused(strangers, ("fd00::ffff", 1), "192.0.2.1") == 0


def test_no_number_of_addresses_fills_the_memory() -> None:
    strangers = Strangers(1, clock=Clock())
    for address in addresses():
        strangers.count((address, 1), "")
    assert len(strangers._buckets) == STRANGERS


def addresses() -> Iterator[str]:
    """Twice as many as are remembered."""
    return (f"10.{n >> 16}.{n >> 8 & 255}.{n & 255}" for n in range(2 * STRANGERS))
