"""Thousands of odd answers: an error for the operator or the right write, and never a traceback.

`FUZZ_CASES=20000 pytest tests/unit/dns/test_dns_fuzz.py` is the long run; without it a small share of the same cases.
"""

from __future__ import annotations

import os
import random
from collections import Counter
from contextlib import suppress
from pathlib import Path

import pytest

from tailwart.dns.archive import Archive
from tailwart.dns.authority import Server, ask
from tailwart.dns.ownership import Ledger
from tailwart.dns.zonefile import parse
from tailwart.dns.zoneplan import compare
from tailwart.errors import TailwartError
from tailwart.providers import _rfc2136
from tailwart.providers.record import APEX, Record, record
from tests.unit.dns.bench import ticking
from tests.unit.dns.fuzzing import DESIRED, bent_text, garbling, spaceship_case
from tests.unit.dns.names import ADDRESS, KEY_ALGORITHM, KEY_NAME, KEY_SECRET
from tests.unit.dns.recorded import WITH_CERTIFICATE, ZONE

CASES = int(os.environ.get("FUZZ_CASES", "200"))
FOUND = (6596, 10367, 100343, 201922)
"""Seeds of the long runs that found something which the first ones do not."""
FIRST = int(os.environ.get("FUZZ_FIRST", "0"))


def test_odd_answers_of_the_api(tmp_path: Path) -> None:
    cases = [spaceship_case(seed, tmp_path / str(seed)) for seed in (*FOUND, *range(FIRST, FIRST + CASES))]
    ends = Counter(ended for ended, _ in cases)
    assert sum(odd for _, odd in cases) > CASES, "odd answers, as many as cases at least"
    assert ends["written"] > CASES // 20, ends
    assert len(ends) > 5, ends


def test_odd_ledgers_and_snapshots(tmp_path: Path) -> None:
    archive = Archive(tmp_path / "dns", ticking())
    live = [Record(APEX, "TXT", "onetwo", cuts=(3, 3)), Record("www", "A", "192.0.2.1")]
    plan = compare(DESIRED, live, Ledger())
    saved = archive.save(ZONE, plan.final)
    archive.remember(ZONE, plan.ours)
    published = saved.parent / "published"
    whole = {path: path.read_text() for path in (saved, published)}
    for seed in range(FIRST, FIRST + CASES):
        chance = random.Random(seed)  # noqa: S311  # the same case for the same seed
        path = chance.choice([saved, published])
        path.write_text(bent_text(whole[path], chance), encoding="utf-8", errors="replace")
        with suppress(TailwartError):
            for entry in archive.load(ZONE).records:
                assert isinstance(entry.ttl, int)
                assert all(isinstance(text, str) for text in entry.key)
        with suppress(TailwartError):
            compare(DESIRED, plan.final, archive.ledger(ZONE))
        path.write_text(whole[path])


def test_odd_zone_texts_of_the_server() -> None:
    for seed in range(FIRST, FIRST + CASES):
        with suppress(TailwartError):
            chance = random.Random(seed)  # noqa: S311  # the same case for the same seed
            parse(bent_text(WITH_CERTIFICATE, chance), ZONE, 3600)


def test_name_servers_that_answer_something_else(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_rfc2136, "TIMEOUT", 0.5)
    monkeypatch.setattr(_rfc2136, "TRANSFER", 0.5)
    key = _rfc2136.tsig_key(KEY_NAME, KEY_SECRET, KEY_ALGORITHM)
    with garbling(FIRST) as port:
        provider = _rfc2136.Rfc2136(ADDRESS, port, key)
        for _ in range(CASES // 4):
            with pytest.raises(TailwartError):
                provider.read(ZONE)
            with pytest.raises(TailwartError):
                provider.change(ZONE, [record(ZONE, "x", "A", "192.0.2.1", 60)], [])
            assert ask(Server("garbling", ADDRESS, port), ZONE, (APEX, "MX"), timeout=0.05).error
