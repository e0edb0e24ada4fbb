"""How good a potential is, and whether its labels are what they are taken for."""
