"""The DNS plane: the zone that the mail system needs, compared with and brought to a provider."""
