"""What must never be lost, and the faults that are tried on it; tests/bench/faults.py prints them as a table."""
