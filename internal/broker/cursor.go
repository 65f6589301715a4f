package broker

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"
)

// commitEvery is how often a subscription writes down how far it is.
const commitEvery = 100 * time.Millisecond

// load reads how far the subscription was.
func (r *reader) load(ctx context.Context) error {
	entry, err := r.cursors.Get(ctx, r.key)
	if errors.Is(err, ErrNoKey) {
		r.revision = 0
		return nil
	}
	if err != nil {
		return err
	}
	stored, err := strconv.ParseUint(string(entry.Value), 10, 64)
	if err != nil {
		return fmt.Errorf("cursor %s: %w", r.key, err)
	}
	r.committed, r.revision = stored, entry.Revision
	r.mu.Lock()
	defer r.mu.Unlock()
	r.watermark = max(r.watermark, stored)
	return nil
}

// commit writes the watermark down from time to time, and at the end.
func (r *reader) commit(ctx context.Context, stopped <-chan struct{}) {
	tick := time.NewTicker(commitEvery)
	defer tick.Stop()
	for running := true; running; {
		select {
		case <-stopped:
			running = false
		case <-tick.C:
		}
		if err := r.save(context.WithoutCancel(ctx)); err != nil {
			r.broker.logger.WithError(err).Debug("subscription cannot write down how far it is")
		}
	}
}

// save writes the watermark down, unless the cursor is as far already. The
// cursor is not what this reader believed when an ack of its own was lost, or
// when somebody else reads under the same name: it never goes back.
func (r *reader) save(ctx context.Context) error {
	for {
		r.mu.Lock()
		watermark := r.watermark
		r.mu.Unlock()
		if watermark <= r.committed {
			return nil
		}
		value := []byte(strconv.FormatUint(watermark, 10))
		var revision uint64
		var err error
		if r.revision == 0 {
			revision, err = r.cursors.Create(ctx, r.key, value)
		} else {
			revision, err = r.cursors.Update(ctx, r.key, value, r.revision)
		}
		if err == nil {
			r.committed, r.revision = watermark, revision
			return nil
		}
		if !errors.Is(err, ErrConflict) {
			return err
		}
		if err := r.load(ctx); err != nil {
			return err
		}
	}
}
