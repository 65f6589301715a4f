package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/towpath/towpath/internal/broker"
	"github.com/towpath/towpath/internal/ops"
	"github.com/towpath/towpath/internal/store"
)

// systemFlags tell an operator's verb which Towpath to look at: a running dev,
// or whatever NATS it is given.
type systemFlags struct {
	Dir  string `default:".towpath" env:"TOWPATH_DIR" type:"path" help:"Directory of a dev; of one that runs."`
	NATS string `name:"nats" env:"NATS_URL" help:"Where NATS is; wins over --dir."`
	// The verbs of today read NATS alone. Scripts name the API all the same,
	// and shall not break when a verb comes to ask it.
	API   string `name:"api" env:"TOWPATH_API" help:"Where the API is; no verb of this version asks it."`
	Token string `env:"TOWPATH_TOKEN" help:"The bot's token; no verb of this version needs it."`
}

// system is a connection to a running Towpath.
type system struct {
	broker *broker.Broker
	store  *store.Store
	ingest string // the dev's, if one was found
}

// connect finds Towpath and connects, or says what to do.
func (f systemFlags) connect(ctx context.Context, p *program) (*system, error) {
	ingest := ""
	if f.NATS == "" {
		dev, err := readDevFile(filepath.Join(f.Dir, devFileName))
		if err != nil {
			return nil, err
		}
		f.NATS, ingest = dev.NATS, dev.Ingest
	}
	logger, err := ops.Logger("text", "error", p.stderr)
	if err != nil {
		return nil, err
	}
	b, err := broker.Connect(broker.Config{URL: f.NATS, Name: "towpath", Logger: logger})
	if err != nil {
		return nil, err
	}
	waiting, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	if err := b.WaitReady(waiting); err != nil {
		b.Close()
		return nil, fmt.Errorf("no Towpath at %s: %w", f.NATS, err)
	}
	opened, err := store.Open(ctx, b)
	if err != nil {
		b.Close()
		return nil, err
	}
	return &system{broker: b, store: opened, ingest: ingest}, nil
}

func (s *system) close() { s.broker.Close() }

func readDevFile(path string) (devFile, error) {
	var dev devFile
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return dev, fmt.Errorf("nothing runs in %s: start `towpath dev` first, or name another with --dir, or a NATS with --nats", filepath.Dir(path))
	}
	if err != nil {
		return dev, err
	}
	if err := json.Unmarshal(data, &dev); err != nil {
		return dev, fmt.Errorf("%s: %w", path, err)
	}
	return dev, nil
}
