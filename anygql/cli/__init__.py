"""The command line: ``anygql``, and ``python -m anygql``. It needs the extra ``anygql[cli]``."""
