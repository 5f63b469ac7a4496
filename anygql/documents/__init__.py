"""Requests: documents, variables, and the files among variables. No I/O."""
