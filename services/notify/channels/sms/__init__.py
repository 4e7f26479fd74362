"""The channel SMS: few segments through one gateway, and the gateway's delivery reports."""
