"""Limits on what all clients together, and each client address, may hold of something scarce."""

import ipaddress
from collections import Counter
from functools import lru_cache

IPV6_NETWORK = 64  # bits that one customer of a provider is given


@lru_cache(maxsize=4096)
def client_of(address: str | None) -> str:
    """The client that an address belongs to: an IPv4 address, or an IPv6 network of 64 bits.

    One machine can send from every address of its network of 64 bits (RFC 4291, section 2.5.1), so
    these count as one client. Whatever is no address, as of a socket without one, is one client.
    """
    try:
        ip = ipaddress.ip_address(address or "")
    except ValueError:
        return "unknown"
    if isinstance(ip, ipaddress.IPv4Address):
        return str(ip)
    if ip.ipv4_mapped:
        return str(ip.ipv4_mapped)
    network = int(ip) >> (128 - IPV6_NETWORK) << (128 - IPV6_NETWORK)
    return f"{ipaddress.IPv6Address(network)}/{IPV6_NETWORK}"


class Shares:
    """An amount of something, of which no client holds more than its share.

    Parameters
    ----------
    total : int        what all clients together may hold
    per_client : int   what one client may hold
    """

    def __init__(self, total: int, per_client: int) -> None:
        self._total = total
        self._per_client = per_client
        self._held: Counter[str] = Counter()
        self.held = 0  # by all clients

    def take(self, client: str, amount: int = 1) -> bool:
        """Take an amount if it is there for this client; otherwise take nothing."""
        if self.held + amount > self._total or self._held[client] + amount > self._per_client:
            self._forget(client)
            return False
        self._held[client] += amount
        self.held += amount
        return True

    def give_back(self, client: str, amount: int = 1) -> None:
        """Raises ValueError if the client does not hold that much."""
        if amount > self._held[client]:
            raise ValueError(f"{client} gives back {amount} of {self._held[client]}")
        self._held[client] -= amount
        self.held -= amount
        self._forget(client)

    def _forget(self, client: str) -> None:
        if not self._held[client]:  # addresses that hold nothing would gather for ever
            del self._held[client]
