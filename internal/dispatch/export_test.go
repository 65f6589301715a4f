package dispatch

// Hide is what takes secrets out of recordings.
func Hide(secrets []string) func(string) string { return hider{known: replacerOf(secrets)}.Replace }
