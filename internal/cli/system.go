package cli

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/alecthomas/kong"

	"github.com/towpath/towpath/internal/broker"
	"github.com/towpath/towpath/internal/ops"
	"github.com/towpath/towpath/internal/replay"
	"github.com/towpath/towpath/internal/store"
)

// systemFlags tell an operator's verb which Towpath to look at: a running dev,
// or whatever NATS it is given.
type systemFlags struct {
	Dir  string `default:".towpath" env:"TOWPATH_DIR" type:"path" help:"Directory of a dev; of one that runs. Said here, it wins over the NATS of the environment."`
	NATS string `name:"nats" env:"NATS_URL" help:"Where NATS is; wins over --dir."`
	// The verbs of today read NATS alone. Scripts name the API all the same,
	// and shall not break when a verb comes to ask it.
	API   string `name:"api" env:"TOWPATH_API" help:"Where the API is; no verb of this version asks it."`
	Token string `env:"TOWPATH_TOKEN" help:"The bot's token; no verb of this version needs it."`

	said []string // the flags that are on the command line itself
}

// AfterApply is kong's hook. What somebody says wins over what the environment
// of the terminal happens to hold.
func (f *systemFlags) AfterApply(parsed *kong.Context) error {
	for _, element := range parsed.Path {
		if element.Flag != nil && !element.Resolved {
			f.said = append(f.said, element.Flag.Name)
		}
	}
	if slices.Contains(f.said, "dir") && !slices.Contains(f.said, "nats") {
		f.NATS = ""
	}
	return nil
}

// system is a connection to a running Towpath.
type system struct {
	broker *broker.Broker
	store  *store.Store
	ingest string // the dev's, if one was found
	at     string // where NATS is, for people
}

// connect finds Towpath and connects, or says what to do.
func (f *systemFlags) connect(ctx context.Context, p *program) (*system, error) {
	at, ingest := f.NATS, ""
	if at == "" {
		dev, err := readDevFile(filepath.Join(f.Dir, devFileName))
		if err != nil {
			return nil, err
		}
		at, ingest = dev.NATS, dev.Ingest
	}
	logger, err := ops.Logger("text", "error", p.stderr)
	if err != nil {
		return nil, err
	}
	b, err := broker.Connect(broker.Config{URL: at, Name: "towpath", Logger: logger})
	if err != nil {
		return nil, err
	}
	waiting, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	if err := b.WaitReady(waiting); err != nil {
		b.Close()
		return nil, fmt.Errorf("no Towpath at %s: %w", shownURL(at), err)
	}
	opened, err := store.Open(ctx, b)
	if err != nil {
		b.Close()
		return nil, err
	}
	return &system{broker: b, store: opened, ingest: ingest, at: shownURL(at)}, nil
}

// shownURL is where NATS is, without the credentials that a URL may hold.
func shownURL(urls string) string {
	all := strings.Split(urls, ",")
	for i, one := range all {
		scheme, rest, ok := strings.Cut(one, "://")
		if !ok {
			scheme, rest = "nats", one
		}
		all[i] = strings.TrimSpace(scheme) + "://" + rest[strings.LastIndex(rest, "@")+1:]
	}
	return strings.Join(all, ",")
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

// moment is a time on the command line.
type moment struct{ time.Time }

// UnmarshalText implements encoding.TextUnmarshaler.
func (m *moment) UnmarshalText(text []byte) (err error) {
	m.Time, err = parseMoment(string(text), time.Now())
	return err
}

// parseMoment reads a time, or how long ago it is.
func parseMoment(text string, now time.Time) (time.Time, error) {
	if days, ok := strings.CutSuffix(text, "d"); ok {
		if n, err := strconv.ParseUint(days, 10, 16); err == nil {
			return now.AddDate(0, 0, -int(n)), nil
		}
	}
	if ago, err := time.ParseDuration(text); err == nil && ago >= 0 {
		return now.Add(-ago), nil
	}
	at, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return time.Time{}, fmt.Errorf("%q is no time: say how long ago it is, as in 90m or 7d, or when, as in 2026-01-31T12:00:00Z", text)
	}
	return at, nil
}

// local is a time for somebody on this machine.
func local(at time.Time) string {
	return at.Local().Format(time.DateTime) //nolint:gosmopolitan // read by somebody on this machine
}

// confirm asks somebody at a terminal whether to do something.
func (p *program) confirm(ctx context.Context, what string) error {
	nobody := fmt.Errorf("%s? Nobody is here to say so: add --yes", what)
	if !p.terminal {
		return nobody
	}
	fmt.Fprintf(p.stderr, "%s? [y/N] ", what)
	answers := make(chan string, 1)
	go func() {
		answer, _ := bufio.NewReader(p.stdin).ReadString('\n')
		answers <- strings.ToLower(strings.TrimSpace(answer))
	}()
	select {
	case <-ctx.Done():
		return errors.New("nothing was done")
	case answer := <-answers:
		switch answer {
		case "y", "yes":
			return nil
		case "":
			fmt.Fprintln(p.stderr)
			return nobody
		default:
			return errors.New("nothing was done")
		}
	}
}

// isTerminal tells whether somebody can be asked through a file. It takes
// other devices for a terminal, on which nobody answers.
func isTerminal(file *os.File) bool {
	info, err := file.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}

// each does something to one thing after the other, and tells from time to
// time how far it is. What was begun with a thing is not interrupted.
func (p *program) each(ctx context.Context, total int, do func(ctx context.Context, i int) error) error {
	progress := replay.NewProgress(p.stderr, p.watched(), total, nil)
	defer progress.Hide()
	for i := range total {
		progress.Step(i)
		if ctx.Err() != nil {
			return errors.New("interrupted")
		}
		if err := do(context.WithoutCancel(ctx), i); err != nil {
			return err
		}
	}
	return nil
}
