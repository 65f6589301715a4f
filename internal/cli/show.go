package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/towpath/towpath/internal/broker"
	"github.com/towpath/towpath/internal/replay"
	"github.com/towpath/towpath/pkg/events"
)

// row is one webhook, delivery or event in a list.
type row struct {
	ID           string        `json:"id"`
	Time         time.Time     `json:"time"` // when it was stored
	Bot          string        `json:"bot,omitempty"`
	Installation string        `json:"installation,omitempty"` // its alias
	WebhookID    string        `json:"webhookId,omitempty"`
	Platform     string        `json:"platform,omitempty"`
	Type         string        `json:"type"`
	Key          string        `json:"key,omitempty"` // the conversation, or what it is ordered by
	Trace        string        `json:"trace,omitempty"`
	Stream       broker.Stream `json:"stream"`
	Seq          uint64        `json:"seq"`

	// Of a webhook.
	ProviderID string `json:"providerId,omitempty"`
	Request    string `json:"request,omitempty"`
	Bytes      int    `json:"bytes,omitempty"`

	// Of a delivery, or the status alone of an event.
	Status    string     `json:"status,omitempty"`
	Attempts  int        `json:"attempts,omitempty"`
	Worker    string     `json:"worker,omitempty"`
	Ended     *time.Time `json:"ended,omitempty"`
	Until     *time.Time `json:"until,omitempty"` // when it is gone on with
	Waits     string     `json:"waits,omitempty"` // for what
	LastError string     `json:"lastError,omitempty"`
	RetryOf   string     `json:"retryOf,omitempty"` // a dead letter

	// Delivery is what an event follows from.
	Delivery string `json:"delivery,omitempty"`
}

// from is the installation, as short as it is known.
func (r row) from() string {
	if r.Installation != "" {
		return r.Installation
	}
	return r.WebhookID
}

// why says what a delivery waits for, and what went wrong last.
func (r row) why() string {
	var why []string
	if r.Waits != "" {
		why = append(why, r.Waits)
	}
	if r.Until != nil && !r.Until.IsZero() {
		why = append(why, "until "+local(*r.Until))
	}
	if r.LastError != "" {
		why = append(why, r.LastError)
	}
	return strings.Join(why, "; ")
}

func entryRow(r *replay.Reader, e replay.Entry) row {
	one := row{
		ID: e.Event.ID(), Time: e.Stored, Type: e.TypeName(), Key: e.Event.Subject(), Trace: e.TraceID(), Stream: e.Stream, Seq: e.Seq,
		ProviderID: e.ProviderID(), RetryOf: events.Extension(e.Event, broker.RetryOf),
	}
	if webhook := e.Webhook(); webhook != "" {
		i := r.Installation(webhook)
		one.Bot, one.Installation, one.WebhookID, one.Platform = i.BotID, i.Alias, i.WebhookID, i.Integration
	}
	return one
}

func webhookRow(_ context.Context, r *replay.Reader, e replay.Entry) (row, error) {
	one := entryRow(r, e)
	one.Bytes = len(e.Data)
	if request := e.Request(); request != nil {
		one.Bytes = len(request.Body)
		one.Request = strings.TrimSuffix(request.Method+" "+request.Path+"?"+request.Query, "?")
	}
	return one, nil
}

func deliveryRow(r *replay.Reader, w replay.Work) row {
	one := entryRow(r, w.Entry)
	one.Status, one.Attempts, one.Worker = string(w.State), w.Record.Attempts, w.Record.Worker
	one.Waits, one.LastError = w.Why, w.LastError()
	if !w.Until.IsZero() {
		one.Until = &w.Until
	}
	if !w.Record.At.IsZero() {
		one.Ended = &w.Record.At
	}
	return one
}

func eventRow(ctx context.Context, r *replay.Reader, e replay.Entry) (row, error) {
	one := entryRow(r, e)
	one.Bot = strings.TrimPrefix(e.Event.Source(), "/bots/")
	one.Delivery = e.Cause()
	told, err := r.Told(ctx, e)
	if told != nil {
		one.Status = string(told.Status)
		if told.FailureReason != nil {
			one.LastError = *told.FailureReason
		}
	}
	return one, err
}

// rowShown is a row, whole.
type rowShown struct {
	row
	Errors     []broker.Failure  `json:"errors,omitempty"`
	Attributes map[string]string `json:"attributes"`
	Body       json.RawMessage   `json:"body,omitempty"`
	NoBody     string            `json:"noBody,omitempty"` // why
}

func (f showFlags) show(ctx context.Context, p *program, v view) error {
	if err := replay.Named(f.IDs...); err != nil {
		return err
	}
	s, reader, err := f.reader(ctx, p)
	if err != nil {
		return err
	}
	defer s.close()
	for _, id := range f.IDs {
		entry, err := reader.Lookup(ctx, id, v.streams...)
		if err != nil {
			return err
		}
		one := rowShown{Attributes: attributes(entry.Header)}
		if one.row, err = v.row(ctx, reader, entry); err != nil {
			return err
		}
		if entry.Stream != broker.Events {
			work, err := reader.WorkOf(ctx, entry)
			if err != nil {
				return err
			}
			one.Errors = work.Record.Errors
		}
		if one.Body, err = replay.Body(entry.Operation, entry.Stream == broker.Events, entry.Data); err != nil {
			one.NoBody = err.Error()
		}
		if f.JSON {
			err = json.NewEncoder(p.stdout).Encode(one)
		} else {
			err = one.print(p.stdout)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// print shows the row to people.
func (r rowShown) print(out io.Writer) error {
	page := newSheet(r.ID)
	page.field("installation", strings.Join(slices.DeleteFunc([]string{r.Installation, r.WebhookID, r.Platform}, func(s string) bool { return s == "" }), ", "))
	page.field("bot", r.Bot)
	page.field("type", r.Type)
	page.field("key", r.Key)
	page.field("stored", fmt.Sprintf("%s, in %s under %d", precise(r.Time), r.Stream, r.Seq))
	page.field("status", r.Status)
	if r.Ended != nil {
		page.field("ended", precise(*r.Ended))
	}
	if r.Attempts > 0 {
		page.field("attempts", strconv.Itoa(r.Attempts))
		page.field("worker", r.Worker)
	}
	page.field("waits", r.Waits)
	if r.Until != nil {
		page.field("until", precise(*r.Until))
	}
	page.field("last error", r.LastError)
	page.failures(r.Errors)
	page.field("retry of", r.RetryOf)
	page.field("follows from", r.Delivery)
	page.field("trace", r.Trace)
	page.attributes(r.Attributes)
	return page.print(out, r.Body, r.NoBody)
}

// attributes are a message's headers, but for NATS's own and what is secret.
func attributes(header map[string][]string) map[string]string {
	shown := map[string]string{}
	for name, values := range header {
		if !events.SecretHeader(name) && !strings.HasPrefix(strings.ToLower(name), "nats-") {
			shown[name] = strings.Join(values, ", ")
		}
	}
	return shown
}

// sheet shows one thing whole: a line for each field.
type sheet struct{ text strings.Builder }

func newSheet(id string) *sheet {
	s := &sheet{}
	fmt.Fprintln(&s.text, id)
	return s
}

// field adds a line, unless there is nothing to be said.
func (s *sheet) field(name, value string) {
	if value != "" {
		fmt.Fprintf(&s.text, "  %-14s  %s\n", name, oneLine(value))
	}
}

func (s *sheet) failures(all []broker.Failure) {
	for _, e := range all {
		fmt.Fprintf(&s.text, "    %3d  %s  %s  %s\n", e.Attempt, local(e.At), e.Worker, oneLine(e.Error))
	}
}

func (s *sheet) attributes(all map[string]string) {
	for _, name := range slices.Sorted(maps.Keys(all)) {
		s.field(name, all[name])
	}
}

// print writes everything down, and at its end the body, or why there is none.
func (s *sheet) print(out io.Writer, body json.RawMessage, noBody string) error {
	if body == nil {
		s.field("body", noBody)
	} else {
		indented, err := json.MarshalIndent(body, "  ", "  ")
		if err != nil {
			return err
		}
		fmt.Fprintf(&s.text, "  %s\n", indented)
	}
	_, err := fmt.Fprintln(out, s.text.String())
	return err
}

// precise is a time for somebody on this machine, to the millisecond.
func precise(at time.Time) string {
	return at.Local().Format("2006-01-02 15:04:05.000") //nolint:gosmopolitan // read by somebody on this machine
}
