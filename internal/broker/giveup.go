package broker

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/towpath/towpath/pkg/events"
)

// EventReceived is what a bot's dead letters are of: the bot was handed an
// event.
const EventReceived events.Operation = "event_received"

// letterRoom is what a dead letter's own headers may take, in bytes.
const letterRoom = 64 << 10

// unread is the data of a dead letter that a bot left, in the fields of any
// other: the installation is the bot itself.
type unread struct {
	Delivery     string              `json:"delivery"`
	Operation    events.Operation    `json:"operation"`
	Installation string              `json:"installation"`
	Reason       string              `json:"reason"`
	Attempts     int                 `json:"attempts"`
	Stream       Stream              `json:"stream"`
	Subject      string              `json:"subject"`
	Seq          uint64              `json:"seq"`
	Stored       time.Time           `json:"stored"`
	Header       map[string][]string `json:"header"`
	Body         []byte              `json:"body"`
}

// giveUp stores an event as a dead letter, as often as it takes. It reports
// false when ctx ended first. The letter's id comes from the event's place, so
// that a letter whose ack got lost is not doubled.
func (r *reader) giveUp(ctx context.Context, m Message, attempts int, cause error) bool {
	log := r.broker.logger.WithField("bot", r.bot).WithField("seq", m.Seq)
	for ctx.Err() == nil {
		err := r.bury(ctx, m, attempts, cause)
		if err == nil {
			log.WithError(cause).WithField("attempts", attempts).Error("event given up, it is a dead letter")
			return true
		}
		log.WithError(err).Debug("dead letter cannot be stored yet")
		r.rest(ctx, awayPause)
	}
	return false
}

func (r *reader) bury(ctx context.Context, m Message, attempts int, cause error) error {
	letter := unread{
		Operation: EventReceived, Installation: r.bot, Reason: cause.Error(), Attempts: attempts,
		Stream: m.Stream, Subject: m.Subject, Seq: m.Seq, Stored: m.Stored, Header: m.Header, Body: m.Data,
	}
	trace := ""
	if e, err := m.Event(); err == nil {
		letter.Delivery, trace = e.ID(), events.TraceParentOf(e)
	}
	data, err := json.Marshal(letter)
	if err == nil && len(data) > r.broker.MaxPayload()-letterRoom {
		letter.Body = nil // it can still be read in its place
		data, err = json.Marshal(letter)
	}
	if err != nil {
		return fmt.Errorf("encode dead letter: %w", err)
	}
	id := events.EffectID("dead", m.Stored, fmt.Sprintf("%s:%d", r.key, m.Seq))
	dead := events.New(id, "/bots/"+r.bot, "towpath.dead_letter", letter.Delivery, time.Now(), data)
	if trace != "" {
		dead.SetExtension("traceparent", trace)
	}
	_, err = r.broker.PublishDeadLetter(ctx, r.bot, EventReceived, dead)
	return err
}
