//go:build race

package e2e_test

// raceFlag makes the processes look for data races when the tests do.
const raceFlag = "-race=true"
