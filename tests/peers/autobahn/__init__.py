"""Autobahn|Testsuite, the public conformance suite for WebSockets, against the default socket."""
