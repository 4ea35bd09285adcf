"""The link between the daemon and a worker: orders and reports over one socketpair."""
