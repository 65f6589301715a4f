package e2e_test

import (
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/sirupsen/logrus"

	"github.com/towpath/towpath/internal/broker"
	"github.com/towpath/towpath/internal/store"
	"github.com/towpath/towpath/pkg/events"
	"github.com/towpath/towpath/test/system"
)

// What it costs to remember a delivery for seven days: bytes of NATS's memory
// and of its disk for each. TOWPATH_REMEMBERED makes it more than 20,000.
func TestBytesPerRememberedDelivery(t *testing.T) {
	t.Parallel()
	n, err := strconv.Atoi(os.Getenv("TOWPATH_REMEMBERED"))
	if err != nil {
		n = 20_000
	}
	server := system.StartNATS(t, binaries.NATS)
	logger := logrus.New()
	logger.SetOutput(io.Discard)
	b, err := broker.Connect(broker.Config{URL: server.URL, Logger: logger, Timeout: 10 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Close)
	if err := b.WaitConnected(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := b.Provision(t.Context(), broker.Topology{}); err != nil {
		t.Fatal(err)
	}
	s, err := store.Open(t.Context(), b)
	if err != nil {
		t.Fatal(err)
	}
	remember := func(from, to int) {
		var writers sync.WaitGroup
		for w := range 64 {
			writers.Go(func() {
				for i := from + w; i < to; i += 64 {
					id := events.DeliveryID("webhook_demo_slack", fmt.Sprint("Ev", i))
					d := store.Delivery{Worker: "worker-towpath-1-42", Begun: 1, Stream: broker.Webhooks, Seq: uint64(i)}
					if err := s.SaveDelivery(t.Context(), id, &d); err != nil {
						t.Error(err)
						return
					}
					d.Outcome, d.Attempts = store.Finished, 1
					d.End()
					if err := s.SaveDelivery(t.Context(), id, &d); err != nil {
						t.Error(err)
						return
					}
				}
			})
		}
		writers.Wait()
	}
	remember(0, n/4) // what the first ones cost would count caches and buffers too
	memory, disk := resident(t, server), onDisk(t, server)
	remember(n/4, n)
	added := n - n/4
	perMemory, perDisk := (resident(t, server)-memory)/added, (onDisk(t, server)-disk)/added
	t.Logf("remembered=%d memory=%d B each, disk=%d B each", n, perMemory, perDisk)
	if perMemory > 4096 || perDisk > 4096 {
		t.Errorf("remembering a delivery costs %d B of memory and %d B of disk", perMemory, perDisk)
	}
}

var rss = regexp.MustCompile(`VmRSS:\s+(\d+) kB`)

// resident is how much memory a process has, in bytes.
func resident(t *testing.T, n *system.NATS) int {
	t.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", n.PID()))
	if err != nil {
		t.Skip("this system does not tell a process's memory: ", err)
	}
	kilobytes, err := strconv.Atoi(string(rss.FindSubmatch(status)[1]))
	if err != nil {
		t.Fatal(err)
	}
	return kilobytes << 10
}

// onDisk is how much is in a NATS's files, in bytes.
func onDisk(t *testing.T, n *system.NATS) (bytes int) {
	t.Helper()
	err := filepath.WalkDir(n.Dir(), func(_ string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return nil //nolint:nilerr // a file may go while it is looked at
		}
		if info, err := d.Info(); err == nil {
			bytes += int(info.Size())
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return bytes
}
