//go:build race

package system

// raceFlag makes the processes look for data races when the tests do.
const raceFlag = "-race=true"
