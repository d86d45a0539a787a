"""Throughput of programs that pass TCP on with a PROXY header, on loopback; prints JSON. Runs in the container."""

import faulthandler
import json
import resource
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

WORK = Path("/run/measure")
UPSTREAM = 10025
PORTS = {"direct": UPSTREAM, "Caddy": 11025, "HAProxy": 12025, "nginx": 13025}
SECONDS = 4
# A machine that is busy passes on a tenth of what an idle one does: time is fixed, not the amount.
PATIENCE = 200
HAPROXY = f"""
global
    maxconn 4000
defaults
    mode tcp
    timeout connect 5s
    timeout client 1m
    timeout server 1m
listen mail
    bind 127.0.0.1:{PORTS["HAProxy"]}
    server mailbox 127.0.0.1:{UPSTREAM} send-proxy-v2
"""
NGINX = f"""
load_module /usr/lib/nginx/modules/ngx_stream_module.so;
daemon off; pid {WORK}/nginx.pid; error_log /dev/null;
worker_processes auto;
events {{ worker_connections 4000; }}
stream {{ server {{ listen 127.0.0.1:{PORTS["nginx"]}; proxy_pass 127.0.0.1:{UPSTREAM}; proxy_protocol on; }} }}
"""


def serve() -> None:
    """Greets, then swallows what comes."""
    with socket.create_server(("127.0.0.1", UPSTREAM), backlog=1024) as server:
        while True:
            connection, _ = server.accept()
            threading.Thread(target=swallow, args=(connection,), daemon=True).start()


def swallow(connection: socket.socket) -> None:
    buffer = bytearray(1 << 20)
    with connection:
        connection.sendall(b"220 ready\r\n")
        try:
            while connection.recv_into(buffer):
                pass
            connection.sendall(b"250 done\r\n")
        except OSError:
            pass


def megabytes_a_second(port: int) -> float:
    block, sent = bytes(1 << 20), 0
    with socket.create_connection(("127.0.0.1", port), timeout=60) as client:
        client.recv(64)
        started = time.monotonic()
        while time.monotonic() < started + SECONDS:
            client.sendall(block)
            sent += 1
        client.shutdown(socket.SHUT_WR)
        # The far end has it all only when it says so.
        client.recv(64)
        return sent / (time.monotonic() - started)


def connections_a_second(port: int) -> float:
    done = [0] * 4
    end = time.monotonic() + SECONDS

    def work(index: int) -> None:
        while time.monotonic() < end:
            with socket.create_connection(("127.0.0.1", port), timeout=20) as client:
                assert client.recv(64).startswith(b"220")
            done[index] += 1

    threads = [threading.Thread(target=work, args=(index,)) for index in range(len(done))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sum(done) / SECONDS


def main() -> None:
    # Whatever waits for ever says where, and ends.
    faulthandler.dump_traceback_later(PATIENCE, exit=True)
    WORK.mkdir()
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    # A process of its own: one interpreter would be the bottleneck of both ends.
    upstream = subprocess.Popen([sys.executable, __file__, "serve"])
    for name, text in (("caddy.json", sys.argv[1]), ("haproxy.cfg", HAPROXY), ("nginx.conf", NGINX)):
        (WORK / name).write_text(text)
    commands = (
        ["caddy", "run", "--config", str(WORK / "caddy.json")],
        ["haproxy", "-f", str(WORK / "haproxy.cfg")],
        ["nginx", "-c", str(WORK / "nginx.conf")],
    )
    log = (WORK / "log").open("w")
    programs = [subprocess.Popen(command, stdout=log, stderr=log) for command in commands]
    for port in PORTS.values():
        for _ in range(150):
            try:
                socket.create_connection(("127.0.0.1", port), timeout=1).close()
                break
            except OSError:
                time.sleep(0.1)
        else:
            sys.exit((WORK / "log").read_text()[-2000:])
    rows = {
        name: {"megabytes": max(megabytes_a_second(port) for _ in range(2)), "connections": connections_a_second(port)}
        for name, port in PORTS.items()
    }
    sys.stdout.write(json.dumps(rows))
    for program in (*programs, upstream):
        program.kill()


if __name__ == "__main__":
    serve() if sys.argv[1] == "serve" else main()
