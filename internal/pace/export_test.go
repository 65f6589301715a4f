package pace

// Allowed is the decision on an attempt that began while all was well.
func Allowed(installation string) Decision { return Decision{Go: true, installation: installation} }
