"""Ports of servers that tests start are still free when the servers bind them."""

from __future__ import annotations

from pathlib import Path

from fleet_audit_tests.ports import free_port


def test_they_are_none_that_the_kernel_gives_to_others_before_the_servers_bind_them():
    first = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    ports = [free_port() for _ in range(50)]
    assert max(ports) < first
    assert len(set(ports)) == 50
