"""Reports: tables, plots, exports and the live display, from plain documents."""
