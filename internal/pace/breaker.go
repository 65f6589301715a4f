package pace

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/sirupsen/logrus"

	"github.com/towpath/towpath/internal/broker"
)

// BreakerConfig is what a [Breaker] needs. Fields without a default are
// required.
type BreakerConfig struct {
	Broker *broker.Broker
	Bucket *broker.Bucket // broker.Pace
	Worker string         // a name for the log and for whoever looks into the bucket
	Logger *logrus.Logger
	Now    func() time.Time // the same clock for all workers

	Failures int           // in a row that open a circuit; 10 when zero
	Keys     int           // different ordering keys that they must be from; 3 when zero
	Shortest time.Duration // that a circuit is open at first; 1 s when zero
	Longest  time.Duration // up to which that doubles; 60 s when zero
	// Probe is how long a probe has before another one may begin, since its
	// worker may have died; 10 s when zero. A slow platform so gets a few more
	// probes, each of which can close its circuit.
	Probe time.Duration
}

// Outcome is what an attempt found out about the platform.
type Outcome int

// What an attempt can find out.
const (
	// Untouched means nothing: it did not ask the platform, or was cut short.
	Untouched Outcome = iota
	// Answered means that the platform works, be it to refuse, as by 4xx.
	Answered
	// Failing means that it does not: 5xx, or no answer at all.
	Failing
)

// Breaker stops all workers from asking the platform of an installation that is
// down. Each worker counts for itself; once one has seen enough failures in a
// row, from enough ordering keys that it cannot be one poisoned conversation,
// it opens the installation's circuit for all. After a while one attempt is let
// through, by one of all workers: it closes the circuit, or opens it for twice
// as long.
//
// Decisions are made from memory, which [Breaker.Run] keeps up to date. While
// NATS is away a worker goes on with what it knows.
type Breaker struct {
	BreakerConfig

	mu      sync.Mutex
	views   map[string]*view // by the bucket's key
	session int              // how often the watch began
}

// view is what one worker knows of an installation.
type view struct {
	circuit  circuit
	open     bool // or half-open: there is a circuit
	revision uint64
	session  int           // of the watch in which that was learned
	changed  chan struct{} // closed at the next change
	writing  bool          // this worker is about to change it

	failures int // in a row, as far as this worker has seen
	keys     map[string]bool
}

// Decision says whether an attempt may run.
type Decision struct {
	Go bool
	// Probe means that this attempt finds out for all whether the platform is
	// back. Report how it ended in any case, or all wait until it expires.
	Probe bool
	// Until is when to ask again if not Go.
	Until time.Time
	// Changed is closed when asking again is worth it before; nil if Go.
	Changed <-chan struct{}

	installation string
	probeEnds    time.Time
}

// Allowed is the decision on an attempt that is not kept from a platform that
// is down, but whose outcome counts.
func Allowed(installation string) Decision { return Decision{Go: true, installation: installation} }

// NewBreaker returns a breaker that knows nothing, and lets everything through,
// until [Breaker.Run].
func NewBreaker(config BreakerConfig) *Breaker {
	for _, field := range []struct {
		value    *time.Duration
		fallback time.Duration
	}{{&config.Shortest, time.Second}, {&config.Longest, time.Minute}, {&config.Probe, 10 * time.Second}} {
		if *field.value == 0 {
			*field.value = field.fallback
		}
	}
	if config.Failures == 0 {
		config.Failures = 10
	}
	if config.Keys == 0 {
		config.Keys = 3
	}
	return &Breaker{BreakerConfig: config, views: map[string]*view{}}
}

// Allow decides on an attempt that is about to run. It asks NATS only when the
// attempt could be the probe, of which there is one over all workers.
func (b *Breaker) Allow(ctx context.Context, installation string) Decision {
	b.mu.Lock()
	v := b.views[breakerKey(installation)]
	if v == nil || !v.open {
		b.mu.Unlock()
		return Decision{Go: true, installation: installation}
	}
	now := b.Now()
	refused := Decision{installation: installation, Changed: v.changed}
	switch {
	case v.circuit.state(now) == Open:
		refused.Until = v.circuit.Until
	case v.circuit.probing(now):
		refused.Until = v.circuit.ProbeEnds
	default: // somebody may claim the probe, or does so
		refused.Until = now.Add(b.Shortest)
	}
	if v.circuit.state(now) == Open || v.circuit.probing(now) || v.writing {
		b.mu.Unlock()
		return refused
	}
	claimed, revision := v.circuit, v.revision
	claimed.Prober, claimed.ProbeEnds = b.Worker, now.Add(b.Probe)
	v.writing = true
	b.mu.Unlock()

	revision, err := b.write(ctx, claimed, revision)

	b.mu.Lock()
	defer b.mu.Unlock()
	v.writing = false
	if err != nil { // another worker was faster, or nobody knows: the watch tells
		return refused
	}
	b.learn(v, claimed, revision)
	return Decision{Go: true, Probe: true, installation: installation, probeEnds: claimed.ProbeEnds}
}

// Report tells how an attempt went that was allowed. Key is the ordering key of
// what was attempted; work that has none is told apart by its delivery id. It
// asks NATS only when the attempt changes the circuit, even if ctx has ended.
func (b *Breaker) Report(ctx context.Context, d Decision, key string, outcome Outcome) {
	ctx = context.WithoutCancel(ctx)
	switch {
	case d.Probe:
		b.settle(ctx, d, outcome)
	case d.Go && b.count(d.installation, key, outcome):
		b.trip(ctx, d.installation)
	}
}

// Standing returns how the platform of an installation stands; changed is
// closed when that changes, and nil as long as nothing was wrong with it.
func (b *Breaker) Standing(installation string) (state State, changed <-chan struct{}) {
	b.mu.Lock()
	defer b.mu.Unlock()
	v := b.views[breakerKey(installation)]
	if v == nil || !v.open {
		return Closed, nil
	}
	return v.circuit.state(b.Now()), v.changed
}

// Snapshot returns the state of each installation whose circuit is not closed.
func (b *Breaker) Snapshot() map[string]State {
	b.mu.Lock()
	defer b.mu.Unlock()
	states := map[string]State{}
	for _, v := range b.views {
		if v.open {
			states[v.circuit.Installation] = v.circuit.state(b.Now())
		}
	}
	return states
}

// count notes an outcome, and reports whether it is time to open the circuit,
// which the caller then does.
func (b *Breaker) count(installation, key string, outcome Outcome) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	name := breakerKey(installation)
	v := b.views[name]
	switch {
	case outcome == Answered && v != nil:
		v.failures, v.keys = 0, nil
		b.tidy(name, v)
		return false
	case outcome != Failing || v != nil && (v.open || v.writing): // which it began before
		return false
	case v == nil:
		v = b.view(name)
	}
	v.failures++
	if v.keys == nil {
		v.keys = map[string]bool{}
	}
	if len(v.keys) < b.Keys {
		v.keys[key] = true
	}
	v.writing = v.failures >= b.Failures && len(v.keys) >= b.Keys
	return v.writing
}

// trip opens a circuit that was closed.
func (b *Breaker) trip(ctx context.Context, installation string) {
	c := circuit{Installation: installation}.opened(b.Now(), b.Shortest, b.Longest)
	revision, err := b.write(ctx, c, 0)
	b.mu.Lock()
	v := b.view(breakerKey(installation))
	v.writing = false
	failures := v.failures
	if err == nil {
		b.learn(v, c, revision)
	}
	b.mu.Unlock()
	log := b.log(c)
	switch {
	case err == nil:
		log.WithField("failures", failures).Warn("platform is failing, its installation's work waits")
	case !errors.Is(err, broker.ErrConflict): // the next failure tries again
		log.WithError(err).Debug("circuit was not opened")
	}
}

func (b *Breaker) log(c circuit) *logrus.Entry {
	entry := b.Logger.WithFields(logrus.Fields{"installation": c.Installation, "worker": b.Worker})
	if wait := c.Until.Sub(b.Now()); wait > 0 {
		entry = entry.WithField("for", wait.Round(time.Millisecond))
	}
	return entry
}
