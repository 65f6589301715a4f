package replay_test

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/towpath/towpath/internal/broker"
	"github.com/towpath/towpath/internal/broker/brokertest"
	"github.com/towpath/towpath/internal/replay"
	"github.com/towpath/towpath/pkg/events"
)

// BenchmarkNewest lists the newest 50 events of few and of many: it should take
// about the same. TOWPATH_BENCH_EVENTS makes it more than 20,000.
func BenchmarkNewest(b *testing.B) {
	many, err := strconv.Atoi(os.Getenv("TOWPATH_BENCH_EVENTS"))
	if err != nil {
		many = 20_000
	}
	for _, stored := range []int{1000, many} {
		server := brokertest.Start(b).Connect(b)
		fill(b, server, stored)
		middle, err := server.Get(b.Context(), broker.Events, uint64(stored/2))
		if err != nil {
			b.Fatal(err)
		}
		for name, selection := range map[string]replay.Selection{
			"all":              {},
			"rare type":        {Type: "rare"},
			"up to the middle": {Until: middle.Stored},
			"nobody":           {IDs: []string{"evt_none"}},
			"conversation":     {Keys: []string{"conv_7"}},
		} {
			b.Run(fmt.Sprintf("of=%d/%s", stored, name), func(b *testing.B) {
				for b.Loop() {
					listed := 0
					for _, err := range selection.Newest(b.Context(), server, broker.Events) {
						if err != nil {
							b.Fatal(err)
						}
						if listed++; listed == 50 {
							break
						}
					}
					if listed != 50 && stored >= 20_000 && selection.IDs == nil {
						b.Fatalf("%d are listed", listed)
					}
				}
			})
		}
	}
}

// fill stores events: a hundredth of them of a rare type, in ten conversations.
func fill(tb testing.TB, to *broker.Broker, n int) {
	tb.Helper()
	const writers = 64
	var writing sync.WaitGroup
	for w := range writers {
		writing.Go(func() {
			for i := w; i < n; i += writers {
				typ := "often"
				if i%100 == 0 {
					typ = "rare"
				}
				if err := publish(tb.Context(), to, i, typ); err != nil {
					tb.Error(err)
					return
				}
			}
		})
	}
	writing.Wait()
	if tb.Failed() {
		tb.FailNow()
	}
}

func publish(ctx context.Context, to *broker.Broker, i int, typ string) error {
	e := events.New(fmt.Sprint("evt_", i), "/bots/demo", "slack:"+typ, fmt.Sprint("conv_", i%10), time.Now(), fmt.Appendf(nil, `{"n":%d}`, i))
	_, err := to.PublishEvent(ctx, "demo", "slack", typ, e)
	return err
}
