"""The limits per client address, in force in a network namespace of the test's own."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

from tailwart.edge.door import RULES, Door

# Never accepts: its backlog completes the handshakes, and each connection stays open.
_SERVER = """
import socket, time
server = socket.socket(socket.AF_INET6, socket.SOCK_STREAM)
server.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
server.bind(("::", 25)); server.listen(200)
print("listening", flush=True)
time.sleep(60)
"""
_CLIENT = """
import json, socket, sys
def attempts(source, target, number):
    kept, outcome = [], []
    # A port without a listener and without a limit: refused as soon as the way between the two is there.
    for _ in range(60):
        s = socket.socket(socket.AF_INET6 if ":" in target else socket.AF_INET)
        s.settimeout(1); s.bind((source, 0))
        try: s.connect((target, 26))
        except ConnectionRefusedError: break
        except OSError: continue
        finally: s.close()
    for _ in range(number):
        s = socket.socket(socket.AF_INET6 if ":" in target else socket.AF_INET)
        s.settimeout(1); s.bind((source, 0)); kept.append(s)
        try: s.connect((target, 25)); outcome.append("open")
        except ConnectionRefusedError: outcome.append("refused")
        except TimeoutError: outcome.append("dropped")
    for s in kept: s.close()
    return outcome
print(json.dumps([attempts(*way) for way in json.loads(sys.argv[1])]))
"""
_NETWORK = """set -e
ip netns add @edge; ip netns add @client
ip -n @edge link add door0 type veth peer name door1 netns @client
ip -n @edge addr add 198.51.100.1/24 dev door0; ip -n @edge addr add 2001:db8::1/48 dev door0 nodad
for address in 198.51.100.2/24 198.51.100.3/24; do ip -n @client addr add $address dev door1; done
for address in 1::2 1::3 2::2; do ip -n @client addr add 2001:db8:0:$address/48 dev door1 nodad; done
ip -n @edge link set door0 up; ip -n @client link set door1 up
ip netns exec @edge nft -f @rules
"""


def outcomes(directory: Path, door: Door, *ways: tuple[str, str, int]) -> list[list[str]]:
    """What came of connections (source, target, how many) from a namespace of clients to one of an edge."""
    rules = directory / "door.nft"
    rules.write_text(next(str(file.content) for file in door.files if file.path == RULES))
    edge, client = (f"door-{role}-{os.getpid()}" for role in ("edge", "client"))
    script = _NETWORK.replace("@edge", edge).replace("@client", client).replace("@rules", str(rules))
    try:
        subprocess.run(["sh", "-c", script], check=True, timeout=60)
        inside = ["ip", "netns", "exec"]
        server = subprocess.Popen([*inside, edge, "python3", "-c", _SERVER], stdout=subprocess.PIPE, text=True)
        with server:
            assert server.stdout is not None
            assert server.stdout.readline() == "listening\n"
            done = subprocess.run(
                [*inside, client, "python3", "-c", _CLIENT, json.dumps(ways)],
                check=True, capture_output=True, text=True, timeout=60,
            )  # fmt: skip
            server.kill()
    finally:
        for name in (edge, client):
            subprocess.run(["ip", "netns", "del", name], check=False, timeout=60)
    found: list[list[str]] = json.loads(done.stdout)
    return found


def test_a_flood_of_one_address_is_refused_and_its_neighbours_notice_nothing(tmp_path: Path) -> None:
    edge, edge6 = "198.51.100.1", "2001:db8::1"
    found = outcomes(
        tmp_path,
        Door((25,), connections=5, rate=0),
        ("198.51.100.2", edge, 8),
        ("198.51.100.3", edge, 5),
        ("2001:db8:0:1::2", edge6, 8),
        ("2001:db8:0:2::2", edge6, 5),
    )
    assert found[0] == ["open"] * 5 + ["refused"] * 3
    assert found[1] == ["open"] * 5
    assert found[2] == ["open"] * 5 + ["refused"] * 3
    assert found[3] == ["open"] * 5


def test_new_connections_beyond_the_rate_are_dropped_for_a_whole_ipv6_network(tmp_path: Path) -> None:
    found = outcomes(
        tmp_path,
        Door((25,), connections=0, rate=10),
        ("198.51.100.2", "198.51.100.1", 7),
        ("198.51.100.3", "198.51.100.1", 3),
        ("2001:db8:0:1::2", "2001:db8::1", 3),
        # Another address of the same /64: whoever has one has them all.
        ("2001:db8:0:1::3", "2001:db8::1", 4),
    )
    assert found[0] == ["open"] * 5 + ["dropped"] * 2
    assert found[1] == ["open"] * 3
    assert found[2] == ["open"] * 3
    assert found[3] == ["open"] * 2 + ["dropped"] * 2
