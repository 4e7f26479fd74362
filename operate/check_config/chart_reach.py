"""Addresses in values of the Helm chart that its own NetworkPolicies keep the services from."""

from collections.abc import Iterator
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import Any
from urllib.parse import urlsplit

from operate.check_config.chart_values import BELOW, section
from services.kernel.settings import Problem

_POLICY = "networkPolicy"


def unreached(merged: dict[str, Any]) -> list[Problem]:
    """Return a warning for each camera and mail server whose address is in none of the networks that are let through.

    Names are not resolved: they mean something else in the cluster. Without networks the chart itself refuses.
    """
    policy, settings = section(merged, _POLICY), section(merged, BELOW)
    if policy.get("enabled") is False:
        return []
    mail = section(section(settings, "notify"), "smtp").get("host")
    places = [*_cameras(settings.get("sites")), (f"{BELOW}.notify.smtp.host", "relays", mail)]
    return [
        (path, f"{host} is in none of {_POLICY}.{side}.cidrs, {', '.join(networks)}: add its network there")
        for path, side, host in places
        if (networks := _texts(section(policy, side).get("cidrs")))
        if (address := _address(host)) and not any(_holds(network, address) for network in networks)
    ]


def _cameras(sites: Any) -> Iterator[tuple[str, str, Any]]:
    """Yield the path, the policy's section and the host of each camera with a URL."""
    for index, site in enumerate(sites if isinstance(sites, list) else []):
        cameras = site.get("cameras") if isinstance(site, dict) else None
        for number, camera in enumerate(cameras if isinstance(cameras, list) else []):
            if isinstance(camera, dict) and isinstance(url := camera.get("url"), str):
                yield f"{BELOW}.sites[{index}].cameras[{number}].url", "cameras", _host(url)


def _host(url: str) -> str | None:
    try:
        return urlsplit(url).hostname
    except ValueError:  # services refuse it, in their words
        return None


def _texts(some: Any) -> list[str]:
    return [one for one in some if isinstance(one, str)] if isinstance(some, list) else []


def _address(host: Any) -> IPv4Address | IPv6Address | None:
    try:
        return ip_address(host) if isinstance(host, str) else None
    except ValueError:
        return None


def _holds(network: str, address: IPv4Address | IPv6Address) -> bool:
    """Return whether a network holds an address; what is no network holds none."""
    try:
        return address in ip_network(network, strict=False)
    except ValueError:
        return False
