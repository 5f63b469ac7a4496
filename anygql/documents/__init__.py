"""What is asked: documents, requests, and the files among their variables. No I/O."""
