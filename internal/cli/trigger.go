package cli

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	neturl "net/url"
	"slices"
	"strings"
	"time"

	"github.com/towpath/towpath/internal/replay"
	"github.com/towpath/towpath/internal/store"
	"github.com/towpath/towpath/pkg/client"
	"github.com/towpath/towpath/pkg/events"
	"github.com/towpath/towpath/pkg/handlers"
)

type triggerCommand struct {
	systemFlags
	Ingest       string        `env:"TOWPATH_INGEST" help:"Where ingest is; without it, that of the dev, or as the webhook URL says."`
	Integration  string        `arg:"" help:"Which platform to play, such as slack."`
	Event        string        `arg:"" help:"Which sample to send, such as message. An unknown one lists them all."`
	Text         string        `arg:"" optional:"" default:"hello" help:"The text of the message."`
	Bot          string        `env:"TOWPATH_BOT" help:"The bot's id; needed if several have the integration."`
	Alias        string        `help:"The installation's alias; the first of the integration when left out."`
	Conversation string        `default:"C0TOWPATH" help:"The platform's id of the conversation."`
	User         string        `default:"U0TOWPATH" help:"The platform's id of the user."`
	ID           string        `help:"Makes the provider's delivery id: the same id again is the same delivery."`
	Timeout      time.Duration `default:"15s" env:"TOWPATH_TRIGGER_TIMEOUT" help:"How long to watch."`
	JSON         bool          `name:"json" help:"One JSON object a line."`
}

// Run sends one signed sample and watches it until everything is done.
func (c *triggerCommand) Run(ctx context.Context, p *program) error {
	integration, _, err := p.registry.Find(c.Integration)
	if err != nil {
		return err
	}
	s, err := c.connect(ctx, p)
	if err != nil {
		return err
	}
	defer s.close()
	installation, err := c.find(ctx, s)
	if err != nil {
		return err
	}
	installed, err := integration.Configure(installation.Configuration)
	if err != nil {
		return err
	}
	if c.ID == "" {
		c.ID = events.Nonce()
	}
	sample, err := installed.Sample(c.Event, handlers.SampleArgs{
		ID: c.ID, Text: c.Text, Conversation: c.Conversation, User: c.User, Now: time.Now(),
	})
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, c.Timeout)
	defer cancel()
	since, err := replay.Now(ctx, s.broker)
	if err != nil {
		return err
	}
	show := newShow(p.stdout, c.JSON)
	target := installation.WebhookURL
	if ingest := cmp.Or(c.Ingest, s.ingest); ingest != "" {
		target = strings.TrimSuffix(ingest, "/") + "/webhooks/" + installation.WebhookID
	}
	answered, err := c.post(ctx, target, sample, show)
	if err != nil {
		return err
	}
	delivery, isWebhook := deliveryOf(installed, sample, installation)
	if !isWebhook {
		show.notef("the platform's question was answered with %q; nothing was stored", answered)
		return nil
	}
	watch := &replay.Watch{
		Broker: s.broker, Store: s.store, Bot: installation.BotID, Webhook: installation.WebhookID,
		Delivery: delivery, Since: since,
	}
	return show.watch(ctx, watch)
}

// find picks the installation to send to.
func (c *triggerCommand) find(ctx context.Context, s *system) (store.Installation, error) {
	all, err := s.store.Installations(ctx)
	if err != nil {
		return store.Installation{}, err
	}
	var meant []store.Installation
	var aliases, bots []string
	for _, i := range all {
		if i.Integration != c.Integration || i.Leaving() || c.Bot != "" && c.Bot != i.BotID {
			continue
		}
		aliases = append(aliases, i.Alias)
		if c.Alias != "" && c.Alias != i.Alias {
			continue
		}
		meant = append(meant, i)
		if !slices.Contains(bots, i.BotID) {
			bots = append(bots, i.BotID)
		}
	}
	switch {
	case len(bots) > 1:
		return store.Installation{}, fmt.Errorf("%s is installed in the bots %s: choose one with --bot", c.Integration, strings.Join(bots, ", "))
	case len(meant) > 0:
		return meant[0], nil
	case len(aliases) > 0:
		return store.Installation{}, fmt.Errorf("%s is installed as %s, not as %s", c.Integration, strings.Join(aliases, ", "), c.Alias)
	case c.Bot != "":
		return store.Installation{}, fmt.Errorf("%s is not installed in the bot %s: add it to the configuration file", c.Integration, c.Bot)
	}
	return store.Installation{}, fmt.Errorf("%s is not installed: add it to the configuration file", c.Integration)
}

// post sends the sample as the platform would.
func (c *triggerCommand) post(ctx context.Context, target string, sample *events.Request, show *show) (string, error) {
	request, err := http.NewRequestWithContext(ctx, sample.Method, target, bytes.NewReader(sample.Body))
	if err != nil {
		return "", err
	}
	request.Header, request.URL.RawQuery = sample.Header, sample.Query
	if sample.Path != "/" {
		request.URL = request.URL.JoinPath(sample.Path)
	}
	show.begin()
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		if whole, ok := errors.AsType[*neturl.Error](err); ok {
			err = whole.Err // without the URL, which may have a secret in its query
		}
		return "", fmt.Errorf("ingest cannot be reached: %w", err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(io.LimitReader(response.Body, 64<<10))
	if err != nil {
		return "", err
	}
	if response.StatusCode < 200 || response.StatusCode > 299 {
		return "", fmt.Errorf("ingest refused the webhook: %s: %s", response.Status, strings.TrimSpace(string(body)))
	}
	show.step(replay.Happening{Step: accepted, At: time.Now(), ID: c.ID, Detail: map[string]any{"status": response.StatusCode}})
	return string(body), nil
}

// deliveryOf computes the delivery's id as ingest does. It reports false for a
// handshake, which is not stored.
func deliveryOf(installed handlers.Installed, sample *events.Request, installation store.Installation) (string, bool) {
	if _, handshake := installed.Handshake(sample); handshake {
		return "", false
	}
	parts, err := installed.Split(sample)
	if err != nil || len(parts) == 0 {
		return "", false
	}
	return events.DeliveryID(installation.WebhookID, parts[0].ProviderID(sample.Body)), true
}

const accepted replay.Step = "accepted"

// show prints steps for people or for programs.
type show struct {
	out   io.Writer
	json  bool
	begun time.Time
}

func newShow(out io.Writer, asJSON bool) *show {
	return &show{out: out, json: asJSON, begun: time.Now()}
}

func (s *show) begin() { s.begun = time.Now() }

func (s *show) step(h replay.Happening) {
	ms := float64(h.At.Sub(s.begun).Microseconds()) / 1000
	earlier := ms < 0 // it happened to the same delivery before
	if s.json {
		line := map[string]any{"step": h.Step, "at": h.At, "id": h.ID, "detail": h.Detail}
		if earlier {
			line["earlier"] = true
		} else {
			line["ms"] = ms
		}
		_ = json.NewEncoder(s.out).Encode(line)
		return
	}
	var line strings.Builder
	took := fmt.Sprintf("%.1f ms", ms)
	if earlier {
		took = ""
	}
	fmt.Fprintf(&line, "%12s  %-16s %-32s", took, h.Step, h.ID)
	for _, name := range slices.Sorted(maps.Keys(h.Detail)) {
		if tags, ok := h.Detail[name].(client.Tags); ok {
			for tag, value := range tags {
				fmt.Fprintf(&line, " %s=%s", tag, value)
			}
			continue
		}
		fmt.Fprintf(&line, " %s=%v", name, h.Detail[name])
	}
	if earlier {
		line.WriteString(" (earlier: this is a duplicate)")
	}
	fmt.Fprintln(s.out, strings.TrimRight(line.String(), " "))
}

func (s *show) notef(format string, args ...any) {
	if s.json {
		_ = json.NewEncoder(s.out).Encode(map[string]any{"note": fmt.Sprintf(format, args...)})
		return
	}
	fmt.Fprintf(s.out, format+"\n", args...)
}

// watch prints the steps until nothing is left to come: the delivery is
// handled, and every message that the bot was told of is answered and acked.
// A bot need not answer, so running out of time after that is no failure.
func (s *show) watch(ctx context.Context, watch *replay.Watch) error {
	var handled, dead bool
	var told, answered, ended int
	err := watch.Run(ctx, func(h replay.Happening) bool {
		s.step(h)
		switch h.Step {
		case replay.Handled:
			handled = true
		case replay.DeadLettered, replay.SendFailed:
			dead = true
			return true
		case replay.MessageCreated:
			told++
		case replay.BotAnswered:
			answered++
		case replay.Acked:
			ended++
		case replay.Stored, replay.EventFired, replay.Sending, replay.Sent:
		}
		return handled && ended == answered && answered >= told
	})
	switch {
	case dead:
		return errors.New("it was given up: the worker's log says why, and `towpath logs` what the bot's owner is told")
	case err == nil:
		return nil
	case errors.Is(err, context.DeadlineExceeded) && handled && answered == ended:
		s.notef("the bot did not answer in time")
		return nil
	case errors.Is(err, context.DeadlineExceeded):
		return errors.New("not at its end in time: does a worker run?")
	default:
		return err
	}
}
