package e2e_test

import (
	"bytes"
	"compress/gzip"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/towpath/towpath/pkg/events"
	"github.com/towpath/towpath/test/system"
)

// collector takes spans as any backend of OpenTelemetry does.
type collector struct {
	mu   sync.Mutex
	sent [][]byte // what came, in OTLP's protobuf
}

// ServeHTTP implements http.Handler.
func (c *collector) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body := io.Reader(r.Body)
	if r.Header.Get("Content-Encoding") == "gzip" {
		unzipped, err := gzip.NewReader(r.Body)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		body = unzipped
	}
	data, err := io.ReadAll(body)
	if err != nil || r.URL.Path != "/v1/traces" {
		http.Error(w, "spans only", http.StatusBadRequest)
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.sent = append(c.sent, data)
}

// missing lists the names that no batch of spans with the trace's id holds.
func (c *collector) missing(trace []byte, names ...string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	var faults []error
	for _, name := range names {
		found := false
		for _, batch := range c.sent {
			found = found || bytes.Contains(batch, trace) && bytes.Contains(batch, []byte(name))
		}
		if !found {
			faults = append(faults, fmt.Errorf("no span %q", name))
		}
	}
	return errors.Join(faults...)
}

var delivery = regexp.MustCompile(`dlv_[0-9A-Z]+`)

// One message from Slack, the bot's answer and its way back are one trace.
func TestAMessagesWayIsOneTrace(t *testing.T) {
	t.Parallel()
	spans := &collector{}
	server := httptest.NewServer(spans)
	t.Cleanup(server.Close)
	d := startDevWith(t, t.TempDir(), []string{"OTEL_EXPORTER_OTLP_ENDPOINT=" + server.URL, "OTEL_BSP_SCHEDULE_DELAY=100"})
	status, out, complaints := d.verb(t, "trigger", "slack", "message", "hello")
	if status != 0 {
		t.Fatalf("trigger: %d %s %s", status, out, complaints)
	}
	trace, err := hex.DecodeString(events.TraceID(events.TraceParent(delivery.FindString(out), 0)))
	if err != nil {
		t.Fatal(err)
	}
	system.Eventually(t, 20*time.Second, "every step's span", func() error {
		return spans.missing(trace, "webhook slack", "webhook_received slack", "client getOrCreateConversation",
			"API createMessage", "message_created slack", "POST "+strings.TrimPrefix(d.Fake, "http://"), "client updateMessage")
	})
}
