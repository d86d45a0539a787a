"""The settings of a `.env` by topic; `tailwart.environment.model` joins them."""
