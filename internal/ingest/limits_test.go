package ingest_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/towpath/towpath/internal/broker"
	"github.com/towpath/towpath/internal/broker/brokertest"
	"github.com/towpath/towpath/internal/broker/embedded"
	"github.com/towpath/towpath/internal/ingest"
	"github.com/towpath/towpath/internal/ops"
)

func short(deadline time.Duration) func(*ingest.Config) {
	return func(c *ingest.Config) { c.Deadline, c.MaxBody = deadline, 1000 }
}

func TestBodyIsBoundedWithAndWithoutItsLength(t *testing.T) {
	t.Parallel()
	d := newDoor(t, brokertest.Start(t), short(time.Second))
	fits := list(one("a", "", strings.Repeat("x", 900)))
	if len(fits) >= 1000 {
		t.Fatal(len(fits))
	}
	d.want(d.post(fits), http.StatusOK)
	d.want(d.post(list(one("b", "", strings.Repeat("x", 1000)))), http.StatusRequestEntityTooLarge)
	for name, body := range map[string]io.Reader{
		"chunked": io.LimitReader(endless{}, 1001), "endless": endless{},
	} {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, d.url+"/webhooks/w1", io.NopCloser(body))
		if err != nil {
			t.Fatal(err)
		}
		r.ContentLength = -1
		t.Log(name)
		d.want(d.do(r), http.StatusRequestEntityTooLarge)
	}
	if n := len(d.stored()); n != 1 {
		t.Errorf("%d messages are stored, want 1", n)
	}
}

// dial opens a raw connection to an ingest that is served with short limits.
func dial(t *testing.T) (*door, net.Conn) {
	t.Helper()
	d := newDoor(t, brokertest.Start(t), short(time.Second))
	ln, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.WithoutCancel(t.Context()))
	served := make(chan error, 1)
	handler := d.handler(d.broker, short(time.Second))
	go func() {
		served <- ops.Serve(ctx, ln, handler, ops.Limits{
			ReadHeaderTimeout: 200 * time.Millisecond, ReadTimeout: 400 * time.Millisecond, MaxHeaderBytes: 4 << 10, Grace: time.Second,
		})
	}()
	t.Cleanup(func() {
		stop()
		if err := <-served; err != nil {
			t.Log(err) // the slow connection had to be cut, which is the point
		}
	})
	conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return d, conn
}

func TestUnpleasantClients(t *testing.T) {
	t.Parallel()
	const head = "POST /webhooks/w1 HTTP/1.1\r\nHost: x\r\n"
	for name, c := range map[string]struct {
		send   string
		end    bool // the client closes its side
		status int  // 0: cut without an answer
	}{
		"header that never ends":      {head + "X-A: b\r\n", false, 0},
		"body that never ends":        {head + "Content-Length: 100\r\n\r\n[{", false, 400},
		"chunked body that stalls":    {head + "Transfer-Encoding: chunked\r\n\r\n5\r\n[{\"i", false, 400},
		"body that ends early":        {head + "Content-Length: 100\r\n\r\n[{", true, 400},
		"chunk that is none":          {head + "Transfer-Encoding: chunked\r\n\r\nzz\r\n", true, 400},
		"header that is too large":    {head + "X-A: " + strings.Repeat("x", 20<<10) + "\r\n\r\n", false, 431},
		"length that is too large":    {head + "Content-Length: 99999999\r\n\r\n" + strings.Repeat("x", 2000), false, 413},
		"length and chunked at once":  {head + "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", true, 401},
		"two lengths":                 {head + "Content-Length: 5\r\nContent-Length: 6\r\n\r\nabcdef", true, 400},
		"nothing at all":              {"", false, 0},
		"something that is not HTTP":  {"\x16\x03\x01\x00\xa5\x01\x00\x00", true, 400},
		"request line without target": {"POST\r\n\r\n", true, 400},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d, conn := dial(t)
			began := time.Now()
			if err := conn.SetDeadline(began.Add(10 * time.Second)); err != nil {
				t.Fatal(err)
			}
			if _, err := io.WriteString(conn, c.send); err != nil {
				t.Fatal(err)
			}
			if c.end {
				if err := conn.(*net.TCPConn).CloseWrite(); err != nil {
					t.Fatal(err)
				}
			}
			response, err := http.ReadResponse(bufio.NewReader(conn), nil)
			if took := time.Since(began); took > 5*time.Second {
				t.Errorf("the client was cut after %s", took)
			}
			status := 0
			if err == nil {
				status = response.StatusCode
				_ = response.Body.Close()
			}
			if status != c.status {
				t.Errorf("status %d, want %d (%v)", status, c.status, err)
			}
			if n := len(d.stored()); n != 0 {
				t.Errorf("%d messages are stored", n)
			}
		})
	}
}

func TestWithoutNATSNothingIsAccepted(t *testing.T) {
	t.Parallel()
	server := brokertest.Start(t)
	d := newDoor(t, server, short(time.Second))
	d.want(d.post(list(one("a", "", ""))), http.StatusOK)
	server.Stop()
	began := time.Now()
	got := d.want(d.post(list(one("b", "", ""))), http.StatusServiceUnavailable)
	took := time.Since(began)
	t.Logf("refused after %s", took)
	if got.header.Get("Retry-After") == "" || took > 2*time.Second {
		t.Errorf("after %s: %v", took, got.header)
	}
}

// strait forwards connections to NATS until it is frozen, when bytes stop and
// connections stay.
type strait struct {
	net.Listener
	gate sync.RWMutex
	open sync.WaitGroup
}

func newStrait(t *testing.T, to string) *strait {
	t.Helper()
	ln, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &strait{Listener: ln}
	pass := func(from, to net.Conn) {
		defer func() { _, _ = from.Close(), to.Close() }()
		buffer := make([]byte, 32<<10)
		for {
			n, err := from.Read(buffer)
			if err != nil {
				return
			}
			s.gate.RLock()
			_, err = to.Write(buffer[:n])
			s.gate.RUnlock()
			if err != nil {
				return
			}
		}
	}
	s.open.Go(func() {
		for {
			near, err := ln.Accept()
			if err != nil {
				return
			}
			far, err := (&net.Dialer{}).DialContext(context.Background(), "tcp", to)
			if err != nil {
				_ = near.Close()
				continue
			}
			s.open.Go(func() { pass(near, far) })
			s.open.Go(func() { pass(far, near) })
		}
	})
	t.Cleanup(func() { _ = ln.Close(); s.open.Wait() })
	return s
}

// A connection that is silently dead is the worst case: nothing tells.
func TestFrozenNATSIsRefusedWithinTheDeadlineAndNothingIsLost(t *testing.T) {
	t.Parallel()
	nats, err := embedded.Start(embedded.Config{Dir: t.TempDir(), Listen: "127.0.0.1:0"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nats.Stop)
	server := &brokertest.Server{Server: nats}
	if err := server.Connect(t).Provision(t.Context(), broker.Topology{Partitions: 1}); err != nil {
		t.Fatal(err)
	}
	passage := newStrait(t, nats.Addr().String())
	through, err := broker.Connect(broker.Config{URL: "nats://" + passage.Addr().String(), Name: "through", Logger: brokertest.Logger(t)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(through.Close)
	d := newDoor(t, server, func(c *ingest.Config) { c.Broker, c.Deadline = through, time.Second })
	d.want(d.post(list(one("a", "", ""))), http.StatusOK)
	passage.gate.Lock()
	began := time.Now()
	d.want(d.post(list(one("b", "", ""), one("c", "", ""))), http.StatusServiceUnavailable)
	took := time.Since(began)
	passage.gate.Unlock()
	t.Logf("refused after %s", took)
	if took > 2*time.Second {
		t.Errorf("the answer took %s", took)
	}
	// What was on its way arrived late; the platform's repetition adds the rest.
	await(t, "the repetition", func() bool { return d.post(list(one("b", "", ""), one("c", "", ""))).status == http.StatusOK })
	if n := len(d.stored()); n != 3 {
		t.Errorf("%d messages are stored, want 3", n)
	}
}

func TestFullStreamRefusesAndLosesNothing(t *testing.T) {
	t.Parallel()
	server := brokertest.StartEmpty(t)
	if err := server.Connect(t).Provision(t.Context(), broker.Topology{Partitions: 1, MaxBytes: 8 << 10}); err != nil {
		t.Fatal(err)
	}
	d := newDoor(t, server, short(time.Second))
	accepted, refused := map[string]bool{}, 0
	for i := range 60 {
		body := one(fmt.Sprint(i), "k", strings.Repeat("y", 200))
		switch got := d.post(list(body)); got.status {
		case http.StatusOK:
			accepted[body] = true
		case http.StatusServiceUnavailable:
			refused++
			if got.header.Get("Retry-After") == "" {
				t.Error("no Retry-After")
			}
		default:
			t.Errorf("status %d", got.status)
		}
	}
	t.Logf("accepted=%d refused=%d", len(accepted), refused)
	if len(accepted) == 0 || refused == 0 {
		t.Fatal("the stream was never full")
	}
	for _, body := range d.bodies() {
		delete(accepted, body)
	}
	if len(accepted) > 0 {
		t.Errorf("accepted and not stored: %v", accepted)
	}
}

// A body of angle brackets grows sixfold in JSON, past what NATS takes.
func TestWhatNeverCanBeStoredIsNotAskedForAgain(t *testing.T) {
	t.Parallel()
	d := newDoor(t, brokertest.Start(t), nil)
	grows := strings.Repeat("<", 2<<20-100)
	d.want(d.post(list(`{"id":"a","text":"`+grows+`"}`)), http.StatusRequestEntityTooLarge)
	d.want(d.post(list(`{"id":"a","text":"`+strings.ReplaceAll(grows, "<", "x")+`"}`)), http.StatusOK)
}
