"""Extensions: options of upstream protocols."""
