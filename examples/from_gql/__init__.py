"""The examples of gql's documentation (its sync client, gql-cli, its DSL), written with anygql.

They ask a small server of countries, which stands for the public one that gql's examples ask::

    anygql serve --schema examples.from_gql.countries:schema --port 8000
    python -m examples.from_gql.sync
"""
