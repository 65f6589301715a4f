//go:build !race

package system

// raceFlag is for tests without the race detector.
const raceFlag = "-race=false"
