"""How much longer than its bound something may take on a machine that does other things."""

BUSY_S = 3.0  # the tests run beside each other; what a test with a bound guards against hangs for ever or for a minute
