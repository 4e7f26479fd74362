"""What is decided about cameras that speak ONVIF: pure functions of what they said."""
