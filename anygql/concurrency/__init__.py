"""What both event loops need and anyio leaves to its users."""
