"""What makes releases and checks them: see ``docs/releases.md``. Not part of the package."""
