"""The embedded support desk for drills, the README and the tests: the whole contract over SQLite, and nobody real."""
