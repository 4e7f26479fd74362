"""What shows and proves Moretta: simulated people and cameras, demo, try-out, proof, round trip (ADR 51)."""
