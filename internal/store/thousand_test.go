package store_test

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/towpath/towpath/internal/broker/brokertest"
	"github.com/towpath/towpath/internal/store"
)

// A change of one of a thousand installations reaches ingest and workers, each
// of which goes by a Directory of its own, within a second.
func TestAChangeOfOneOfAThousandInstallationsShowsEverywhereWithinASecond(t *testing.T) {
	t.Parallel()
	const installations, changes, processes = 1000, 10, 4
	server := brokertest.Start(t)
	s, err := store.Open(t.Context(), server.Connect(t))
	if err != nil {
		t.Fatal(err)
	}
	configuration := func(n int) json.RawMessage { return json.RawMessage(fmt.Sprintf(`{"secret":"s%d"}`, n)) }
	desired := store.Desired{Bots: []store.BotSpec{{ID: "demo", Token: "the-demo-bots-token"}}}
	for i := range installations {
		desired.Installations = append(desired.Installations, store.InstallationSpec{
			Bot: "demo", Integration: "acme", Alias: fmt.Sprintf("a%d", i), WebhookID: fmt.Sprintf("w%d", i), Configuration: configuration(0),
		})
	}
	if _, err := s.Apply(t.Context(), desired, nil); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	var directories []*store.Directory
	ended := make(chan struct{}, processes)
	for range processes {
		d := store.NewDirectory(server.Connect(t), brokertest.Logger(t))
		directories = append(directories, d)
		go func() {
			_ = d.Run(ctx)
			ended <- struct{}{}
		}()
	}
	defer func() {
		stop()
		for range processes {
			<-ended
		}
	}()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	everywhere := func(webhook string, want json.RawMessage) bool {
		return !slices.ContainsFunc(directories, func(d *store.Directory) bool {
			i, ok := d.Installation(webhook)
			return !ok || string(i.Configuration) != string(want)
		})
	}
	for !everywhere("w999", configuration(0)) {
		<-tick.C
	}
	var took []time.Duration
	for n := range changes {
		spec := desired.Installations[n*installations/changes]
		spec.Configuration = configuration(n + 1)
		if _, err := s.Install(t.Context(), spec, nil); err != nil {
			t.Fatal(err)
		}
		changed := time.Now()
		for !everywhere(spec.WebhookID, spec.Configuration) {
			if time.Since(changed) > 5*time.Second {
				t.Fatalf("change %d does not show", n)
			}
			<-tick.C
		}
		took = append(took, time.Since(changed))
	}
	slices.Sort(took)
	t.Logf("%d changes of %d installations at %d processes: median %s, 90 %% %s, slowest %s",
		changes, installations, processes, took[changes/2], took[changes*9/10], took[changes-1])
	if slowest := took[changes-1]; slowest > time.Second {
		t.Errorf("the slowest change showed after %s", slowest)
	}
}
