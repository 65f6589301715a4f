package broker

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/towpath/towpath/pkg/events"
)

// LogLine is a line that an integration wrote for its bot's owner.
type LogLine struct {
	Time     time.Time `json:"time"`
	Level    string    `json:"level"`
	Message  string    `json:"message"`
	Bot      string    `json:"bot"`
	Alias    string    `json:"alias"`
	Delivery string    `json:"delivery,omitempty"`
	Attempt  int       `json:"attempt,omitempty"`
	Error    string    `json:"error,omitempty"`
}

const logType = "towpath.log"

// Log keeps a line for a week, or for less when there are very many. It waits
// for nobody: a line may get lost while NATS is away, a delivery never waits
// for its log.
func (b *Broker) Log(line LogLine) error {
	data, err := json.Marshal(line)
	if err != nil {
		return err
	}
	header, data, err := events.Encode(events.New(events.NewID("log"), "/bots/"+line.Bot, logType, line.Delivery, line.Time, data))
	if err != nil {
		return err
	}
	return mapError(b.conn.PublishMsg(&nats.Msg{Subject: Logs.prefix() + "." + Key(line.Bot, line.Alias), Header: header, Data: data}))
}

// RecordingType is the ce-type of what is kept of an attempt.
const RecordingType = "towpath.recording"

// RecordingSubject is under which the recordings of an installation's
// deliveries are, or of one of them.
func RecordingSubject(installation, delivery string) string {
	if delivery == "" {
		return Recordings.prefix() + "." + Key(installation) + ".*"
	}
	return Recordings.prefix() + "." + Key(installation, delivery)
}

// Record keeps what an attempt at a delivery asked for and was told, for a week
// or for less when there is very much. Like [Broker.Log] it waits for nobody.
func (b *Broker) Record(installation, delivery, traceParent string, at time.Time, data []byte) error {
	e := events.New(events.NewID("rec"), "/webhooks/"+installation, RecordingType, delivery, at, data)
	if traceParent != "" {
		e.SetExtension("traceparent", traceParent)
	}
	header, data, err := events.Encode(e)
	if err != nil {
		return err
	}
	return mapError(b.conn.PublishMsg(&nats.Msg{Subject: RecordingSubject(installation, delivery), Header: header, Data: data}))
}

// errAllRead ends a reading at what was the newest message when it began.
var errAllRead = errors.New("all is read")

// ReadLogs hands over a bot's lines since a time, oldest first, and, when
// follow is set, each new one until ctx ends. An empty alias selects all.
func (b *Broker) ReadLogs(ctx context.Context, bot, alias string, since time.Time, follow bool, visit func(LogLine) error) error {
	subject := Logs.prefix() + "." + Key(bot) + ".*"
	if alias != "" {
		subject = Logs.prefix() + "." + Key(bot, alias)
	}
	last, err := b.lastOf(ctx, Logs, subject)
	// Nothing would ever come that ends the reading.
	if err != nil || !follow && (last.Sequence == 0 || last.Time.Before(since)) {
		return err
	}
	err = b.Follow(ctx, Logs, Range{Since: since, Subjects: []string{subject}}, func(m Message) error {
		var line LogLine
		if err := json.Unmarshal(m.Data, &line); err == nil && !line.Time.Before(since) {
			if err := visit(line); err != nil {
				return err
			}
		}
		if !follow && m.Seq >= last.Sequence {
			return errAllRead
		}
		return nil
	})
	if errors.Is(err, errAllRead) {
		return nil
	}
	return err
}

// lastOf returns the newest message under a subject, one of no time and no
// sequence if there is none.
func (b *Broker) lastOf(ctx context.Context, stream Stream, subject string) (*jetstream.RawStreamMsg, error) {
	none := &jetstream.RawStreamMsg{}
	handle, err := b.handle(ctx, stream)
	if err != nil {
		return none, err
	}
	ctx, cancel := context.WithTimeout(ctx, b.timeout)
	defer cancel()
	raw, err := handle.GetLastMsgForSubject(ctx, subject)
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return none, nil
	}
	if err != nil {
		return none, mapError(err)
	}
	return raw, nil
}
