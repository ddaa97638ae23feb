"""Where rows come from: files, databases, the hub, Label Studio; and how they are read and cleaned."""
