"""HTTP: connections, routes, problems, and the contract of a door."""
