"""One WebSocket as a pipe of text messages, by one of two engines.

``base`` is the interface, and ``opening`` what a connector is told. ``stream`` runs our own
``engine``, with ``parser`` and ``frames`` around it; ``trio_adapter`` runs trio-websocket, which
``trio_websocket`` selects. Both share ``handshake``.
"""
