// Package brokertest gives each test a NATS server of its own.
package brokertest

import (
	"io"
	"testing"

	"github.com/sirupsen/logrus"

	"github.com/towpath/towpath/internal/broker"
	"github.com/towpath/towpath/internal/broker/embedded"
)

// Server is an embedded NATS server that ends with its test.
type Server struct{ *embedded.Server }

// Start returns a server with its files in a directory of the test, and with
// everything provisioned over few partitions.
func Start(tb testing.TB) *Server {
	tb.Helper()
	server := StartEmpty(tb)
	if err := server.Connect(tb).Provision(tb.Context(), broker.Topology{Partitions: 4}); err != nil {
		tb.Fatal(err)
	}
	return server
}

// StartEmpty returns a server that nothing is provisioned on.
func StartEmpty(tb testing.TB) *Server {
	tb.Helper()
	server, err := embedded.Start(embedded.Config{Dir: tb.TempDir()})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(server.Stop)
	return &Server{server}
}

// Connect returns a connection of its own, as another process would have.
func (s *Server) Connect(tb testing.TB) *broker.Broker {
	tb.Helper()
	connected, err := broker.Connect(broker.Config{Name: tb.Name(), Logger: Logger(tb), InProcess: s.Server})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(connected.Close)
	return connected
}

// Logger returns a logger whose lines are shown when the test fails.
func Logger(tb testing.TB) *logrus.Logger {
	tb.Helper()
	logger := logrus.New()
	logger.SetLevel(logrus.DebugLevel)
	logger.SetOutput(io.Discard)
	if testing.Verbose() {
		logger.SetOutput(tb.Output())
	}
	return logger
}
