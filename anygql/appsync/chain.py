"""The AWS credentials and region of this machine, as botocore finds them.

Looking for credentials may read files, run programs and ask servers, so it is done in a thread.
"""

from __future__ import annotations

import os
import threading
from importlib.util import find_spec
from typing import Any

from anyio import to_thread

from ..exceptions import TransportConnectionFailed

__all__ = ["CredentialChain", "configured_region"]


class CredentialChain:
    """botocore's chain of places to look for credentials. botocore caches and refreshes them."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._found: Any = None

    async def find(self) -> Any:
        """Return credentials. Canceling leaves the search to its thread.

        Raises:
            ValueError: There are none.
            TransportConnectionFailed: They could not be got.
        """
        return await to_thread.run_sync(self._find, abandon_on_cancel=True)

    def _find(self) -> Any:
        from botocore.exceptions import (  # type: ignore[import-untyped]
            BotoCoreError,
        )

        try:
            with self._lock:
                if self._found is None:
                    self._found = _session().get_credentials()
            if self._found is not None:
                return self._found.get_frozen_credentials()
        except (BotoCoreError, OSError, RuntimeError) as exc:
            failed = TransportConnectionFailed(
                f"botocore could not get AWS credentials: {type(exc).__name__}"
            )
            failed.unsent = True
            raise failed from exc
        raise ValueError(
            "botocore finds no AWS credentials: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, "
            "or write IAM(credentials=…)"
        )


def configured_region() -> str | None:
    """Return the region that AWS is configured for; ``None`` if it isn't."""
    region = os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION")
    if region:
        return region
    if find_spec("botocore") is None:
        return None
    configured: str | None = _session().get_config_variable("region")
    return configured


def _session() -> Any:
    from botocore.session import Session  # type: ignore[import-untyped]

    session: Any = Session()
    return session
