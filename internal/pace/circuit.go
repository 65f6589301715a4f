package pace

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/towpath/towpath/internal/broker"
)

// State is how a platform stands, as one installation sees it.
type State int

// The states of a circuit.
const (
	// Closed means that work runs.
	Closed State = iota
	// Open means that nothing runs, because the platform is down.
	Open
	// HalfOpen means that one attempt finds out whether it is back.
	HalfOpen
)

// String returns the state as one word for logs and metrics.
func (s State) String() string {
	switch s {
	case Open:
		return "open"
	case HalfOpen:
		return "half-open"
	default:
		return "closed"
	}
}

// circuit is what is stored of an installation whose circuit is not closed.
type circuit struct {
	Installation string    `json:"installation"`
	Until        time.Time `json:"until"`  // nobody asks the platform before
	Opened       int       `json:"opened"` // how often in a row
	// Prober asks the platform on behalf of all. Should it not report before
	// ProbeEnds, somebody else does.
	Prober    string    `json:"prober,omitempty"`
	ProbeEnds time.Time `json:"probeEnds,omitzero"`
}

func (c circuit) state(now time.Time) State {
	if now.Before(c.Until) {
		return Open
	}
	return HalfOpen
}

// probing tells whether somebody is asking the platform.
func (c circuit) probing(now time.Time) bool { return now.Before(c.ProbeEnds) }

// onlyClaimed tells whether the circuit is the other one but for being probed.
func (c circuit) onlyClaimed(before circuit) bool {
	return c.Prober != "" && c.Until.Equal(before.Until) && c.Opened == before.Opened
}

// opened returns the circuit once more open than before.
func (c circuit) opened(now time.Time, shortest, longest time.Duration) circuit {
	open := longest
	if shift := c.Opened; shift < 32 && shortest < longest>>shift {
		open = shortest << shift
	}
	open -= rand.N(open/5 + 1) // installations of one platform need not ask it together
	return circuit{Installation: c.Installation, Until: now.Add(open), Opened: c.Opened + 1}
}

// forgetAfter is how long a circuit is remembered that nobody asks for.
const forgetAfter = time.Hour

func breakerKey(installation string) string { return broker.Key("breaker", installation) }

const everyBreaker = "breaker.*"

// write stores a circuit that is at the given revision still; 0 when there must
// be none.
func (b *Breaker) write(ctx context.Context, c circuit, revision uint64) (uint64, error) {
	value, err := json.Marshal(c)
	if err != nil {
		return 0, err
	}
	return b.Bucket.PutFor(ctx, breakerKey(c.Installation), value, revision, expiry(forgetAfter+c.Until.Sub(b.Now())))
}

// read returns the circuit that is stored, or [broker.ErrNoKey] when it is
// closed.
func (b *Breaker) read(ctx context.Context, installation string) (c circuit, revision uint64, err error) {
	entry, err := b.Bucket.Get(ctx, breakerKey(installation))
	if err != nil {
		return circuit{}, 0, err
	}
	if err := json.Unmarshal(entry.Value, &c); err != nil {
		return circuit{}, 0, fmt.Errorf("decode circuit of %s: %w", installation, err)
	}
	return c, entry.Revision, nil
}
