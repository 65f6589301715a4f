package replay

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"iter"
	"slices"
	"strings"
	"time"

	"github.com/cloudevents/sdk-go/v2/event"

	"github.com/towpath/towpath/internal/broker"
	"github.com/towpath/towpath/internal/store"
	"github.com/towpath/towpath/pkg/events"
)

// Selection selects what streams hold. Zero fields select all.
type Selection struct {
	// IDs are of messages, or what platforms call webhooks.
	IDs          []string
	Since, Until time.Time // when it was stored; Until is nothing that a follower heeds
	Of           []Party
	// Type is an operation, or an event's type with or without the alias.
	Type string
	// Keys are ordering keys or conversations, of which one has to fit.
	Keys     []string
	Contains string // a part of the body

	trace string // a trace id
}

// Party is whom something is for or comes from. Empty fields stand for all.
type Party struct{ Webhook, Bot, Alias string }

// Entry is one message of a stream, read as far as it can be.
type Entry struct {
	broker.Message
	// Event is the zero value if the message is no CloudEvent.
	Event     event.Event
	Operation events.Operation // empty of what a bot is told
}

// entryOf reads a message.
func entryOf(m broker.Message) Entry {
	entry := Entry{Message: m}
	entry.Event, _ = m.Event()
	if m.Stream != broker.Events {
		entry.Operation, _ = events.OperationOf(entry.Event.Type())
	}
	return entry
}

// Webhook is the webhook id of the installation that work is for.
func (e Entry) Webhook() string {
	if e.Stream == broker.Events {
		return ""
	}
	return e.Lane().Installation()
}

// Newest yields the selected messages of the streams that are stored now, the
// newest first, without holding more of them than a chunk. An error is the last
// thing that it yields.
func (s Selection) Newest(ctx context.Context, b *broker.Broker, streams ...broker.Stream) iter.Seq2[Entry, error] {
	if len(streams) > 1 {
		return newestOf(s.Newest(ctx, b, streams[0]), s.Newest(ctx, b, streams[1:]...))
	}
	return func(yield func(Entry, error) bool) {
		reading, fits := s.subjects(streams[0])
		if len(reading) == 0 {
			return
		}
		for m, err := range b.Newest(ctx, streams[0], broker.Range{Since: s.Since, Until: s.Until, Subjects: reading}) {
			if err != nil {
				yield(Entry{}, err)
				return
			}
			if entry := entryOf(m); fits(m.Subject) && s.match(entry) && !yield(entry, nil) {
				return
			}
		}
	}
}

// newestOf merges two sequences by when their entries were stored.
func newestOf(a, b iter.Seq2[Entry, error]) iter.Seq2[Entry, error] {
	return func(yield func(Entry, error) bool) {
		nextOfB, stop := iter.Pull2(b)
		defer stop()
		second, failed, more := nextOfB()
		// until yields what b has that is newer than a time.
		until := func(at time.Time) (goOn bool) {
			for more && (failed != nil || second.Stored.After(at)) {
				if !yield(second, failed) || failed != nil {
					return false
				}
				second, failed, more = nextOfB()
			}
			return true
		}
		for first, err := range a {
			if err == nil && !until(first.Stored) {
				return
			}
			if !yield(first, err) {
				return
			}
		}
		until(time.Time{})
	}
}

// Follow hands over the selected messages that are stored from now on, until
// ctx ends or visit returns an error.
func (s Selection) Follow(ctx context.Context, b *broker.Broker, stream broker.Stream, visit func(Entry) error) error {
	reading, fits := s.subjects(stream)
	last, err := b.LastSeq(ctx, stream)
	if err != nil {
		return err
	}
	if len(reading) == 0 {
		<-ctx.Done()
		return context.Cause(ctx)
	}
	return b.Follow(ctx, stream, broker.Range{After: last, Subjects: disjoint(reading)}, func(m broker.Message) error {
		if entry := entryOf(m); fits(m.Subject) && s.match(entry) {
			return visit(entry)
		}
		return nil
	})
}

// maxSubjects bounds how many requests reading a chunk takes.
const maxSubjects = 16

// subjects are what of a stream has to be read, and tell what of that is meant.
func (s Selection) subjects(stream broker.Stream) (reading []string, fits func(string) bool) {
	prefix := strings.ToLower(string(stream)) + "."
	var meant []string
	for _, of := range s.parties() {
		switch {
		case stream == broker.Events && (of.Webhook == "" || of.Bot != "" || of.Alias != ""):
			name := s.Type
			if _, own, ok := strings.Cut(name, ":"); ok {
				name = own
			}
			meant = append(meant, prefix+token(of.Bot)+"."+token(of.Alias)+"."+token(name))
		case stream != broker.Events && (of.Webhook != "" || of == Party{}):
			for _, key := range s.keys() {
				meant = append(meant, prefix+"*."+token(of.Webhook)+"."+key)
			}
		}
	}
	fits = func(string) bool { return true }
	if len(meant) > maxSubjects {
		all := meant
		fits = func(subject string) bool {
			return slices.ContainsFunc(all, func(pattern string) bool { return covers(pattern, subject) })
		}
		meant = []string{prefix + ">"}
	}
	return meant, fits
}

func (s Selection) parties() []Party {
	if s.Of == nil {
		return []Party{{}}
	}
	return s.Of
}

// keys are what stands for the ordering keys in subjects.
func (s Selection) keys() []string {
	if len(s.Keys) == 0 {
		return []string{"*"}
	}
	tokens := make([]string, len(s.Keys))
	for i, key := range s.Keys {
		tokens[i] = broker.KeyToken(key)
	}
	return tokens
}

// token is a subject's token, or any when there is nothing to be one.
func token(of string) string {
	if of == "" {
		return "*"
	}
	return broker.Token(of)
}

// covers tells whether a subject fits a pattern, or one pattern all that
// another does.
func covers(pattern, subject string) bool {
	of, tokens := strings.Split(pattern, "."), strings.Split(subject, ".")
	for i, want := range of {
		if want == ">" {
			return len(tokens) > i
		}
		if i >= len(tokens) || want != "*" && want != tokens[i] {
			return false
		}
	}
	return len(of) == len(tokens)
}

// disjoint leaves out what another subject holds. Those of one selection have
// their wildcards at the same places or hold one another.
func disjoint(subjects []string) []string {
	var kept []string
	for i, subject := range subjects {
		held := slices.ContainsFunc(subjects[:i], func(s string) bool { return covers(s, subject) }) ||
			slices.ContainsFunc(subjects[i+1:], func(s string) bool { return s != subject && covers(s, subject) })
		if !held {
			kept = append(kept, subject)
		}
	}
	return kept
}

func (s Selection) match(e Entry) bool {
	if len(s.IDs) > 0 && !slices.ContainsFunc(s.IDs, e.called) {
		return false
	}
	if s.trace != "" && s.trace != e.TraceID() {
		return false
	}
	if s.Type != "" && s.Type != e.TypeName() && !strings.HasSuffix(e.TypeName(), ":"+s.Type) {
		return false
	}
	if e.Stream == broker.Events && len(s.Keys) > 0 && !slices.Contains(s.Keys, e.Event.Subject()) {
		return false
	}
	return s.Contains == "" || bytes.Contains(e.searched(), []byte(s.Contains))
}

// called tells whether an id is the message's own, or what the platform calls
// it, be it without the place that makes that unique. Nothing is called "", which
// is what most messages have for the platform's id.
func (e Entry) called(id string) bool {
	return id != "" && (id == e.Event.ID() || id == e.ProviderID() || strings.HasSuffix(e.ProviderID(), ":"+id))
}

// TypeName is the type as people call it: an operation, or a bot's event.
func (e Entry) TypeName() string {
	if e.Operation != "" {
		return string(e.Operation)
	}
	return e.Event.Type()
}

// ProviderID is what the platform calls a webhook; empty of everything else.
func (e Entry) ProviderID() string { return events.Extension(e.Event, "providerid") }

// Cause is the id of the delivery or the event that it follows from, where
// that is known.
func (e Entry) Cause() string { return events.Extension(e.Event, "delivery") }

// TraceID is the id of the thread that it belongs to. What follows from nothing
// begins one, whose id comes from its own.
func (e Entry) TraceID() string {
	if id := events.TraceID(events.TraceParentOf(e.Event)); id != "" || e.Event.ID() == "" {
		return id
	}
	return events.TraceID(events.TraceParent(e.Event.ID(), 0))
}

// Request is a webhook's request without what is secret, or nil.
func (e Entry) Request() *events.Request {
	var webhook events.Webhook
	if e.Operation != events.WebhookReceived || json.Unmarshal(e.Data, &webhook) != nil || webhook.Req == nil {
		return nil
	}
	return redacted(webhook.Req)
}

// redacted leaves out what a request's headers and its query hold of secrets.
func redacted(r *events.Request) *events.Request {
	shown := r.Redacted()
	pairs := strings.Split(shown.Query, "&")
	for i, pair := range pairs {
		if name, _, ok := strings.Cut(pair, "="); ok && events.SecretHeader(name) {
			pairs[i] = name + "=[secret]"
		}
	}
	shown.Query = strings.Join(pairs, "&")
	return shown
}

func (e Entry) searched() []byte {
	if r := e.Request(); r != nil {
		return r.Body
	}
	return e.Data
}

// Body returns what of an operation's data may be shown to people, or an error
// that says why there is nothing. A request is stored with its secret headers
// when its handler verifies it, so what cannot be read is not shown. What a bot
// is told has no operation, and is shown when told is set.
func Body(operation events.Operation, told bool, data []byte) (json.RawMessage, error) {
	entry := Entry{Message: broker.Message{Data: data}, Operation: operation}
	switch {
	case operation == events.WebhookReceived:
		if r := entry.Request(); r != nil {
			return json.Marshal(events.Webhook{Req: r})
		}
	case (operation != "" || told) && json.Valid(data):
		return data, nil
	}
	return nil, fmt.Errorf("its %d bytes are not shown: they cannot be read, so nobody can tell what in them is secret", len(data))
}

// Parties are the installations that are meant by a bot, an alias or webhook
// id, and a platform, each of which may be empty. What is not installed any
// more is known by its webhook id or alias alone. They are nil when nothing is
// given, and empty when nothing fits.
func Parties(installed []store.Installation, bot, installation, platform string) []Party {
	if bot == "" && installation == "" && platform == "" {
		return nil
	}
	parties := []Party{}
	for _, i := range installed {
		if (bot == "" || bot == i.BotID) && (platform == "" || platform == i.Integration) &&
			(installation == "" || installation == i.Alias || installation == i.WebhookID) {
			parties = append(parties, Party{Webhook: i.WebhookID, Bot: i.BotID, Alias: i.Alias})
		}
	}
	switch known := slices.ContainsFunc(installed, func(i store.Installation) bool {
		return installation == i.Alias || installation == i.WebhookID
	}); {
	case platform != "":
	case installation == "":
		parties = append(parties, Party{Bot: bot})
	case !known && bot == "":
		parties = append(parties, Party{Webhook: installation}, Party{Alias: installation})
	case !known:
		parties = append(parties, Party{Bot: bot, Alias: installation})
	}
	return parties
}
