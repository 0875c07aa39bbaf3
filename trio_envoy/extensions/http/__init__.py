"""Extensions of the HTTP connection manager that are no filters."""
