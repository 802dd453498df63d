"""What a kernel log says: its lines in every form they are kept in, the events in them, folded."""
