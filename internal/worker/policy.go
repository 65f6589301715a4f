package worker

import (
	"math/rand/v2"
	"time"
)

// Policy says how often and how long a delivery is tried. Zero fields mean the
// defaults.
type Policy struct {
	MaxAttempts int           // 15
	MaxAge      time.Duration // since it was stored; 24 h
	Base        time.Duration // bound of the first wait; 500 ms
	Cap         time.Duration // bound of every wait; 5 min
}

func (p Policy) withDefaults() Policy {
	if p.MaxAttempts == 0 {
		p.MaxAttempts = 15
	}
	if p.MaxAge == 0 {
		p.MaxAge = 24 * time.Hour
	}
	if p.Base == 0 {
		p.Base = 500 * time.Millisecond
	}
	if p.Cap == 0 {
		p.Cap = 5 * time.Minute
	}
	return p
}

// wait returns how long to wait after the given number of failed attempts:
// a random part of a bound that doubles each time, so that many deliveries
// that failed together do not come back together. A wait that the platform
// asked for is never cut short; the random part comes on top.
func (p Policy) wait(failed int, asked time.Duration) time.Duration {
	bound := p.Cap
	if shift := failed - 1; shift < 32 && p.Base < p.Cap>>shift {
		bound = p.Base << shift
	}
	if asked > 0 {
		return asked + rand.N(p.Base)
	}
	return rand.N(bound) + 1
}

// exhausted tells whether there may be no further attempt.
func (p Policy) exhausted(failed int, stored, next time.Time) bool {
	return failed >= p.MaxAttempts || next.Sub(stored) > p.MaxAge
}
