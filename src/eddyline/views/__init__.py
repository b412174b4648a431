"""Looking at a store: explain one answer, verify all of them, list what was refused. Reads only."""
