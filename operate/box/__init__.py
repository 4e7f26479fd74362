"""One box: nats-server and the four services as processes, and the screen that shows them."""
