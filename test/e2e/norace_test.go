//go:build !race

package e2e_test

// raceFlag is for tests without the race detector.
const raceFlag = "-race=false"
