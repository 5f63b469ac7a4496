from anygql.codegen import SessionClient


class BaseClient(SessionClient):
    """What generated clients run on."""
