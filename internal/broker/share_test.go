package broker_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/towpath/towpath/internal/broker"
	"github.com/towpath/towpath/internal/broker/brokertest"
)

// board is what workers say they own, checked at every change.
type board struct {
	mu      sync.Mutex
	owners  map[int]string
	clashes int
	changed chan struct{}
}

func newBoard() *board { return &board{owners: map[int]string{}, changed: make(chan struct{}, 1)} }

func (b *board) own(worker string) func(context.Context, int) {
	return func(ctx context.Context, partition int) {
		b.set(partition, worker)
		<-ctx.Done()
		if errors.Is(context.Cause(ctx), broker.ErrReleased) {
			b.set(partition, "")
		}
	}
}

func (b *board) set(partition int, worker string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if worker == "" {
		delete(b.owners, partition)
	} else {
		if other := b.owners[partition]; other != "" && other != "killed" {
			b.clashes++
		}
		b.owners[partition] = worker
	}
	select {
	case b.changed <- struct{}{}:
	default:
	}
}

// waitFor blocks until each named worker owns that many partitions.
func (b *board) waitFor(t *testing.T, want map[string]int) {
	t.Helper()
	limit := time.After(20 * time.Second)
	for {
		got := map[string]int{}
		b.mu.Lock()
		for _, worker := range b.owners {
			got[worker]++
		}
		clashes := b.clashes
		b.mu.Unlock()
		if clashes > 0 {
			t.Fatalf("%d partitions had two owners", clashes)
		}
		if fmt.Sprint(got) == fmt.Sprint(want) {
			return
		}
		select {
		case <-b.changed:
		case <-limit:
			t.Fatalf("ownership is %v, want %v", got, want)
		}
	}
}

func TestPartitionsAreSharedFairlyAndHandedOver(t *testing.T) {
	t.Parallel()
	server := brokertest.Start(t)
	board := newBoard()
	var running sync.WaitGroup
	join := func(name string) (stop context.CancelFunc, connection *broker.Broker) {
		connection = server.Connect(t)
		ctx, cancel := context.WithCancel(t.Context())
		running.Go(func() {
			connection.Share(ctx, broker.Lease{Worker: name, TTL: time.Second}, board.own(name))
		})
		return cancel, connection
	}
	stopA, _ := join("a")
	board.waitFor(t, map[string]int{"a": 4})
	stopB, connB := join("b")
	board.waitFor(t, map[string]int{"a": 2, "b": 2})
	stopC, _ := join("c")
	stopA()
	board.waitFor(t, map[string]int{"b": 2, "c": 2})

	// A worker that is cut off gives up by itself, before others take over.
	board.mu.Lock()
	for partition, worker := range board.owners {
		if worker == "b" {
			board.owners[partition] = "killed"
		}
	}
	board.mu.Unlock()
	connB.Close()
	stopB()
	board.waitFor(t, map[string]int{"c": 4})
	stopC()
	running.Wait()
}
