"""Keyed stand-ins for IP and MAC addresses: the same subnet stays the same subnet, special addresses stay what they are.

The mapping of an address is prefix-preserving (Xu, Fan, Ammar, Moon: "Prefix-preserving IP address anonymization", 2002):
two addresses that share their first n bits have stand-ins that share exactly n bits. Here HMAC-SHA256 is the keyed function.
"""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
from functools import lru_cache

_KEPT_4 = tuple(
    map(ipaddress.IPv4Network, ("0.0.0.0/8", "127.0.0.0/8", "169.254.0.0/16", "224.0.0.0/4", "240.0.0.0/4"))
)
_PRIVATE_4 = tuple(map(ipaddress.IPv4Network, ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10")))
_KEPT_6 = tuple(map(ipaddress.IPv6Network, ("::/127", "ff00::/8")))
_SCOPES_6 = tuple(map(ipaddress.IPv6Network, ("fe80::/64", "fc00::/8", "fd00::/8", "2000::/3")))
_V4_IN_6 = ipaddress.IPv6Network("::ffff:0:0/96")
_MULTICAST_BIT = 1


class Addresses:
    """The mapping of one key."""

    def __init__(self, key: bytes) -> None:
        self._key = key
        self.v4 = lru_cache(maxsize=65536)(self._v4)
        self.v6 = lru_cache(maxsize=65536)(self._v6)
        self.mac = lru_cache(maxsize=65536)(self._mac)

    def _v4(self, text: str) -> str:
        """Return the stand-in of an IPv4 address: private stays private, public stays public, `.0` and `.255` stay so."""
        try:
            address = ipaddress.IPv4Address(text)
        except ValueError:
            return text
        if any(address in net for net in _KEPT_4) or _is_netmask(int(address)):
            return text
        home = next((net for net in _PRIVATE_4 if address in net), None)
        value, fixed = int(address), home.prefixlen if home else 0
        upper = self._bits(value >> 8, 24, fixed)
        while home is None and not _is_public(ipaddress.IPv4Address(upper << 8)):
            upper = self._bits(upper, 24, 0)
        return str(ipaddress.IPv4Address(upper << 8 | self._last_octet(value)))

    def _last_octet(self, value: int) -> int:
        if value & 0xFF in {0, 0xFF}:
            return value & 0xFF
        moved = value
        while True:
            moved = value & ~0xFF | self._bits(moved, 32, 24) & 0xFF
            if moved & 0xFF not in {0, 0xFF}:
                return moved & 0xFF

    def _v6(self, text: str) -> str:
        """Return the stand-in of an IPv6 address; its scope (link-local, unique local, global) stays."""
        try:
            address = ipaddress.IPv6Address(text)
        except ValueError:
            return text
        if address in _V4_IN_6:
            inner = ipaddress.IPv4Address(self.v4(str(ipaddress.IPv4Address(int(address) & 0xFFFFFFFF))))
            return f"::ffff:{inner}"
        if any(address in net for net in _KEPT_6):
            return text
        scope = next((net for net in _SCOPES_6 if address in net), None)
        return str(ipaddress.IPv6Address(self._bits(int(address), 128, scope.prefixlen))) if scope else text

    def _mac(self, text: str) -> str:
        """Return the stand-in of a hardware address: the maker's part stays, the last three octets are replaced."""
        mark = "-" if "-" in text else ":"
        octets = text.lower().split(mark)
        if len(set(octets)) == 1 or (len(octets) == 6 and int(octets[0], 16) & _MULTICAST_BIT):
            return text  # 00:…, ff:…, and group addresses, which are the same on every box
        digest = hmac.digest(self._key, b"mac:" + ":".join(octets).encode(), hashlib.sha256)
        return mark.join([*octets[:-3], *(f"{byte:02x}" for byte in digest[:3])])

    def _bits(self, value: int, width: int, fixed: int) -> int:
        """Flip each bit after the first `fixed` by a keyed function of the bits before it."""
        out = value >> (width - fixed) << (width - fixed)
        for i in range(fixed, width):
            prefix = value >> (width - i)
            flip = hmac.digest(self._key, b"%d/%d/%d" % (max(32, width), i, prefix), hashlib.sha256)[0] & 1
            out |= ((value >> (width - 1 - i) & 1) ^ flip) << (width - 1 - i)
        return out


def _is_netmask(value: int) -> bool:
    inverse = value ^ 0xFFFFFFFF
    return inverse & (inverse + 1) == 0


def _is_public(address: ipaddress.IPv4Address) -> bool:
    return not any(address in net for net in (*_KEPT_4, *_PRIVATE_4))
