// Package test holds what only the whole repository can be asked: the house rules (which package may import which,
// how long a file may be, what a test must not do) and the end-to-end tests, with real processes and containers.
//
// Nothing imports it, and it stands on top of the house: it may import everything.
package test
