package store_test

import (
	"bytes"
	"context"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sirupsen/logrus"

	"github.com/towpath/towpath/internal/broker"
	"github.com/towpath/towpath/internal/broker/embedded"
	"github.com/towpath/towpath/internal/store"
)

func contains(s, part string) bool { return strings.Contains(s, part) }

// eventually waits until a condition holds, for as long as the Directory may
// take and a slow machine on top.
func eventually(t *testing.T, what string, within time.Duration, holds func() bool) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	late := time.After(within)
	for !holds() {
		select {
		case <-tick.C:
		case <-late:
			t.Fatalf("%s: not within %s", what, within)
		}
	}
}

func run(t *testing.T, b *broker.Broker, logger *logrus.Logger) *store.Directory {
	t.Helper()
	d := store.NewDirectory(b, logger)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = d.Run(ctx)
	}()
	t.Cleanup(func() { cancel(); <-done })
	return d
}

func TestTheDirectoryShowsChangesWithinASecond(t *testing.T) {
	t.Parallel()
	s, _, opened := installed(t)
	d := run(t, s.connect(), quiet())
	eventually(t, "ready", 10*time.Second, d.Ready)

	if i, ok := d.Installation(webhook); !ok || i.Alias != "slack" {
		t.Errorf("by webhook id: %+v %t", i, ok)
	}
	if i, ok := d.ByAlias(demo, "other"); !ok || i.WebhookID != "webhook_demo_other" {
		t.Errorf("by alias: %+v %t", i, ok)
	}
	if bot, ok := d.Authenticate("the-demo-bots-token"); !ok || bot.ID != demo {
		t.Errorf("by token: %+v %t", bot, ok)
	}
	for _, wrong := range []string{"", "the-demo-bots-toke", "the-demo-bots-token "} {
		if _, ok := d.Authenticate(wrong); ok {
			t.Errorf("token %q is taken", wrong)
		}
	}
	if list := d.List(); len(list) != 2 || list[0].Alias != "other" {
		t.Errorf("list: %+v", list)
	}

	changed := desired()
	changed.Bots[0].Token = "another-token-of-demo"
	changed.Installations = changed.Installations[:1]
	changed.Installations[0].Disabled = true
	must[store.Changes](t)(opened.Apply(t.Context(), changed, nil))
	eventually(t, "the change", time.Second, func() bool {
		_, stays := d.Installation("webhook_demo_other")
		_, named := d.ByAlias(demo, "other")
		_, old := d.Authenticate("the-demo-bots-token")
		i, _ := d.Installation(webhook)
		return !stays && !named && !old && i.Disabled
	})
	must[store.Changes](t)(opened.Apply(t.Context(), store.Desired{}, nil))
	eventually(t, "the removal", time.Second, func() bool {
		_, ok := d.Bot(demo)
		return !ok
	})
	if list := d.List(); len(list) != 2 {
		t.Errorf("those that are leaving are listed: %+v", list)
	}
}

// lockedBuffer takes a logger's lines.
type lockedBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

// Write implements io.Writer.
func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}

func TestTheDirectoryComesBackByItself(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	listen := "127.0.0.1:0"
	nats, err := embedded.Start(embedded.Config{Dir: dir, Listen: listen})
	if err != nil {
		t.Fatal(err)
	}
	address := strings.TrimPrefix(nats.ClientURL(), "nats://")
	connect := func() *broker.Broker {
		b := must[*broker.Broker](t)(broker.Connect(broker.Config{URL: "nats://" + address, Name: t.Name(), Logger: quiet()}))
		t.Cleanup(b.Close)
		return b
	}
	b := connect()
	log := &lockedBuffer{}
	logger := logrus.New()
	logger.SetOutput(log)
	d := run(t, b, logger)
	eventually(t, "one line about what is missing", 10*time.Second, func() bool { return contains(log.String(), "goes on with what it knows") })
	if d.Ready() {
		t.Error("ready before anything is known")
	}
	if err := b.Provision(t.Context(), broker.Topology{Partitions: 2}); err != nil {
		t.Fatal(err)
	}
	opened := must[*store.Store](t)(store.Open(t.Context(), b))
	must[store.Changes](t)(opened.Apply(t.Context(), desired(), nil))
	eventually(t, "ready", 20*time.Second, func() bool {
		_, ok := d.Installation(webhook)
		return d.Ready() && ok
	})

	nats.Stop()
	eventually(t, "the loss", 20*time.Second, func() bool { return !b.Connected() })
	if _, ok := d.Installation(webhook); !ok || !d.Ready() {
		t.Error("the Directory forgot what it knew")
	}
	if nats, err = embedded.Start(embedded.Config{Dir: dir, Listen: address}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nats.Stop)
	// Changed by somebody whose connection came first.
	second := connect()
	if err := second.WaitReady(t.Context()); err != nil {
		t.Fatal(err)
	}
	d2 := desired()
	d2.Installations = d2.Installations[:1]
	must[store.Changes](t)(must[*store.Store](t)(store.Open(t.Context(), second)).Apply(t.Context(), d2, nil))
	eventually(t, "the change after the outage", 5*time.Second, func() bool {
		_, ok := d.Installation("webhook_demo_other")
		return !ok
	})
	for _, line := range []string{"goes on with what it knows", "is up to date again"} {
		if n := strings.Count(log.String(), line); n > 4 {
			t.Errorf("%q is logged %d times:\n%s", line, n, log)
		}
	}
}
