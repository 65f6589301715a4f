package worker

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/towpath/towpath/internal/broker"
	"github.com/towpath/towpath/pkg/events"
)

// DeadLetter is the data of a message of DEADLETTERS: a delivery that was
// given up, whole, with what went wrong, ready to be sent again.
type DeadLetter struct {
	Delivery     string              `json:"delivery"`
	Operation    events.Operation    `json:"operation,omitempty"`
	Installation string              `json:"installation"`
	Reason       string              `json:"reason"` // fit to be shown to the bot's owner
	Attempts     int                 `json:"attempts"`
	Errors       []failure           `json:"errors,omitempty"`
	Stream       broker.Stream       `json:"stream"`
	Subject      string              `json:"subject"`
	Seq          uint64              `json:"seq"`
	Stored       time.Time           `json:"stored"`
	Header       map[string][]string `json:"header"`
	// Body is left out when the letter would be too large; it is in the stream
	// under Seq.
	Body []byte `json:"body,omitempty"`
}

// headerRoom is what a letter's own headers may take, in bytes.
const headerRoom = 64 << 10

// DeadLetterType is the ce-type of a dead letter.
const DeadLetterType = "towpath.dead_letter"

// bury stores the delivery as a dead letter. The letter's id comes from the
// delivery and its place in the stream, so that a worker that dies right after
// this stores the same letter again and not a second one.
func (d *delivery) bury(reason string) error {
	letter := DeadLetter{
		Delivery: d.event.ID(), Operation: d.operation, Installation: d.message.Lane().Installation(), Reason: reason,
		Stream: d.message.Stream, Subject: d.message.Subject, Seq: d.message.Seq, Stored: d.message.Stored,
		Header: d.message.Header, Body: d.message.Data,
	}
	if d.failed != nil {
		letter.Attempts, letter.Errors = d.failed.Attempts, d.failed.Errors
	}
	data, err := json.Marshal(letter)
	if err == nil && len(data) > d.Broker.MaxPayload()-headerRoom {
		letter.Body = nil
		data, err = json.Marshal(letter)
	}
	if err != nil {
		return fmt.Errorf("encode dead letter: %w", err)
	}
	id := events.EffectID("dead", d.message.Stored, fmt.Sprintf("%s:%s:%d", letter.Delivery, letter.Stream, letter.Seq))
	e := events.New(id, "/webhooks/"+letter.Installation, DeadLetterType, letter.Delivery, time.Now(), data)
	if trace := events.TraceParentOf(d.event); trace != "" {
		e.SetExtension("traceparent", trace)
	}
	if _, err := d.Broker.PublishDeadLetter(d.running, letter.Installation, d.operation, e); err != nil {
		return err
	}
	d.log().WithField("reason", reason).WithField("attempts", letter.Attempts).Error("delivery given up, it is a dead letter")
	return nil
}
