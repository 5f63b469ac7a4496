"""Results: complete, incremental, and as values of the user's types. No I/O."""
