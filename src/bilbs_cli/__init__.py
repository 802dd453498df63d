"""The bilbs command-line tool: diagnostics, support and plan of a Bilbs Box."""

__version__ = "0.1.0"
