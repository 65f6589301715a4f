package faults_test

import (
	"io"
	"net"
	"net/url"
	"sync"
	"testing"
)

// wire stands between a process and NATS. While it is cut nothing goes through
// it and nothing is closed, as when a switch dies; what was under way arrives
// when it is mended.
type wire struct {
	listener net.Listener
	target   string
	open     sync.WaitGroup

	mu      sync.Mutex
	conns   []net.Conn
	ended   bool
	through chan struct{} // closed while it is whole
}

// lay lays a wire to a NATS server until the test ends, and returns its URL.
func lay(t *testing.T, to string) (*wire, string) {
	t.Helper()
	target, err := url.Parse(to)
	if err != nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	w := &wire{listener: listener, target: target.Host, through: make(chan struct{})}
	close(w.through)
	w.open.Go(w.accept)
	t.Cleanup(w.end)
	return w, "nats://" + listener.Addr().String()
}

// cut lets nothing through any more.
func (w *wire) cut() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.through = make(chan struct{})
}

// mend lets everything through again.
func (w *wire) mend() {
	w.mu.Lock()
	defer w.mu.Unlock()
	select {
	case <-w.through:
	default:
		close(w.through)
	}
}

func (w *wire) end() {
	w.mend()
	_ = w.listener.Close()
	w.mu.Lock()
	w.ended = true
	for _, c := range w.conns {
		_ = c.Close()
	}
	w.mu.Unlock()
	w.open.Wait()
}

// pass waits until the wire is whole.
func (w *wire) pass() {
	w.mu.Lock()
	through := w.through
	w.mu.Unlock()
	<-through
}

// keep closes a connection at the end, at once when that has come.
func (w *wire) keep(c net.Conn) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.conns = append(w.conns, c)
	if w.ended {
		_ = c.Close()
	}
}

func (w *wire) accept() {
	for {
		near, err := w.listener.Accept()
		if err != nil {
			return
		}
		w.keep(near)
		w.open.Go(func() { w.join(near) })
	}
}

// join carries one connection.
func (w *wire) join(near net.Conn) {
	defer near.Close()
	w.pass()
	far, err := net.Dial("tcp", w.target)
	if err != nil {
		return
	}
	defer far.Close()
	w.keep(far)
	var back sync.WaitGroup
	back.Go(func() { w.carry(near, far) })
	w.carry(far, near)
	back.Wait()
}

func (w *wire) carry(to, from net.Conn) {
	defer to.Close() // what one side ends has ended for the other
	buffer := make([]byte, 64<<10)
	for {
		n, err := from.Read(buffer)
		w.pass()
		if _, failed := to.Write(buffer[:n]); failed != nil || err != nil {
			_, _ = io.Copy(io.Discard, from)
			return
		}
	}
}
