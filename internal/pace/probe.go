package pace

import (
	"context"
	"errors"
	"time"

	"github.com/towpath/towpath/internal/broker"
)

// settle does what a probe has found out. An answer closes the circuit whatever
// has become of it meanwhile. A failure opens it for longer, unless another
// probe has done so. One that has found out nothing makes way for another.
func (b *Breaker) settle(ctx context.Context, d Decision, outcome Outcome) {
	for {
		err := b.settleOnce(ctx, d, outcome)
		if errors.Is(err, broker.ErrConflict) {
			continue // who was first has changed something, so this ends
		}
		if err != nil { // the probe expires
			b.log(circuit{Installation: d.installation}).WithError(err).Debug("what a probe has found out was not stored")
		}
		return
	}
}

func (b *Breaker) settleOnce(ctx context.Context, d Decision, outcome Outcome) error {
	c, revision, err := b.read(ctx, d.installation)
	if errors.Is(err, broker.ErrNoKey) {
		return nil // another probe has closed it
	}
	if err != nil {
		return err
	}
	now := b.Now()
	next := c
	switch outcome {
	case Answered:
		if err := b.Bucket.Delete(ctx, breakerKey(d.installation), revision); err != nil {
			return err
		}
		b.closed(d.installation, revision)
		b.log(circuit{Installation: d.installation}).Info("platform answers again, its installation's work goes on")
		return nil
	case Failing:
		if c.state(now) == Open {
			return nil
		}
		next = c.opened(now, b.Shortest, b.Longest)
	default:
		if c.Prober != b.Worker || !c.ProbeEnds.Equal(d.probeEnds) {
			return nil // another probe has begun
		}
		next.Prober, next.ProbeEnds = "", time.Time{}
	}
	revision, err = b.write(ctx, next, revision)
	if err != nil {
		return err
	}
	b.mu.Lock()
	b.learn(b.view(breakerKey(d.installation)), next, revision)
	b.mu.Unlock()
	if outcome == Failing {
		b.log(next).WithField("opened", next.Opened).Warn("platform is still failing, its installation's work waits")
	}
	return nil
}
