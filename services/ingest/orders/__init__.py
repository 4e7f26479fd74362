"""Operators' orders: to pause and resume cameras, and to aim one."""
