"""Extensions: how names are spelled on HTTP/1."""
