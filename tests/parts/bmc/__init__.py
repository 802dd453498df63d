"""OpenIPMI's simulator as a BMC, with faults; a relay that loses and spoils datagrams; a /dev/ipmi0 in front of it."""
