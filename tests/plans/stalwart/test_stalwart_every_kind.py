"""Random valid objects of every kind that a server serves: made, left alone, repaired, deleted, foreign fields kept."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from tailwart.stalwart.lifecycle import server_schema
from tailwart.stalwart.protocol.container import stored_login
from tailwart.stalwart.protocol.jmap import SINGLETON, Call
from tailwart.stalwart.protocol.values import MASKED, TYPE
from tailwart.stalwart.schema.model import Schema, Shape, Update
from tailwart.stalwart.settings.desired import desired
from tests.plans.stalwart.random_objects import SECRET, SECRET_VALUE, Objects
from tests.plans.stalwart.stalwart_host import StalwartHost, stalwart_host
from tests.unit.stalwart import sample

RUNS = itertools.count(1)


def declared(objects: Mapping[str, Any]) -> Any:
    return sample.settings(objects=objects, secrets={SECRET: SECRET_VALUE})


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StalwartHost]:
    directory: Path = tmp_path_factory.mktemp("every-kind")
    with stalwart_host(directory) as host:
        host.set_variables(**{SECRET: SECRET_VALUE})
        host.deploy(declared({}))
        yield host


@pytest.fixture(scope="module")
def schema(running: StalwartHost, tmp_path_factory: pytest.TempPathFactory) -> Schema:
    found = server_schema.read(running, stored_login(str(running.home)), cache=tmp_path_factory.mktemp("schema"))
    assert found is not None
    return found


@settings(
    max_examples=3,
    derandomize=True,
    phases=(Phase.explicit, Phase.generate),
    suppress_health_check=list(HealthCheck),
)
@given(data=st.data())
def test_objects_of_sixty_kinds(running: StalwartHost, schema: Schema, data: st.DataObject) -> None:
    random = Objects(schema, desired(declared({})))
    name = f"run{next(RUNS)}"
    objects = data.draw(random.document(name))
    assert len(objects) >= 60
    running.deploy(declared(objects))
    assert running.plane(declared(objects)).observe().up_to_date, changes(running, objects)

    foreign = _touch(running, schema, objects, data)
    drifted = running.plane(declared(objects)).observe()
    assert {change.ref.kind for change in drifted.planned.changes} == foreign.repaired
    running.deploy(declared(objects))
    assert running.plane(declared(objects)).observe().up_to_date, changes(running, objects)
    live = running.plane(declared(objects)).observe().live
    assert live is not None
    for kind, identifier, field, value in foreign.kept:
        (item,) = (item for item in live.of(kind) if item["id"] == identifier)
        assert item[field] == value, (kind, field)

    gone = {
        kind: (dict.fromkeys(fields) if not schema.kinds[kind].singleton else fields)
        for kind, fields in objects.items()
    }
    running.deploy(declared(gone))
    assert running.plane(declared(gone)).observe().up_to_date, changes(running, gone)
    for kind in (kind for kind in objects if not schema.kinds[kind].singleton):
        assert name not in json.dumps(running.objects(kind)).lower(), kind


def changes(host: StalwartHost, objects: Mapping[str, Any]) -> list[Any]:
    observed = host.plane(declared(objects)).observe()
    return [(change.ref, dict(change.values), change.live) for change in observed.planned.changes]


class _Touched:
    """What somebody changed by hand: `repaired` are the kinds with a declared field in it, `kept` every other field."""

    def __init__(self) -> None:
        self.repaired: set[str] = set()
        self.kept: list[tuple[str, str, str, Any]] = []


def _touch(host: StalwartHost, schema: Schema, objects: Mapping[str, Any], data: st.DataObject) -> _Touched:
    """Toggle one switch of every object that has one: those that are declared are drift, the others are foreign."""
    touched = _Touched()
    live = host.plane(declared(objects)).observe().live
    assert live is not None
    calls: list[Call] = []
    for kind, content in objects.items():
        singleton = schema.kinds[kind].singleton
        for name, fields in ({SINGLETON: content} if singleton else content).items():
            item = next(each for each in live.of(kind) if live.key(kind, each) == name)
            structure = schema.kinds[kind].structure
            variant = structure.single or structure.variants[str(item[TYPE])]
            switches = [
                field.name
                for field in variant.fields.values()
                if field.type.shape is Shape.BOOLEAN and field.update is Update.MUTABLE and not field.enterprise
            ]
            managed = {path for each in desired(declared({})) if each.kind == kind for path in each.fields}
            free = [field for field in switches if field not in managed and item.get(field) != MASKED]
            patch = {field: not item[field] for field in free[:2]}
            if patch:
                calls.append(Call(kind, "set", {"update": {str(item["id"]): patch}}))
            for field in patch:
                if field in fields:
                    touched.repaired.add(kind)
                else:
                    touched.kept.append((kind, str(item["id"]), field, not item[field]))
    for answer in host.client().call(calls):
        assert answer.arguments.get("updated"), answer
    assert touched.kept, "no foreign field"
    return touched
