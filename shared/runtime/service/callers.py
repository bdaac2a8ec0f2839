"""Who asks at a door, and how often they may: clients by token and rate; `observed` counts all others by address."""

from dataclasses import dataclass

from starlette.requests import Request

from shared.errors import Refused
from shared.runtime.http.crowd import networks
from shared.runtime.http.door import Client, Clients
from shared.runtime.http.rates import Rates, Strangers, vouch
from shared.runtime.service.service import Resources
from shared.runtime.service.settings import DoorSettings


@dataclass
class Callers:
    """`rate`: requests a second that a client may send who has no rate of its own in the clients' file."""

    clients: Clients
    rates: Rates
    rate: float

    async def admit(self, request: Request, *roles: str) -> Client:
        """Who is calling, counted. Raises Refused: DOS-SEC-001 for no or a wrong token, DOS-SEC-003 for a wrong role,
        DOS-INT-429 for one request too many; Unavailable if the database does not answer.
        """
        client = self.clients.identify(request)
        vouch(request)
        await self.rates.take(client.name, client.rate or self.rate)
        if roles and client.role not in roles:
            raise Refused("DOS-SEC-003")
        return client


def callers(resources: Resources) -> Callers:
    """Those of a service that lets clients in."""
    settings = resources.settings
    return Callers(settings.clients(), Rates(resources.pool), settings.client_rate)


def strangers(settings: DoorSettings) -> Strangers:
    """Those who come to a door with nothing to show."""
    return Strangers(settings.stranger_rate, networks(settings.trusted_proxies))
