"""Every setting of an installation as one typed object, and what follows from several of them.

Each setting is typed, defaulted, documented and given an example in one place: `tailwart.environment.sections`.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from pydantic import ConfigDict, SecretStr

from tailwart import fields, providers
from tailwart.environment.sections.backup import BackupSettings
from tailwart.environment.sections.hosts import Edge, HostsSettings
from tailwart.environment.sections.mail import MailSettings
from tailwart.environment.sections.network import NetworksSettings
from tailwart.environment.sections.outgoing import OutgoingSettings
from tailwart.environment.sections.stores import StoresSettings
from tailwart.environment.sections.tailnet import TailnetSettings
from tailwart.environment.sections.versions import VersionsSettings
from tailwart.environment.sections.zone import ZoneSettings
from tailwart.network import SMTP, Service
from tailwart.providers.definition import DnsServer, Variable

DEFAULT_PREFERENCE = 10
"""Of an MX record, as the server has it by itself."""


class Environment(
    # Pydantic takes the fields of the last base first: from the bottom up, this is the order of `.env.example`.
    NetworksSettings,
    VersionsSettings,
    BackupSettings,
    ZoneSettings,
    OutgoingSettings,
    StoresSettings,
    TailnetSettings,
    HostsSettings,
    MailSettings,
):
    """All settings of one installation, read from one `.env`; attribute names are the keys in lower case.

    ``provider_keys`` holds the keys of DNS providers by those names; what each is, `tailwart.providers` knows.
    ``secrets`` holds the keys that begin with SECRET_: what `stalwart_objects` refers to.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True)

    def to_json(self) -> dict[str, Any]:
        """Every setting with its secrets masked: what `pyinfra inventory.py debug-inventory` shows of a host's data."""
        return self.model_dump(mode="json", fallback=str)

    def hardens(self, host: str) -> bool:
        """Whether this host is to be hardened, by its name in the inventory. Not one that a web server shares."""
        shared = any(edge.name == host and edge.web is not None for edge in self.edges)
        return self.harden and host not in self.harden_skip and not shared

    @property
    def mail_host(self) -> str:
        """The server's public name."""
        return f"mail.{self.domain}"

    def services_of(self, edge: Edge) -> tuple[Service, ...]:
        """The public mail services that this edge offers."""
        public = self.mail_services.public
        return public if edge.services is None else tuple(one for one in public if one in edge.services)

    def serves_clients(self, edge: Edge) -> bool:
        """Whether this edge is behind the name mail.DOMAIN: it offers every public service that mail programs use."""
        return {*self.services_of(edge), SMTP}.issuperset(self.mail_services.public)

    @property
    def exchangers(self) -> tuple[tuple[str, int], ...]:
        """Host names and preferences of the MX records; empty where nobody has asked for others than mail.DOMAIN."""
        if all(edge.mx is None and edge.services is None for edge in self.edges):
            return ()
        doors = [(edge, edge.mx or DEFAULT_PREFERENCE) for edge in self.edges if SMTP in self.services_of(edge)]
        preferences = {preference for _, preference in doors}
        if len(preferences) == 1 and [edge for edge, _ in doors] == [e for e in self.edges if self.serves_clients(e)]:
            return ((self.mail_host, preferences.pop()),)
        return tuple((f"{edge.name}.{self.domain}", preference) for edge, preference in doors)

    @property
    def magic_host(self) -> str:
        """The mailbox's full name on the tailnet: what edges dial (lesson 6: names, never addresses)."""
        return f"{self.stalwart_magic_name}.{self.ts_tailnet}"

    @property
    def store_endpoints(self) -> dict[str, str]:
        """Host names of the stores that the settings name, by what they are: postgres, redis, garage."""
        redis = self.redis_url.get_secret_value() if self.redis_url else None
        urls = {"redis": redis, "garage": self.s3_endpoint}
        found = {"postgres": self.stalwart_db_host} if self.stalwart_store == "postgres" else {}
        found |= {name: urlsplit(str(url)).hostname for name, url in urls.items() if url is not None}
        return {name: host for name, host in found.items() if host}

    @property
    def installed_stores(self) -> tuple[str, ...]:
        """What BACKENDS_INSTALL names, with redis for valkey: the same protocol, setting and tag."""
        return tuple("redis" if name == "valkey" else name for name in self.backends_install)

    @property
    def backends_host(self) -> str:
        """Full name of the backends host on the tailnet; that of Postgres where nothing is installed there."""
        installed = self.installed_stores or ("postgres",)
        return next((host for name, host in self.store_endpoints.items() if name in installed), "")

    @property
    def backends_tags(self) -> tuple[str, ...]:
        """Tags of that host: those of every store that is on it."""
        tags = {"postgres": self.tag_postgres, "redis": self.tag_redis, "garage": self.tag_s3}
        found = (tags[name] for name, host in self.store_endpoints.items() if host == self.backends_host)
        return tuple(dict.fromkeys(found))

    @property
    def domains(self) -> tuple[str, ...]:
        """All mail domains, the main one first."""
        return (self.domain, *self.extra_domains)

    @property
    def acme_dns(self) -> str:
        """The provider through which Stalwart answers DNS-01 challenges; "none" when nobody can."""
        return self.acme_dns_provider or self.dns_provider

    @property
    def acme_dns_server(self) -> DnsServer | None:
        """How Stalwart answers DNS-01 challenges; None without ACME_DIRECTORY, or where it cannot.

        Raises `TailwartError` when that provider's keys cannot be used.
        """
        if self.acme_directory is None or self.acme_dns == "none":
            return None
        definition = providers.definition(self.acme_dns)
        return definition.dns_server(definition.parse(self.provider_keys)) if definition.dns_server else None

    @property
    def dns_variables(self) -> tuple[Variable, ...]:
        """The variables of Stalwart's access to every provider whose keys are set; none without ACME_DIRECTORY.

        Not only of the one in use: the server keeps its object for an earlier provider, and a variable that is missing
        makes every reload of its settings fail.
        """
        if self.acme_directory is None:
            return ()
        return tuple(
            variable
            for definition in providers.definitions().values()
            if definition.dns_server and definition.is_set(self.provider_keys)
            for variable in definition.dns_server(definition.parse(self.provider_keys)).variables
        )

    @property
    def provider_secrets(self) -> tuple[SecretStr, ...]:
        """The secrets among the keys of DNS providers."""
        known = providers.settings()
        return tuple(value for name, value in self.provider_keys.items() if fields.is_secret(known.get(name)))

    @property
    def acme_directory_in_use(self) -> str | None:
        """The ACME directory with the staging switch applied."""
        if self.acme_directory and self.acme_staging:
            return "https://acme-staging-v02.api.letsencrypt.org/directory"
        return self.acme_directory
