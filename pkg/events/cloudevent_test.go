package events_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/towpath/towpath/pkg/events"
)

func TestCloudEventTravelsInBinaryMode(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 11, 20, 12, 30, 0, 123_000_000, time.FixedZone("", 3600))
	e := events.New("dlv_1", "/webhooks/w1", events.WebhookReceived.CloudEventType(), `Ärger "100 %"`, at, []byte(`{"a":1}`))
	e.SetExtension("traceparent", events.TraceParent("dlv_1", 1))
	e.SetExtension("providerid", "T1:Ev 1")
	header, data, err := events.Encode(e)
	if err != nil {
		t.Fatal(err)
	}
	want := map[string][]string{
		"ce-specversion": {"1.0"},
		"ce-id":          {"dlv_1"},
		"ce-source":      {"/webhooks/w1"},
		"ce-type":        {"towpath.webhook_received"},
		"ce-subject":     {"%C3%84rger%20%22100%20%25%22"},
		"ce-time":        {"2026-11-20T11:30:00.123Z"},
		"ce-providerid":  {"T1:Ev%201"},
		"content-type":   {"application/json"},
		"traceparent":    {events.TraceParent("dlv_1", 1)},
	}
	if diff := cmp.Diff(want, header); diff != "" {
		t.Fatalf("header (-want +got):\n%s", diff)
	}
	if string(data) != `{"a":1}` {
		t.Fatalf("data %s", data)
	}
	back, err := events.Decode(header, data)
	if err != nil {
		t.Fatal(err)
	}
	if back.Subject() != e.Subject() || !back.Time().Equal(at) || events.Extension(back, "providerid") != "T1:Ev 1" ||
		events.TraceParentOf(back) != events.TraceParentOf(e) {
		t.Fatalf("came back as %s", back)
	}
}

func TestDecodeRefusesWhatIsNoCloudEvent(t *testing.T) {
	t.Parallel()
	valid := func() map[string][]string {
		return map[string][]string{
			"ce-specversion": {"1.0"}, "ce-id": {"1"}, "ce-source": {"/a"}, "ce-type": {"b"}, "content-type": {"application/json"},
		}
	}
	if _, err := events.Decode(valid(), []byte(`{}`)); err != nil {
		t.Fatalf("the valid one: %v", err)
	}
	for name, spoil := range map[string]func(map[string][]string){
		"no header at all":   func(h map[string][]string) { clear(h) },
		"no version":         func(h map[string][]string) { delete(h, "ce-specversion") },
		"another version":    func(h map[string][]string) { h["ce-specversion"] = []string{"0.3"} },
		"no id":              func(h map[string][]string) { delete(h, "ce-id") },
		"empty type":         func(h map[string][]string) { h["ce-type"] = []string{""} },
		"two ids":            func(h map[string][]string) { h["ce-id"] = []string{"1", "2"} },
		"half an escape":     func(h map[string][]string) { h["ce-subject"] = []string{"a%2"} },
		"escape of no UTF-8": func(h map[string][]string) { h["ce-subject"] = []string{"%FF%FE"} },
		"time of day only":   func(h map[string][]string) { h["ce-time"] = []string{"12:00"} },
		"bad attribute name": func(h map[string][]string) { h["ce-a_b"] = []string{"c"} },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			header := valid()
			spoil(header)
			if _, err := events.Decode(header, []byte(`{}`)); !errors.Is(err, events.ErrNotCloudEvent) {
				t.Fatalf("got %v", err)
			}
		})
	}
}

func TestEncodeRefusesAnInvalidEvent(t *testing.T) {
	t.Parallel()
	if _, _, err := events.Encode(events.New("", "/a", "b", "", time.Now(), nil)); err == nil {
		t.Fatal("an event without id was encoded")
	}
}

func FuzzDecode(f *testing.F) {
	f.Add("ce-subject", "a%20b", `{"a":1}`)
	f.Add("ce-time", "2026-11-20T11:30:00Z", ``)
	f.Add("traceparent", "00-0-0-0", `null`)
	f.Add("ce-x1", "%", `{`)
	f.Add("Ce-0", "\x80", ``)
	f.Fuzz(func(t *testing.T, name, value, data string) {
		header := map[string][]string{
			"ce-specversion": {"1.0"}, "ce-id": {"1"}, "ce-source": {"/a"}, "ce-type": {"b"}, name: {value},
		}
		e, err := events.Decode(header, []byte(data))
		if err != nil {
			return
		}
		again, body, err := events.Encode(e)
		if err != nil {
			t.Fatalf("decoded but not encodable: %v", err)
		}
		for name, values := range again {
			if strings.ContainsFunc(values[0], func(r rune) bool { return r <= ' ' || r > '~' }) {
				t.Fatalf("header %s holds %q", name, values[0])
			}
		}
		if back, err := events.Decode(again, body); err != nil || back.Subject() != e.Subject() {
			t.Fatalf("does not come back: %v", err)
		}
	})
}
