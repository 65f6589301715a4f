package worker

import (
	"errors"
	"math/rand/v2"
	"time"

	"github.com/towpath/towpath/internal/broker"
	"github.com/towpath/towpath/internal/pace"
	"github.com/towpath/towpath/internal/store"
	"github.com/towpath/towpath/pkg/events"
	"github.com/towpath/towpath/pkg/handlers"
)

// pass is the permission to make one attempt.
type pass struct {
	delivery *delivery
	leave    func() // gives the turn to another one
	circuit  pace.Decision
	found    pace.Outcome // about the platform
}

// admit waits until an attempt may begin. What keeps it from that for long
// makes the lane wait elsewhere. The pass must be given back.
func (d *delivery) admit(installation store.Installation) (*pass, error) {
	if err := d.until(d.past.NotBefore, backoff); err != nil {
		return nil, err
	}
	conduct := d.conduct(installation)
	if err := d.book(d.place.Installation+"."+d.place.Key, conduct.Conversation); err != nil {
		return nil, err
	}
	if err := d.book(d.place.Installation, conduct.Installation); err != nil {
		return nil, err
	}
	d.queue(d.message.Stored)
	// A platform that is slow to take messages does not hold up its webhooks.
	leave, err := d.turns.Enter(d.taking, d.place.Installation+"."+string(d.place.Queue))
	d.queue(time.Time{})
	if err != nil {
		return nil, errHandedOver
	}
	p := &pass{delivery: d, leave: leave, circuit: pace.Allowed(installation.WebhookID)}
	// Looked at last, since a turn may be long in coming.
	if now, ok := d.Directory.Installation(installation.WebhookID); ok && d.stopped(now) {
		leave()
		return nil, &held{why: blocked}
	}
	if !d.sends() {
		return p, nil
	}
	if p.circuit = d.breaker.Allow(d.taking, installation.WebhookID); p.circuit.Go {
		return p, nil
	}
	leave()
	return nil, d.standBy(installation.WebhookID, p.circuit)
}

// queue says since when the lane's delivery waits for a turn.
func (l *lane) queue(since time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.queued = since
}

// back gives the pass back, with what was found out about the platform.
func (p *pass) back() {
	p.leave()
	key := p.delivery.place.Key
	if p.delivery.place.Seq != 0 {
		key = p.delivery.event.ID()
	}
	p.delivery.breaker.Report(p.delivery.running, p.circuit, key, p.found)
}

// book waits for a place within what a destination takes.
func (d *delivery) book(name string, rate handlers.Rate) error {
	if rate.Interval() == 0 {
		return nil
	}
	after, booked, err := d.rates.Reserve(d.taking, name, rate, parkAfter)
	if err != nil {
		return err
	}
	if !booked { // whoever is refused has no place in the queue, so they come back one by one
		return &held{until: d.Broker.Now().Add(after + rand.N(after+rate.Interval())), why: limited}
	}
	d.vacate()
	wait(d.taking, after)
	if d.taking.Err() != nil {
		return errHandedOver
	}
	return nil
}

// leaveAlone keeps everything of an installation from a platform that limits
// it as a whole and has asked for a pause.
func (d *delivery) leaveAlone(rate handlers.Rate, until time.Time) {
	if rate.Interval() == 0 || !d.sends() {
		return
	}
	if err := d.rates.Postpone(d.running, d.place.Installation, until); err != nil {
		d.log().WithError(err).Debug("the others do not know that the platform asked for a pause")
	}
}

// errDown is told to whoever calls an action of a platform that does not work.
var errDown = errors.New("the platform does not answer at the moment: try again later")

// standBy waits until a platform may be asked again. The caller of an action is
// told at once.
func (d *delivery) standBy(installation string, circuit pace.Decision) error {
	if d.operation == events.ActionTriggered {
		return errDown
	}
	d.watchCircuit(installation)
	if circuit.Until.Sub(d.Broker.Now()) > parkAfter || d.crowded() {
		return &held{why: blocked}
	}
	timer := time.NewTimer(circuit.Until.Sub(d.Broker.Now()))
	defer timer.Stop()
	select {
	case <-d.taking.Done():
		return errHandedOver
	case <-circuit.Changed:
	case <-timer.C:
	}
	return errAgain
}

// errAgain asks to begin anew with the delivery, whose attempt was not made.
var errAgain = errors.New("the platform may be asked again")

// watchCircuit looks again at what waits for a platform, until that works.
func (w *Worker) watchCircuit(installation string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.circuits[installation] {
		return
	}
	w.circuits[installation] = true
	w.finishing.Go(func() {
		for w.circuitStays(installation) {
			w.unblock()
		}
		w.unblock()
	})
}

// circuitStays waits for news of a circuit and reports whether it is still not
// closed.
func (w *Worker) circuitStays(installation string) bool {
	w.mu.Lock()
	state, changed := w.breaker.Standing(installation)
	if state == pace.Closed { // whoever finds it open from now on watches anew
		delete(w.circuits, installation)
	}
	w.mu.Unlock()
	if state == pace.Closed {
		return false
	}
	timer := time.NewTimer(lookEvery)
	defer timer.Stop()
	select {
	case <-w.stopping:
		return false
	case <-changed:
	case <-timer.C:
	}
	return true
}

// failing tells how the platform stands that a queue's deliveries need.
func (w *Worker) failing(place broker.Place) pace.State {
	if place.Queue != broker.Commands {
		return pace.Closed
	}
	state, _ := w.breaker.Standing(place.Installation)
	return state
}

// sends tells an operation that is there to reach the platform. Others may, and
// tell what they found, but do not wait for it.
func (d *delivery) sends() bool {
	switch d.operation {
	case events.MessageCreated, events.ActionTriggered, events.MessageUpdated, events.ConversationUpdated:
		return true
	default:
		return false
	}
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

// rests tells an installation for which nothing at all is done at the moment.
func (w *Worker) rests(installation string) bool {
	i, ok := w.Directory.Installation(installation)
	return ok && (i.Disabled || i.Paused != nil)
}

// blocks tells whether there is no use in trying what waits at a place.
func (w *Worker) blocks(place broker.Place) bool {
	return w.rests(place.Installation) || w.failing(place) == pace.Open
}

// tooLate tells whether nobody would hear of an action's output any more.
func (d *delivery) tooLate() bool {
	return d.operation == events.ActionTriggered && d.Broker.Now().Sub(d.message.Stored) > store.ActionTimeout
}
