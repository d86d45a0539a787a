"""DNS: what the owner decides beside `.env`. Names are relative to DOMAIN; `tailwart dns plan` shows the effect."""

# Record sets of your own choice in place of the recommended ones; an empty list publishes none.
#     dns_records = {"_dmarc TXT": "v=DMARC1; p=quarantine; rua=mailto:dmarc@example.org"}
dns_records: dict[str, str | list[str]] = {}

# `dns_records` that leave a name without SPF or DMARC, or SPF without a sender of ours, are refused unless named here.
#     dns_allow_replacing = ["_dmarc TXT"]
dns_allow_replacing: list[str] = []

# Record sets to leave alone altogether, neither written nor removed: "name TYPE", `*` matches anything.
#     dns_exclude = ["autodiscover *", "_pop3s._tcp SRV"]
dns_exclude: list[str] = []

# SPF terms for further senders, and terms that must not be in the record, whoever put them there.
#     dns_spf = ["include:_spf.example.net"]
dns_spf: list[str] = []
dns_spf_remove: list[str] = []

# The step of DMARC: "none", "quarantine", "reject", or one per domain. None keeps what stands; a new domain starts at
# "none". `tailwart dns check` says when the next step is due.
#     dns_dmarc = {"example.org": "reject", "*": "quarantine"}
dns_dmarc: str | dict[str, str] | None = None

# The name of this installation in the mark that it leaves in each zone (`_tailwart`); DOMAIN without one. Only needed
# where two installations with the same DOMAIN share a zone.
dns_owner: str | None = None

# DANE (TLSA). Only for a signed zone, and with this role run after every renewal of the certificate.
dns_tlsa = False

# CAA binds certificates to the mail server's ACME account (RFC 8657). An edge's own web server is another account.
#     dns_caa_account_uris = ["https://acme-v02.api.letsencrypt.org/acme/acct/123456"]
dns_caa = True
dns_caa_issuer: str | None = None
dns_caa_account_uris: list[str] = []

# Allows a plan that deletes more than 30 % of the managed records. Better given once:
#     pyinfra inventory.py deploy.py --limit dns --data dns_allow_deletions=yes
dns_allow_deletions = False

__all__ = [name for name in dir() if name.startswith("dns_")]
