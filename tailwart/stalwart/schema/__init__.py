"""Stalwart's own schema of its objects: what kinds there are, what each field takes, and what is wrong with a document.

The server publishes it (`GET /api/schema`). It is never kept in this project: what is written is checked against the
schema of the server that is about to take it.

    from tailwart.stalwart.schema.parsing import parse
    from tailwart.stalwart.schema.checking import problems

    schema = parse(json.loads(text))
    problems(schema, "MtaRoute", {"@type": "Mx", "name": "mx"}, creating=True)
"""
