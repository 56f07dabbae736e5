"""Pages to look at, ``report.html``: one file a run, a group or a comparison, from their files
alone. It needs no network, no server and no torch; everything that is shown is escaped."""
