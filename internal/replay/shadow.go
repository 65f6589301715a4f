package replay

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/sirupsen/logrus"

	"github.com/towpath/towpath/internal/broker"
	"github.com/towpath/towpath/internal/dispatch"
	"github.com/towpath/towpath/internal/store"
	"github.com/towpath/towpath/pkg/client"
	"github.com/towpath/towpath/pkg/events"
	"github.com/towpath/towpath/pkg/handlers"
)

// patience is how long a handler may take in a replay: somebody may be looking
// at it in a debugger.
const patience = 24 * time.Hour

// Shadow runs deliveries again in this process, with the real handlers and
// without any consequence: what they ask is answered from what was recorded,
// what they do is held back.
type Shadow struct {
	Broker   *broker.Broker
	Store    *store.Store
	Registry *handlers.Registry
	// LiveReads lets what was not recorded be read from the store as it is now.
	LiveReads bool

	prepare  sync.Once
	resolved *dispatch.Installations
	targets  map[string]aim
}

// aim is an installation that deliveries are for.
type aim struct {
	dispatch.Target
	secrets []string
	unable  string // why its deliveries cannot be run
}

// Shadowed is one delivery that was run again.
type Shadowed struct {
	Delivery    string           `json:"delivery"`
	Operation   events.Operation `json:"operation"`
	Bot         string           `json:"bot,omitempty"`
	Alias       string           `json:"alias,omitempty"`
	Integration string           `json:"integration,omitempty"`
	Stored      time.Time        `json:"stored"`
	// Then is what the last attempt did that came to an end; nil when there is
	// no recording of it.
	Then *dispatch.Recording `json:"then,omitempty"`
	Now  dispatch.Recording  `json:"now"`
	// Notes are on each of Now's calls, and then on each of its exchanges.
	Notes []Note   `json:"notes,omitempty"`
	Log   []string `json:"log,omitempty"` // what the handler logged
	// Stack leads to where the handler panicked.
	Stack string `json:"stack,omitempty"`
	// Unable is why it could not be run again.
	Unable string `json:"unable,omitempty"`

	event []byte // its data
}

// Run runs one delivery again. The error is about NATS, or ctx; whatever is
// wrong with the delivery is told in the answer.
func (s *Shadow) Run(ctx context.Context, found Entry) (Shadowed, error) {
	s.prepare.Do(func() {
		s.resolved, s.targets = dispatch.NewInstallations(s.Registry), map[string]aim{}
		s.Store.LookOnly()
	})
	shadowed := Shadowed{
		Delivery: found.Event.ID(), Operation: found.Operation, Stored: found.Stored, event: found.Event.Data(),
	}
	to, err := s.target(ctx, found.Webhook())
	if err != nil {
		return shadowed, err
	}
	shadowed.Bot, shadowed.Alias, shadowed.Integration = to.BotID, to.Alias, to.Integration
	if to.unable != "" {
		shadowed.Unable = to.unable
		return shadowed, nil
	}
	if shadowed.Then, err = RecordingOf(ctx, s.Broker, found.Webhook(), found.Event.ID()); err != nil {
		return shadowed, err
	}
	var then dispatch.Recording
	var reads client.Backend
	attempt := 1
	if shadowed.Then != nil {
		then, attempt = *shadowed.Then, shadowed.Then.Attempt
	} else if s.LiveReads {
		reads = s.Store
	}
	var logged bytes.Buffer
	played := newPlayback(then, to.secrets, reads, time.Now)
	dispatcher := &dispatch.Dispatcher{
		Installations: s.resolved, Backend: played, Transport: played, Logger: logger(&logged), Secrets: os.LookupEnv, Timeout: patience,
	}
	began := time.Now()
	result := dispatcher.Run(ctx, to.Target, dispatch.Job{
		Event: found.Event, Attempt: attempt, Replayed: events.Extension(found.Event, broker.Replayed) != "",
	})
	if ctx.Err() != nil {
		return shadowed, context.Cause(ctx)
	}
	shadowed.Now = result.Recording
	shadowed.Now.Began = began
	if shadowed.Now.Delivery == "" && result.Err != nil {
		shadowed.Unable = result.Err.Error()
	}
	for _, c := range shadowed.Now.Calls {
		shadowed.Notes = append(shadowed.Notes, played.noteOn(c.Operation+" "+string(c.Input)))
	}
	for _, e := range shadowed.Now.Exchanges {
		shadowed.Notes = append(shadowed.Notes, played.noteOn(e.Method+" "+e.URL))
	}
	if panicked, ok := errors.AsType[*handlers.PanicError](result.Err); ok {
		shadowed.Stack = string(panicked.Stack)
	}
	if text := strings.TrimSpace(played.hide.Replace(logged.String())); text != "" {
		shadowed.Log = strings.Split(text, "\n")
	}
	return shadowed, nil
}

// logger keeps what a handler logs.
func logger(out *bytes.Buffer) *logrus.Logger {
	kept := logrus.New()
	kept.SetOutput(out)
	kept.SetReportCaller(true)
	kept.SetLevel(logrus.DebugLevel)
	kept.SetFormatter(handlersLines{})
	return kept
}

// handlersLines writes a handler's lines without what is the same in all of
// them, and leaves out what is logged around the handler.
type handlersLines struct{}

// Format implements logrus.Formatter.
func (handlersLines) Format(e *logrus.Entry) ([]byte, error) {
	if e.Caller != nil && isBetween(e.Caller.Function) {
		return nil, nil
	}
	var line strings.Builder
	line.WriteString(strings.ToUpper(e.Level.String()) + " " + strings.ReplaceAll(e.Message, "\n", " "))
	for _, name := range slices.Sorted(maps.Keys(e.Data)) {
		if !slices.Contains([]string{"delivery", "attempt", "bot", "alias"}, name) {
			fmt.Fprintf(&line, " %s=%v", name, e.Data[name])
		}
	}
	if e.Caller != nil {
		line.WriteString("  at " + short(*e.Caller))
	}
	return []byte(line.String() + "\n"), nil
}

// target finds whom a delivery is for, as it is installed now.
func (s *Shadow) target(ctx context.Context, webhookID string) (aim, error) {
	if known, ok := s.targets[webhookID]; ok {
		return known, nil
	}
	installation, err := s.Store.Installation(ctx, webhookID)
	if errors.Is(err, client.ErrNotFound) {
		s.targets[webhookID] = aim{unable: fmt.Sprintf("its installation %s was removed: install it again to run it", webhookID)}
		return s.targets[webhookID], nil
	}
	if err != nil {
		return aim{}, err
	}
	bot, err := client.New(s.Store, client.Caller{BotID: installation.BotID}).GetUser(ctx, installation.BotID)
	if err != nil {
		return aim{}, err
	}
	to := aim{Target: dispatch.TargetOf(installation, bot.User.ID)}
	if _, definition, err := s.resolved.Resolve(to.Target); err != nil {
		to.unable = err.Error()
	} else {
		to.secrets = definition.SecretsIn(to.ConfigurationType, to.Configuration)
	}
	s.targets[webhookID] = to
	return to, nil
}

// RecordingOf returns what is kept of a delivery's last attempt that came to an
// end, or nil.
func RecordingOf(ctx context.Context, b *broker.Broker, installation, delivery string) (*dispatch.Recording, error) {
	var last *dispatch.Recording
	subject := broker.RecordingSubject(installation, delivery)
	for after := uint64(0); ; {
		m, err := b.Next(ctx, broker.Recordings, subject, after)
		if errors.Is(err, broker.ErrNoMessage) {
			return last, nil
		}
		if err != nil {
			return nil, err
		}
		after = m.Seq
		var r dispatch.Recording
		if json.Unmarshal(m.Data, &r) == nil && r.Decision != "" {
			last = &r
		}
	}
}
