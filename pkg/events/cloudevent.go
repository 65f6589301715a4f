package events

import (
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/cloudevents/sdk-go/v2/event"
)

// A CloudEvent travels in binary mode: each attribute is a header with this
// prefix, the data is the message's payload. datacontenttype and traceparent
// have header names of their own.
const (
	attributePrefix   = "ce-"
	contentTypeHeader = "content-type"
	traceHeader       = "traceparent"
)

// New returns a CloudEvent with JSON data. Source is "/webhooks/<webhookId>"
// or "/bots/<bot>"; subject may be empty.
func New(id, source, typ, subject string, at time.Time, data []byte) event.Event {
	e := event.New(event.CloudEventsVersionV1)
	e.SetID(id)
	e.SetSource(source)
	e.SetType(typ)
	if subject != "" {
		e.SetSubject(subject)
	}
	e.SetTime(at)
	e.SetDataContentType(event.ApplicationJSON)
	e.DataEncoded = data
	return e
}

// Encode maps a CloudEvent to message headers and data in binary mode. It
// fails on an event that is not valid CloudEvents 1.0.
func Encode(e event.Event) (map[string][]string, []byte, error) {
	if err := e.Validate(); err != nil {
		return nil, nil, fmt.Errorf("encode cloudevent: %w", err)
	}
	header := map[string][]string{}
	set := func(name, value string) {
		if value != "" {
			header[name] = []string{escape(value)}
		}
	}
	set(attributePrefix+"specversion", e.SpecVersion())
	set(attributePrefix+"id", e.ID())
	set(attributePrefix+"source", e.Source())
	set(attributePrefix+"type", e.Type())
	set(attributePrefix+"subject", e.Subject())
	set(attributePrefix+"dataschema", e.DataSchema())
	if !e.Time().IsZero() {
		set(attributePrefix+"time", e.Time().UTC().Format(time.RFC3339Nano))
	}
	set(contentTypeHeader, e.DataContentType())
	for name, value := range e.Extensions() {
		if name == traceHeader {
			set(traceHeader, fmt.Sprint(value))
		} else {
			set(attributePrefix+name, fmt.Sprint(value))
		}
	}
	return header, e.Data(), nil
}

// ErrNotCloudEvent is the cause when a message's headers are no CloudEvent.
var ErrNotCloudEvent = errors.New("message is no CloudEvent 1.0")

// Decode reads a CloudEvent out of message headers and data. Unknown ce-
// headers become extensions; other headers are ignored.
func Decode(header map[string][]string, data []byte) (event.Event, error) {
	e := event.New(event.CloudEventsVersionV1)
	fault := func(err error) (event.Event, error) {
		return event.Event{}, fmt.Errorf("%w: %w", ErrNotCloudEvent, err)
	}
	for name, values := range header {
		name = strings.ToLower(name)
		if len(values) != 1 {
			if strings.HasPrefix(name, attributePrefix) {
				return fault(fmt.Errorf("header %s has %d values", name, len(values)))
			}
			continue
		}
		value, err := unescape(values[0])
		if err != nil {
			return fault(fmt.Errorf("header %s: %w", name, err))
		}
		if err := setAttribute(&e, name, value); err != nil {
			return fault(fmt.Errorf("header %s: %w", name, err))
		}
	}
	if header[attributePrefix+"specversion"] == nil {
		return fault(errors.New("header ce-specversion is missing"))
	}
	if len(data) > 0 {
		e.DataEncoded = data
	}
	if err := e.Validate(); err != nil {
		return fault(err)
	}
	return e, nil
}

func setAttribute(e *event.Event, header, value string) error {
	name, isAttribute := strings.CutPrefix(header, attributePrefix)
	switch {
	case header == contentTypeHeader:
		e.SetDataContentType(value)
	case header == traceHeader:
		return e.Context.SetExtension(traceHeader, value)
	case !isAttribute:
	case name == "specversion":
		if value != event.CloudEventsVersionV1 {
			return fmt.Errorf("version %q, want %s", value, event.CloudEventsVersionV1)
		}
	case name == "id":
		return e.Context.SetID(value)
	case name == "source":
		return e.Context.SetSource(value)
	case name == "type":
		return e.Context.SetType(value)
	case name == "subject":
		return e.Context.SetSubject(value)
	case name == "dataschema":
		return e.Context.SetDataSchema(value)
	case name == "time":
		at, err := time.Parse(time.RFC3339Nano, value)
		if err != nil {
			return err
		}
		return e.Context.SetTime(at)
	default:
		return e.Context.SetExtension(name, value)
	}
	return nil
}

// Extension returns a string extension attribute, "" when it is absent.
func Extension(e event.Event, name string) string {
	value, _ := e.Extensions()[name].(string)
	return value
}

// TraceParentOf returns the event's traceparent, "" when it has none.
func TraceParentOf(e event.Event) string { return Extension(e, traceHeader) }

const upperHex = "0123456789ABCDEF"

// escape percent-encodes what the CloudEvents bindings say must be: everything
// but printable ASCII, and the space, the double quote and the percent sign.
func escape(s string) string {
	var b strings.Builder
	for i := range len(s) {
		if c := s[i]; c > ' ' && c < 0x7f && c != '"' && c != '%' {
			b.WriteByte(c)
		} else {
			b.Write([]byte{'%', upperHex[c>>4], upperHex[c&15]})
		}
	}
	return b.String()
}

func unescape(s string) (string, error) {
	if !strings.Contains(s, "%") && utf8.ValidString(s) {
		return s, nil
	}
	out := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		if s[i] != '%' {
			out = append(out, s[i])
			continue
		}
		if i+2 >= len(s) {
			return "", errors.New("percent sign without two digits")
		}
		high, low := hexDigit(s[i+1]), hexDigit(s[i+2])
		if high < 0 || low < 0 {
			return "", errors.New("percent sign without two digits")
		}
		out = append(out, byte(high<<4|low))
		i += 2
	}
	if !utf8.Valid(out) {
		return "", errors.New("not UTF-8")
	}
	return string(out), nil
}

func hexDigit(c byte) int {
	switch {
	case c >= '0' && c <= '9':
		return int(c - '0')
	case c >= 'a' && c <= 'f':
		return int(c-'a') + 10
	case c >= 'A' && c <= 'F':
		return int(c-'A') + 10
	}
	return -1
}
