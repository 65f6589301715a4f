package worker

import (
	"math/rand/v2"
	"time"

	"github.com/towpath/towpath/pkg/handlers"
)

// defaults are how often and how long a delivery is tried where neither the
// worker nor the integration says otherwise.
var defaults = handlers.RetryPolicy{MaxAttempts: 15, MaxAge: 24 * time.Hour, Base: 500 * time.Millisecond, Cap: 5 * time.Minute}

// delay returns how long to wait after the given number of failed attempts: a
// random part of a bound that doubles each time, so that many deliveries that
// failed together do not come back together. A wait that the platform asked
// for is never cut short; the random part comes on top.
func delay(p handlers.RetryPolicy, failed int, asked time.Duration) time.Duration {
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
func exhausted(p handlers.RetryPolicy, failed int, stored, next time.Time) bool {
	return failed >= p.MaxAttempts || next.Sub(stored) > p.MaxAge
}
