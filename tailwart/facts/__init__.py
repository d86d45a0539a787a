"""Facts about hosts: one remote command per role, a pure parser, a cache that any change empties."""
