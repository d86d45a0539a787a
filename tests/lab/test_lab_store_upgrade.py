"""`tailwart upgrade --stores`: newer packages of PostgreSQL and Redis, one that serves and one that never comes up."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tailwart.environment import Account, Environment
from tests.lab import outside
from tests.lab.backing_up import healthy, refused
from tests.lab.deploying import deploy, tailwart
from tests.lab.mailbox import shell
from tests.waiting import until

pytestmark = pytest.mark.long

# The packages on the host again, with a version that is newer than any in the lab's archive; in one of them a program
# is replaced by one that ends at once.
_ARCHIVE = r"""
set -eu; cd /; rm -rf /srv/newer; mkdir -p /srv/newer; cd /srv/newer
for name in @names@; do
  part=/tmp/newer; rm -rf $part; mkdir -p $part/DEBIAN
  version=$(dpkg-query -W -f '${Version}' $name)
  dpkg-query -s $name | awk '/^Conffiles:/ {skip = 1; next} /^[^ ]/ {skip = 0} !skip && !/^Status:/' |
    sed "s/^Version: .*/&@suffix@/; s/(= $version)/(= $version@suffix@)/" >$part/DEBIAN/control
  for file in $(dpkg-query --control-list $name); do
    cp -p $(dpkg-query --control-path $name $file) $part/DEBIAN/$file
  done
  dpkg-query -L $name | grep -vxE '/\.' | tar -C / --no-recursion -cf - -T - 2>/dev/null | tar -C $part -xpf -
  @breaking@
  dpkg-deb -Zgzip -z1 --build $part . >/dev/null
  file=$(ls -t *.deb | head -n 1)
  sum=$(sha256sum $file | cut -d' ' -f1)
  dpkg-deb -f $file >>Packages
  printf 'Filename: ./%s\nSize: %s\nSHA256: %s\n\n' $file $(stat -c %s $file) $sum >>Packages
done
rm -rf /tmp/newer
echo 'deb [trusted=yes] file:/srv/newer ./' >/etc/apt/sources.list.d/newer.list
"""
_POSTGRES = "postgresql-17 postgresql-client-17"
_REDIS = "redis-server redis-tools"
_VERSIONS = f"dpkg-query -W -f '${{Package}} ${{Version}}\\n' {_POSTGRES} {_REDIS}"
_FORGET = f"""
rm -rf /var/lib/tailwart/upgrade-packages.json /srv/newer /etc/apt/sources.list.d/newer.list
apt-mark unhold {_POSTGRES} {_REDIS}; apt-get -q update
"""


def archive(names: str, suffix: str, breaking: str = ":") -> None:
    script = _ARCHIVE.replace("@names@", names).replace("@suffix@", suffix).replace("@breaking@", breaking)
    shell("backends", script, timeout=300)


def test_newer_stores_serve_and_one_that_never_comes_up_is_taken_back(
    deployed: Path, environment: Environment, account: Account, request: pytest.FixtureRequest
) -> None:
    user, password = f"{account.name}@{environment.domain}", account.password.get_secret_value()
    outside.read_back(user, password, before := outside.mail_in(user))
    nothing = tailwart(deployed, "upgrade", "--stores", "--yes", seconds=600)
    assert nothing.returncode == 0, nothing.stderr
    assert "Nothing to do" in nothing.stdout

    request.addfinalizer(lambda: shell("backends", _FORGET, timeout=300))
    archive(f"{_POSTGRES} {_REDIS}", "+lab1")
    assert "nothing was changed" in refused(deployed, "upgrade", "--stores")
    done = tailwart(deployed, "upgrade", "--stores", "--yes", seconds=900)
    assert done.returncode == 0, done.stdout + done.stderr
    print(f"\n{done.stdout}")
    assert done.stdout.count("a message has arrived; it did not answer for") == 2
    serving = shell("backends", _VERSIONS)
    assert serving.count("+lab1") == 4
    outside.read_back(user, password, before)
    outside.read_back(user, password, outside.mail_in(user))
    assert deploy(deployed).changes == {}

    newest = json.loads(tailwart(deployed, "history", "--json").stdout)[0]
    assert newest["command"] == "upgrade --stores" and newest["good"]
    assert "Backends: Redis" in shell("backends", "tail -n 1 /opt/tailwart/history.jsonl")

    archive(_POSTGRES, "+lab2", "printf '#!/bin/sh\\nexit 1\\n' >$part/usr/lib/postgresql/17/bin/postgres || :")
    said = refused(deployed, "upgrade", "--stores", "--yes")
    assert "failed and was taken back" in said
    print(said)
    assert shell("backends", _VERSIONS) == serving
    assert "postgresql-17" in shell("backends", "apt-mark showhold")
    until(healthy, "the mailbox on the database of before", 60, 1)
    outside.read_back(user, password, before)
    outside.read_back(user, password, outside.mail_in(user))
    assert deploy(deployed).changes == {}
