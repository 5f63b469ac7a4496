"""What comes back: results, those that grow, and the types that data become. No I/O."""
