"""What focal weights bring on given data: the scan over γ."""
