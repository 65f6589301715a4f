package worker

import (
	"github.com/towpath/towpath/internal/store"
	"github.com/towpath/towpath/pkg/events"
)

// admit waits until an attempt may begin, and returns what ends it. What keeps
// it from that for long makes the lane wait elsewhere.
func (d *delivery) admit() (leave func(), err error) {
	if err := d.until(d.past.NotBefore, backoff); err != nil {
		return nil, err
	}
	leave, err = d.turns.Enter(d.taking, d.place.Installation)
	if err != nil {
		return nil, errHandedOver
	}
	// Looked at last, since a turn may be long in coming.
	if installation, ok := d.Directory.Installation(d.message.Lane().Installation()); ok && d.stopped(installation) {
		leave()
		return nil, &held{why: blocked}
	}
	return leave, nil
}

// stopped tells an installation that takes nothing at the moment. What leads
// out of that is let through.
func (d *delivery) stopped(i store.Installation) bool {
	switch d.operation {
	case events.Unregister:
		return false
	case events.Register:
		return i.Disabled
	default:
		return i.Disabled || i.Paused != nil
	}
}

// blocks tells whether an installation takes nothing at the moment.
func (w *Worker) blocks(installation string) bool {
	i, ok := w.Directory.Installation(installation)
	return ok && (i.Disabled || i.Paused != nil)
}

// tooLate tells whether nobody would hear of an action's output any more.
func (d *delivery) tooLate() bool {
	return d.operation == events.ActionTriggered && d.Broker.Now().Sub(d.message.Stored) > store.ActionTimeout
}
