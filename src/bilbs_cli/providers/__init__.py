"""Support plans as data: five built in, more from `/etc/bilbs/providers.d/` and the user's own folder."""
