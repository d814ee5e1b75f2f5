"""When things happen: `slots` says what a timetable means (pure), `alarm` rings at intervals."""
