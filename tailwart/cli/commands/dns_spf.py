"""`tailwart dns spf`: what each domain's SPF costs a receiver, and on request what its includes stand for."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from typing import Any

from tailwart.dns import overrides as decisions
from tailwart.dns import spf, spfcost, spfflat
from tailwart.dns.overrides import Overrides
from tailwart.dns.ownership import is_spf
from tailwart.dns.plane import Plane, no_vantages, plane_of
from tailwart.dns.source import ServerFacts
from tailwart.environment import load
from tailwart.printing import say
from tailwart.providers.record import APEX


def show(zone: str | None, *, flatten: bool, as_json: bool) -> None:
    """Print the cost of each SPF record as it will be; with ``flatten`` the settings that replace includes.

    Changes nothing. Exits with 1 when a record costs more than receivers allow.
    """
    environment, chosen = load().environment, decisions.load()
    plane = replace(plane_of(environment, chosen, None), vantages=no_vantages, only=zone, source=ServerFacts)
    found = [each for name in plane.zones if (each := _of(plane, name, flatten=flatten)) is not None]
    if as_json:
        say(json.dumps(found, indent=2, ensure_ascii=False))
    else:
        for each in found:
            _print(each)
            if flatten:
                _settings(each, chosen, environment.smarthost_spf)
    if any(each["lookups"] > spfcost.MAX_LOOKUPS or each["voids"] > spfcost.MAX_VOIDS for each in found):
        sys.exit(1)


def _of(plane: Plane, zone: str, *, flatten: bool) -> dict[str, Any] | None:
    desired = next(e.value for e in plane.desired()[zone].records if e.name == APEX and is_spf(e))
    standing = [text for text in plane.txt(zone) or () if spf.is_spf(text)]
    text = spf.merge([desired, *standing], removals=plane.overrides.spf_remove)
    found = spfcost.cost(text, plane.txt, plane.data, zone)
    document: dict[str, Any] = {
        "zone": zone,
        "record": text,
        "lookups": found.lookups,
        "voids": found.voids,
        "includes": dict(found.includes),
        "unknown": list(found.unknown),
        "broken": list(found.broken),
    }
    if flatten:
        flat = spfflat.flatten(text, plane.txt, plane.data)
        document |= {"flattened": {term: list(terms) for term, terms in flat.replaced.items()}, "kept": flat.kept}
    return document


def _print(document: dict[str, Any]) -> None:
    say(f"{document['zone']}: {document['record']}")
    say(
        f"  {document['lookups']} of {spfcost.MAX_LOOKUPS} look-ups, "
        f"{document['voids']} of {spfcost.MAX_VOIDS} void ones"
    )
    for name, count in document["includes"].items():
        say(f"  {count:3} {name}")
    for name in document["unknown"]:
        say(f"  ! {name} could not be asked, so more may be needed")
    for text in document["broken"]:
        say(f"  ! {text}: a permanent error to receivers")


def _settings(document: dict[str, Any], chosen: Overrides, smarthost: tuple[str, ...]) -> None:
    for term, reason in document["kept"].items():
        say(f"  ! {term} stays: {reason}")
    gone = document["flattened"]
    if not gone:
        say("  There is nothing to flatten.")
        return
    terms = [*(term for term in chosen.spf if term not in gone), *(term for each in gone.values() for term in each)]
    settings = f"dns_spf = {json.dumps(list(dict.fromkeys(terms)))}"
    others = [term for term in gone if term not in smarthost]
    say(
        "\n# As of today; whoever runs these names may change them, and this copy does not follow. Nothing was changed."
    )
    say(f"# In group_data/dns.py:\n{settings}")
    if others:
        say(f"dns_spf_remove = {json.dumps(list(dict.fromkeys([*chosen.spf_remove, *others])))}")
    for term in gone:
        if term in smarthost:
            say(f"# In .env, take {term} out of SMARTHOST_SPF.")
