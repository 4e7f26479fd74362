"""`moretta nats`: makes a server's configuration and everybody's keys from one file, and makes its streams."""
