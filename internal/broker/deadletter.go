package broker

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/towpath/towpath/pkg/events"
)

// DeadLetter is the data of a message of DEADLETTERS: a delivery that was
// given up, whole, with what went wrong, ready to be sent again.
type DeadLetter struct {
	Delivery  string           `json:"delivery"`
	Operation events.Operation `json:"operation,omitempty"`
	// Installation is its webhook id; of an event that a bot gave up, the bot.
	Installation string `json:"installation"`
	// Subscription is which reading of its events a bot gave one up in.
	Subscription string              `json:"subscription,omitempty"`
	Reason       string              `json:"reason"` // fit to be shown to the bot's owner
	Attempts     int                 `json:"attempts"`
	Errors       []Failure           `json:"errors,omitempty"`
	Stream       Stream              `json:"stream"`
	Subject      string              `json:"subject"`
	Seq          uint64              `json:"seq"`
	Stored       time.Time           `json:"stored"`
	Header       map[string][]string `json:"header"`
	// Body is left out when the letter would be too large; it is in the stream
	// under Seq.
	Body []byte `json:"body,omitempty"`
}

// Failure is one failed attempt.
type Failure struct {
	Attempt int       `json:"attempt"`
	At      time.Time `json:"at"`
	Worker  string    `json:"worker"`
	Error   string    `json:"error"`
}

const (
	// DeadLetterType is the ce-type of a dead letter.
	DeadLetterType = "towpath.dead_letter"
	// letterRoom is what a letter's own headers may take, in bytes.
	letterRoom = 64 << 10
)

// Bury stores a message as a dead letter; what the letter does not say yet is
// taken from the message. The letter's id comes from the message's place and
// from whoever gives it up, so that one who dies right after this stores the
// same letter again and not a second one.
func (b *Broker) Bury(ctx context.Context, m Message, letter DeadLetter, by string) error {
	letter.Stream, letter.Subject, letter.Seq, letter.Stored = m.Stream, m.Subject, m.Seq, m.Stored
	letter.Header, letter.Body = m.Header, m.Data
	trace := ""
	if e, err := m.Event(); err == nil {
		letter.Delivery, trace = e.ID(), events.TraceParentOf(e)
	}
	data, err := json.Marshal(letter)
	if err == nil && len(data) > b.MaxPayload()-letterRoom {
		letter.Body = nil
		data, err = json.Marshal(letter)
	}
	if err != nil {
		return fmt.Errorf("encode dead letter: %w", err)
	}
	id := events.EffectID("dead", m.Stored, fmt.Sprintf("%s:%s:%d", by, m.Stream, m.Seq))
	source := "/webhooks/"
	if letter.Operation == EventReceived {
		source = "/bots/"
	}
	e := events.New(id, source+letter.Installation, DeadLetterType, letter.Delivery, time.Now(), data)
	if trace != "" {
		e.SetExtension("traceparent", trace)
	}
	_, err = b.publish(ctx, DeadLetters, DeadLetters.prefix()+"."+Key(letter.Installation, string(letter.Operation)), e)
	return err
}

// Letter is a dead letter as it is stored.
type Letter struct {
	ID     string    // "dead_…"; a delivery may have several letters
	Buried time.Time // by NATS's clock
	Place  uint64    // its sequence in DEADLETTERS
	DeadLetter
}

// Letter reads a message of DEADLETTERS. One that cannot be read says so as
// its reason, so that it is seen and can be dropped.
func (m Message) Letter() Letter {
	letter := Letter{Buried: m.Stored, Place: m.Seq}
	e, err := m.Event()
	if err == nil {
		letter.ID = e.ID()
		err = json.Unmarshal(m.Data, &letter.DeadLetter)
	}
	if err != nil {
		letter.DeadLetter = DeadLetter{Reason: fmt.Sprintf("the letter cannot be read: %v", err)}
	}
	letter.Header = withoutNATS(letter.Header)
	return letter
}

// LetterSubject is the subject of the dead letters of an installation, or of a
// bot, and of an operation; empty ones stand for all.
func LetterSubject(installation string, operation events.Operation) string {
	token := func(s string) string {
		if s == "" {
			return "*"
		}
		return Token(s)
	}
	return DeadLetters.prefix() + "." + token(installation) + "." + token(string(operation))
}

// Keyed tells whether what a letter is of has the ordering key; of an event, or
// of what a bot sends, that is the conversation.
func (l Letter) Keyed(key string) bool {
	if key == "" {
		return false
	}
	if l.Stream != Events {
		return Lane(l.Subject).token(3) == keyToken(key, "")
	}
	e, err := events.Decode(l.Header, nil)
	return err == nil && e.Subject() == key
}

const (
	// RetryOf is the CloudEvent attribute of a delivery that was dead, and is
	// sent again: the letter's id. Such a delivery runs although it is
	// remembered as dead, and two with the same letter are one.
	RetryOf = "retryof"
	// OnlyFor is the CloudEvent attribute of an event that one subscription
	// alone is to see again: which.
	OnlyFor = "onlyfor"
	// Replayed is the CloudEvent attribute of a delivery that was made from
	// another one, to run it again for real: the run.
	Replayed = "replayed"
)

// ErrLost means that what a letter is of cannot be sent again, ever.
var ErrLost = errors.New("it is lost")

// Whole returns the letter with the body, which stands in the stream if it was
// too large for the letter. The error is [ErrLost] when it is there no longer.
func (b *Broker) Whole(ctx context.Context, letter Letter) (Letter, error) {
	if len(letter.Body) > 0 || letter.Stream == "" {
		return letter, nil
	}
	original, err := b.Get(ctx, letter.Stream, letter.Seq)
	switch {
	case errors.Is(err, ErrNoMessage), err == nil && (original.Subject != letter.Subject || !original.Stored.Equal(letter.Stored)):
		return letter, fmt.Errorf("%w: its body was too large for the letter, and %s holds the original (%d) no longer", ErrLost, letter.Stream, letter.Seq)
	case err != nil:
		return letter, err
	}
	letter.Body = original.Data
	return letter, nil
}

// Resend stores what a letter is of once more, at the end of the queue or the
// events that it came from, under its own id. A letter that is sent again
// twice within the duplicate window is stored once. The letter stays. The
// error is [ErrLost] when there is nothing to send.
func (b *Broker) Resend(ctx context.Context, letter Letter) (Receipt, error) {
	subject := letter.Subject
	switch lane := Lane(subject); {
	case letter.Stream == Events:
	case (letter.Stream == Webhooks || letter.Stream == Commands) && lane.token(3) != "":
		subject = letter.Stream.prefix() + ".in." + lane.token(2) + "." + lane.token(3)
	default:
		return Receipt{}, fmt.Errorf("%w: the letter does not tell where it came from", ErrLost)
	}
	letter, err := b.Whole(ctx, letter)
	if err != nil {
		return Receipt{}, err
	}
	// Not encoded anew: what could not be decoded then is sent as it was.
	header := withoutNATS(letter.Header)
	header["ce-"+RetryOf] = []string{letter.ID}
	if letter.Subscription != "" {
		header["ce-"+OnlyFor] = []string{letter.Subscription}
	}
	return b.put(ctx, letter.Stream, &nats.Msg{Subject: subject, Header: header, Data: letter.Body}, "retry:"+letter.ID)
}

// Letter returns the dead letter at a place, or [ErrNoMessage].
func (b *Broker) Letter(ctx context.Context, place uint64) (Letter, error) {
	message, err := b.Get(ctx, DeadLetters, place)
	if err != nil {
		return Letter{}, err
	}
	return message.Letter(), nil
}

// DropLetter removes the dead letter at a place for ever. That it is gone
// already is no error.
func (b *Broker) DropLetter(ctx context.Context, place uint64) error {
	handle, err := b.handle(ctx, DeadLetters)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, b.timeout)
	defer cancel()
	err = handle.DeleteMsg(ctx, place)
	if err == nil {
		return nil
	}
	if _, gone := b.Letter(ctx, place); errors.Is(gone, ErrNoMessage) {
		return nil
	}
	return fmt.Errorf("remove dead letter: %w", mapError(err))
}
