"""What `moretta nats-config` writes, and the streams that a server is given."""
