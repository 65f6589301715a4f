package handlerstest

import (
	"context"
	"fmt"
	"io"
	"os"
	"sync"
	"testing"

	"github.com/sirupsen/logrus"

	"github.com/towpath/towpath/internal/broker"
	"github.com/towpath/towpath/internal/broker/embedded"
	"github.com/towpath/towpath/internal/store"
)

// places is how many kits a town has bots for. To make one more town costs a
// tenth of a second; a town with more bots is slower to install things in.
const places = 32

// town is a store on a NATS of its own. Kits share it, each with its own bot,
// since starting one for each test would take longer than the tests.
type town struct {
	store  *store.Store
	broker *broker.Broker
	server *embedded.Server
	dir    string

	taken, living int // kits
}

var towns struct {
	sync.Mutex
	open *town // that has places left, nil if none
}

// settle finds a place for a kit, for as long as its test runs.
func settle(tb testing.TB) (*store.Store, string) {
	tb.Helper()
	towns.Lock()
	defer towns.Unlock()
	if towns.open == nil {
		found, err := open(tb.Context())
		if err != nil {
			tb.Fatal(err)
		}
		towns.open = found
	}
	t := towns.open
	bot := botID(t.taken)
	t.taken++
	t.living++
	if t.taken == places {
		towns.open = nil
	}
	tb.Cleanup(func() {
		towns.Lock()
		defer towns.Unlock()
		if t.living--; t.living > 0 {
			return
		}
		if towns.open == t {
			towns.open = nil
		}
		t.close()
	})
	return t.store, bot
}

func botID(place int) string { return fmt.Sprintf("bot-%d", place) }

func open(ctx context.Context) (*town, error) {
	dir, err := os.MkdirTemp("", "handlerstest-")
	if err != nil {
		return nil, fmt.Errorf("make a directory for NATS: %w", err)
	}
	t := &town{dir: dir}
	if err := t.open(ctx); err != nil {
		t.close()
		return nil, err
	}
	return t, nil
}

func (t *town) open(ctx context.Context) (err error) {
	if t.server, err = embedded.Start(embedded.Config{Dir: t.dir}); err != nil {
		return err
	}
	silent := logrus.New()
	silent.SetOutput(io.Discard)
	if t.broker, err = broker.Connect(broker.Config{Name: "handlerstest", Logger: silent, InProcess: t.server}); err != nil {
		return err
	}
	if err := t.broker.Provision(ctx, broker.Topology{Partitions: 1}); err != nil {
		return err
	}
	if t.store, err = store.Open(ctx, t.broker); err != nil {
		return err
	}
	desired := store.Desired{WebhookBase: "https://towpath.example/webhooks/"}
	for place := range places {
		desired.Bots = append(desired.Bots, store.BotSpec{ID: botID(place)})
	}
	_, err = t.store.Apply(ctx, desired, nil)
	return err
}

func (t *town) close() {
	if t.broker != nil {
		t.broker.Close()
	}
	if t.server != nil {
		t.server.Stop()
	}
	_ = os.RemoveAll(t.dir) // what is left is in the system's own folder for it
}
