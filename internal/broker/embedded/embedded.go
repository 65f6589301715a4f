// Package embedded runs a NATS server inside this process: for "towpath dev",
// where one command has to be enough, and for tests, which so need no mock.
// Production runs NATS by itself, since here it dies with the process.
package embedded

import (
	"errors"
	"fmt"
	"net"
	"strconv"
	"time"

	"github.com/nats-io/nats-server/v2/server"
)

// Config says where the server keeps its files and whom it serves.
type Config struct {
	Dir string // of the files; required
	// Listen is the address for other processes, such as "127.0.0.1:4222",
	// port 0 for any free one. Empty means that only this process can connect.
	Listen string
}

// Server is a running NATS server with JetStream. Every write is flushed to
// the disk before it is acknowledged.
type Server struct{ *server.Server }

const startTimeout = 30 * time.Second

// Start returns once the server takes connections.
func Start(config Config) (*Server, error) {
	if config.Dir == "" {
		return nil, errors.New("an embedded NATS server needs a directory for its files")
	}
	options := &server.Options{
		ServerName: "towpath-embedded", JetStream: true, StoreDir: config.Dir, SyncAlways: true,
		MaxPayload: 8 << 20, NoSigs: true, NoLog: true, DontListen: config.Listen == "",
	}
	if config.Listen != "" {
		host, port, err := net.SplitHostPort(config.Listen)
		if err != nil {
			return nil, fmt.Errorf("NATS address %q: %w", config.Listen, err)
		}
		if options.Port, err = strconv.Atoi(port); err != nil {
			return nil, fmt.Errorf("NATS address %q: the port must be a number", config.Listen)
		}
		if options.Port == 0 {
			options.Port = server.RANDOM_PORT
		}
		options.Host = host
		// The server would only log that its port is taken, and then wait.
		if options.Port > 0 {
			probe, err := net.Listen("tcp", config.Listen)
			if err != nil {
				return nil, fmt.Errorf("NATS address: %w", err)
			}
			_ = probe.Close()
		}
	}
	s, err := server.NewServer(options)
	if err != nil {
		return nil, fmt.Errorf("start NATS: %w", err)
	}
	s.Start()
	if !s.ReadyForConnections(startTimeout) {
		s.Shutdown()
		return nil, fmt.Errorf("NATS did not start within %s: is %s in use by another process?", startTimeout, config.Dir)
	}
	return &Server{s}, nil
}

// Stop shuts the server down and waits until its files are closed.
func (s *Server) Stop() {
	s.Shutdown()
	s.WaitForShutdown()
}
