"""Random objects that a server's own schema allows: hypothesis strategies, made from whatever schema is served.

What the schema does not say (an expression that compiles, an address that parses) stands in `TEXTS`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from hypothesis import strategies as st

from tailwart.stalwart.objects.declared import NEVER_DELETED, NOT_SETTINGS
from tailwart.stalwart.objects.keys import key_fields
from tailwart.stalwart.objects.owned import managed_fields
from tailwart.stalwart.protocol.values import TYPE
from tailwart.stalwart.schema.model import MISSING, Field, Kind, Schema, Shape, Structure, Type, Update
from tailwart.stalwart.settings.desired_object import DesiredObject

SECRET = "SECRET_RANDOM"
# As base64, which the key of a TSIG has to be: a real server refuses another at its next reload.
SECRET_VALUE = "YS1yYW5kb20tc2VjcmV0LXdvcmQ="
# Kinds that need more than their fields: keys and certificates that parse, a directory that answers, a port of their
# own, stores that are really there.
NOT_RANDOM = frozenset(
    {
        "AcmeProvider",
        "BlobStore",
        "Certificate",
        "Coordinator",
        "DkimSignature",
        "Enterprise",
        "InMemoryStore",
        "NetworkListener",
        "OidcProvider",
        "PublicKey",
        "SearchStore",
        *NEVER_DELETED,
        *NOT_SETTINGS,
    }
)
# What would lock the test itself out, make it wait, or need a key that parses.
_KEPT_FROM: Mapping[str, frozenset[str]] = {
    "Directory": frozenset({"bindDn"}),
    "Http": frozenset({"allowedEndpoints", "rateLimitAnonymous", "rateLimitAuthenticated"}),
    "Jmap": frozenset(
        {"getMaxResults", "maxConcurrentRequests", "maxMethodCalls", "maxRequestSize", "setMaxObjects", "webPushKey"}
    ),
}
# Variants that a real server builds only where something else is there: an identity provider, a database, a journal, a
# second console, another edition, a part that it was built without.
_LEFT_OUT: Mapping[str, frozenset[str]] = {
    "Directory": frozenset({"Oidc", "Sql"}),
    "LookupStore": frozenset({"MySql", "RedisSentinel", "Sharded", "Sqlite"}),
    "MetricsOtel": frozenset({"Http"}),
    "Tracer": frozenset({"Journal", "OtelHttp", "Stdout"}),
}
# Kinds whose `namespace` is one name space on a real server: it builds no second store of one name.
_SHARED_NAMESPACES = frozenset({"HttpLookup", "MemoryLookupKey", "MemoryLookupKeyValue", "StoreLookup"})
_WORDS = st.text(alphabet="abcdefghijklmnopqrstuvwxyz", min_size=3, max_size=9)
_HOSTS = _WORDS.map(lambda word: f"{word}.example.org")
FORMATS: Mapping[str, st.SearchStrategy[Any]] = {
    "emailAddress": _WORDS.map(lambda word: f"{word}@example.org"),
    "uri": _HOSTS.map(lambda host: f"https://{host}/path"),
    "ipAddress": st.integers(1, 250).map(lambda number: f"192.0.2.{number}"),
    "ipNetwork": st.integers(1, 250).map(lambda number: f"198.51.{number}.0/24"),
    "socketAddress": st.integers(2000, 60000).map(lambda port: f"192.0.2.1:{port}"),
    "color": st.just("#336699"),
}
TEXTS: Mapping[tuple[str, str], st.SearchStrategy[Any]] = {
    ("Expression", "else"): st.sampled_from(["true", "false"]),
    ("ExpressionMatch", "if"): st.sampled_from(["true", "false"]),
    ("ExpressionMatch", "then"): st.sampled_from(["true", "false"]),
    # Names of hosts, which the schema does not tell from other texts.
    ("HurricaneCredential", "zone"): _HOSTS,
    ("MailExchanger", "hostname"): _HOSTS,
    ("MtaConnectionIpHost", "ehloHostname"): _HOSTS,
    ("MtaConnectionStrategy", "ehloHostname"): _HOSTS,
    ("ReportSettings", "outboundReportDomain"): _HOSTS,
    ("Service", "hostname"): _HOSTS,
    # Resolved by each reload too.
    ("SpamPyzor", "host"): FORMATS["ipAddress"],
    ("DnsResolver", "attempts"): st.just(1),
    ("DnsResolver", "timeout"): st.integers(100, 900),
    # Enabled needs an address to deliver to.
    ("HttpForm", "enable"): st.just(False),
    # A web hook of no events is none.
    ("WebHook", "eventsPolicy"): st.just("exclude"),
    ("Tracer", "path"): st.just("/nowhere"),
    ("Directory", "url"): st.just("ldap://192.0.2.1:389"),
    ("Directory", "filterLogin"): st.just("(mail=?)"),
    ("Directory", "filterMailbox"): st.just("(mail=?)"),
    ("Directory", "filterMemberOf"): st.just("(member=?)"),
    ("LookupStore", "poolMaxConnections"): st.integers(10, 20),
    ("LookupStore", "url"): st.just("redis://192.0.2.1:6379"),
    ("LookupStore", "urls"): st.just(["redis://192.0.2.1:6379"]),
    ("MemoryLookupKey", "namespace"): _WORDS.map(lambda word: f"keys-{word}"),
    ("MemoryLookupKeyValue", "namespace"): _WORDS.map(lambda word: f"values-{word}"),
    ("SieveSystemScript", "contents"): st.sampled_from(["keep;\n", "stop;\n"]),
    ("SieveUserScript", "contents"): st.sampled_from(["keep;\n", "stop;\n"]),
}
_LARGEST = {"duration": 10**9, "size": 10**9, "float": 100}


class Objects:
    """Strategies for the objects of one schema; `builtin` are those that settings manage already."""

    def __init__(self, schema: Schema, builtin: tuple[DesiredObject, ...]) -> None:
        self.schema = schema
        self._existing = dict(_EXISTING)
        self._managed: dict[str, frozenset[str]] = {}
        for item in builtin:
            self._managed[item.kind] = self._managed.get(item.kind, frozenset()) | managed_fields(item)

    @property
    def kinds(self) -> tuple[Kind, ...]:
        """The kinds of which this can make objects."""
        return tuple(kind for kind in self.schema.kinds.values() if kind.name not in NOT_RANDOM and not kind.enterprise)

    def document(self, name: str) -> st.SearchStrategy[dict[str, Any]]:
        """A mapping for `stalwart_objects` with one object of every kind; `name` begins the names of all of them."""
        self._existing |= dict.fromkeys(_REFERRED, name)
        return st.fixed_dictionaries({kind.name: self._kind(kind, name) for kind in self.kinds})

    def fields(self, kind: Kind) -> st.SearchStrategy[dict[str, Any]]:
        """The fields of one object."""
        skipped = set(self._managed.get(kind.name, ())) if kind.singleton else set()
        skipped |= _KEPT_FROM.get(kind.name, frozenset())
        if len(key_fields(kind)) == 1:
            skipped |= set(key_fields(kind))
        return self._structure(kind.structure, 0, skipped)

    def _kind(self, kind: Kind, name: str) -> st.SearchStrategy[dict[str, Any]]:
        return (
            self.fields(kind)
            if kind.singleton
            else self.fields(kind).map(lambda fields: {self._name(kind, name): fields})
        )

    def _name(self, kind: Kind, name: str) -> str:
        keys = key_fields(kind)
        field = next(
            (v.fields[keys[0]] for v in kind.structure.variants.values() if keys and keys[0] in v.fields), None
        )
        if field is None:
            return name
        if field.type.shape is Shape.ENUM:
            allowed = self.schema.enums[field.type.of]
            return allowed[sum(name.encode()) % len(allowed)]
        if kind.name in _SHARED_NAMESPACES:
            return f"{name}-{kind.name.lower()}"
        if kind.name == "MtaMilter":
            # Known by its host, which each reload resolves: an address needs no resolver.
            return f"192.0.2.{sum(name.encode()) % 200 + 1}"
        if field.type.format == "ipNetwork":
            return f"203.0.113.{sum(name.encode()) % 200 + 1}"
        return f"https://{name}.example.org/" if field.type.format == "uri" else name

    def _structure(self, structure: Structure, depth: int, skipped: set[str]) -> st.SearchStrategy[dict[str, Any]]:
        if structure.single is not None:
            return self._variant(structure.name, structure.single.fields, depth, skipped)
        variants = [
            self._variant(structure.name, variant.fields, depth, skipped).map(_typed(variant.name))
            for variant in structure.variants.values()
            if not (variant.fields.keys() & {"secret"} and "EnvironmentVariable" in structure.variants)
            and variant.name not in {"File", *_LEFT_OUT.get(structure.name, ())}
            and self._possible(variant.fields)
        ]
        return st.one_of(variants)

    def _possible(self, fields: Mapping[str, Field]) -> bool:
        """Whether every required field can be made: a reference needs something that is there."""
        return all(
            self.schema.referred(field.type.of) in self._existing
            for field in fields.values()
            if field.required and field.type.shape is Shape.OBJECT_ID
        ) and not any(field.required and field.type.shape is Shape.BLOB_ID for field in fields.values())

    def _variant(
        self, structure: str, fields: Mapping[str, Field], depth: int, skipped: set[str]
    ) -> st.SearchStrategy[dict[str, Any]]:
        required: dict[str, st.SearchStrategy[Any]] = {}
        optional: dict[str, st.SearchStrategy[Any]] = {}
        for name, field in fields.items():
            if name in skipped or field.update is Update.SERVER_SET or field.enterprise:
                continue
            if (made := TEXTS.get((structure, name))) is None:
                made = self._value(field.type, depth)
            if made is None:
                continue
            if self._demanded(field):
                required[name] = made
            elif depth < 2:
                optional[name] = made
        return st.fixed_dictionaries(required, optional=optional)

    def _demanded(self, field: Field) -> bool:
        """Also objects that need something themselves, such as a rate or an expression."""
        if field.below_minimum:
            return True
        if field.default is not MISSING or field.type.nullable:
            return False
        structure = self.schema.structures.get(field.type.of) if field.type.shape is Shape.OBJECT else None
        if structure is None or not structure.variants:
            return field.required
        first = next(iter(structure.variants.values()))
        return self.schema.incomplete(field) or any(self._demanded(each) for each in first.fields.values())

    def _value(self, type_: Type, depth: int) -> st.SearchStrategy[Any] | None:
        known = self._existing.get(type_.of)
        allowed = self.schema.enums.get(type_.of)
        simple: Mapping[Shape, st.SearchStrategy[Any] | None] = {
            Shape.STRING: st.just({"env": SECRET}) if type_.secret else FORMATS.get(type_.format, _WORDS),
            Shape.NUMBER: _number(type_),
            Shape.BOOLEAN: st.booleans(),
            Shape.ENUM: st.sampled_from(allowed) if allowed else None,
            Shape.TIME: st.integers(1, 28).map(lambda day: f"2031-02-{day:02}T10:00:00Z"),
            Shape.OBJECT_ID: st.just(known) if known else None,
        }
        return simple[type_.shape] if type_.shape in simple else self._composed(type_, depth)

    def _composed(self, type_: Type, depth: int) -> st.SearchStrategy[Any] | None:
        if type_.shape is Shape.OBJECT:
            return self._object(type_, depth)
        least = max(type_.min_items, 0)
        if type_.shape is Shape.LIST:
            made = self._object(Type(Shape.OBJECT, of=type_.of), depth)
            return None if made is None else st.lists(made, min_size=least, max_size=least + 1)
        item = self._value(type_.item, depth + 1) if type_.item else None
        if type_.shape is Shape.SET:
            return None if item is None else st.lists(item, min_size=least, max_size=least + 2, unique=True)
        key = self._value(type_.key, depth + 1) if type_.key else None
        if type_.shape is Shape.MAP and key is not None and item is not None:
            return st.dictionaries(key, item, min_size=least, max_size=least + 2)
        return None

    def _object(self, type_: Type, depth: int) -> st.SearchStrategy[Any] | None:
        structure = self.schema.structures.get(type_.of)
        if structure is None or depth > 3:
            return None
        if "EnvironmentVariable" in structure.variants:
            return st.just({"env": SECRET})
        return self._structure(structure, depth + 1, set())


# What objects may refer to: what every installation has, and objects of the same document that refer to nothing.
_EXISTING = {"Domain": "example.org", "Account": "alice@example.org"}
_REFERRED = ("MtaVirtualQueue",)


def _typed(name: str) -> Callable[[dict[str, Any]], dict[str, Any]]:
    return lambda fields: {TYPE: name, **fields}


def _number(type_: Type) -> st.SearchStrategy[Any]:
    lowest = type_.minimum if type_.minimum is not None else (1 if type_.format == "duration" else 0)
    highest = type_.maximum if type_.maximum is not None else max(_LARGEST.get(type_.format, 10_000), lowest * 2)
    if type_.format == "float":
        return st.integers(int(lowest), int(highest)).map(float)
    return st.integers(int(max(lowest, 1)), int(highest))
