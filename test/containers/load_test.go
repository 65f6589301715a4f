package containers_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/towpath/towpath/pkg/client"
	"github.com/towpath/towpath/pkg/handlers"
	"github.com/towpath/towpath/pkg/handlers/fake"
	"github.com/towpath/towpath/pkg/handlers/slack"
)

const (
	conversations = 50
	perPlace      = 20 // webhooks of one conversation, sent one after the other
	patience      = 2 * time.Minute
	// quiet is longer than a dead worker's lease lasts: whatever it left half done has been taken up by then.
	quiet = 6 * time.Second
)

// system is a running Towpath with the demo of deploy/towpath.yaml, however it was started.
type system struct {
	ingest, api, fake string // base URLs
	token, secret     string // of the bot; Slack's signing secret
	// monitor is NATS' answer about its streams.
	monitor func(context.Context) ([]byte, error)
	// kill ends one worker without a warning.
	kill func(context.Context) error

	http http.Client
}

// a word is one message: its place among those of its conversation.
type word struct{ conversation, number int }

func (w word) channel() string { return fmt.Sprintf("C%02dLOAD", w.conversation) }
func (w word) text() string    { return fmt.Sprintf("word %d of %d", w.number, w.conversation) }

// parse is the reverse of text; it reports false for what others said.
func parse(text string) (w word, ok bool) {
	n, err := fmt.Sscanf(text, "word %d of %d", &w.number, &w.conversation)

	return w, err == nil && n == 2
}

// bombard sends every conversation's webhooks, kills a worker halfway, waits for what follows from them, and counts.
func (s *system) bombard(t *testing.T) tally {
	t.Helper()

	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	defer s.http.CloseIdleConnections()

	s.http.Transport = &http.Transport{MaxIdleConnsPerHost: conversations}

	before, err := s.stored(ctx)
	if err != nil {
		t.Fatal(err)
	}

	_, since, err := s.replies(ctx, "0", 0)
	if err != nil {
		t.Fatal(err)
	}

	accepted, err := s.send(ctx, t)
	if err != nil {
		t.Error(err)
	}

	counts := count{accepted: accepted}

	if err := s.follow(ctx, &counts, since); err != nil {
		t.Error(err) // the counts say what is missing
	}

	after, err := s.stored(context.WithoutCancel(ctx))
	if err != nil {
		t.Error(err)
	}

	counts.stored = after - before

	return counts.tally()
}

// send posts all webhooks, the conversations at once, and returns those that were accepted.
func (s *system) send(ctx context.Context, t *testing.T) (map[word]bool, error) {
	t.Helper()

	platform, err := slack.Integration.Configure(json.RawMessage(fmt.Sprintf(`{"botToken":"xoxb-demo","signingSecret":%q}`, s.secret)))
	if err != nil {
		return nil, err
	}

	var (
		mu       sync.Mutex
		accepted = map[word]bool{}
		sent     atomic.Int64
		half     = make(chan struct{})
	)

	group, ctx := errgroup.WithContext(ctx)

	for conversation := range conversations {
		group.Go(func() error {
			for number := range perPlace {
				w := word{conversation, number}
				if err := s.post(ctx, platform, w); err != nil {
					return fmt.Errorf("%s: %w", w.text(), err)
				}

				mu.Lock()
				accepted[w] = true
				mu.Unlock()

				if sent.Add(1) == conversations*perPlace/2 {
					close(half)
				}
			}

			return nil
		})
	}

	group.Go(func() error {
		select {
		case <-half:
			return s.kill(ctx)
		case <-ctx.Done():
			return nil
		}
	})

	err = group.Wait()

	return accepted, err
}

// post sends one webhook, and again, as Slack would, while it is answered with 503.
func (s *system) post(ctx context.Context, platform handlers.Installed, w word) error {
	sample, err := platform.Sample("message", handlers.SampleArgs{
		ID: fmt.Sprintf("%dx%d", w.conversation, w.number), Text: w.text(), Conversation: w.channel(), User: "U0LOAD", Now: time.Now(),
	})
	if err != nil {
		return err
	}

	for {
		request, err := http.NewRequestWithContext(ctx, sample.Method, s.ingest+"/webhooks/webhook_demo_slack", bytes.NewReader(sample.Body))
		if err != nil {
			return err
		}

		request.Header = sample.Header

		status, _, answer, err := s.do(request)
		if err != nil {
			return err
		}

		if status == http.StatusServiceUnavailable {
			continue
		}

		if status != http.StatusOK {
			return fmt.Errorf("ingest answers %d: %s", status, answer)
		}

		return nil
	}
}

func (s *system) do(request *http.Request) (int, http.Header, []byte, error) {
	response, err := s.http.Do(request)
	if err != nil {
		return 0, nil, nil, err
	}
	defer response.Body.Close()

	body, err := io.ReadAll(response.Body)

	return response.StatusCode, response.Header, body, err
}

// replies returns the messages that the fake Slack took since, and where to go on; it waits that long for the first.
func (s *system) replies(ctx context.Context, since string, wait time.Duration) ([]reply, string, error) {
	query := url.Values{"path": {"/slack/api/chat.postMessage"}, "settled": {"true"}, "since": {since}, "wait": {wait.String()}}

	request, err := http.NewRequestWithContext(ctx, http.MethodGet, s.fake+"/_requests?"+query.Encode(), nil)
	if err != nil {
		return nil, "", err
	}

	_, header, body, err := s.do(request)
	if err != nil {
		return nil, "", err
	}

	var recorded []fake.Request
	if err := json.Unmarshal(body, &recorded); err != nil {
		return nil, "", fmt.Errorf("decode what the fake recorded: %w", err)
	}

	var found []reply

	for _, r := range recorded {
		form, err := url.ParseQuery(r.Body)
		if err != nil {
			return nil, "", fmt.Errorf("decode a message: %w", err)
		}

		if w, ok := parse(form.Get("text")); ok && r.Accepted {
			found = append(found, reply{w, form.Get("channel")})
		}
	}

	return found, header.Get(fake.NextHeader), nil
}

// follow waits until each accepted webhook is answered at the fake and acked, and then until nothing more comes.
func (s *system) follow(ctx context.Context, counts *count, since string) error {
	bot := client.New(&client.HTTP{BaseURL: s.api, Token: s.token, Client: &s.http}, client.Caller{BotID: "demo"})

	for wait := time.Second; ; {
		found, next, err := s.replies(ctx, since, wait)
		if err != nil {
			return err
		}

		counts.replies, since = append(counts.replies, found...), next

		switch {
		case len(found) > 0:
			wait = time.Second
		case wait == quiet:
			return nil
		default: // a second without replies: they may have come to their end
			if err := counts.list(ctx, bot); err != nil {
				return err
			}

			if counts.complete() {
				wait = quiet
			}
		}
	}
}

// stored is how many webhooks the stream holds.
func (s *system) stored(ctx context.Context) (int, error) {
	answer, err := s.monitor(ctx)
	if err != nil {
		return 0, err
	}

	var seen struct {
		Accounts []struct {
			Streams []struct {
				Name  string `json:"name"`
				State struct {
					Messages int `json:"messages"`
				} `json:"state"`
			} `json:"stream_detail"`
		} `json:"account_details"`
	}
	if err := json.Unmarshal(answer, &seen); err != nil {
		return 0, fmt.Errorf("decode what NATS says of its streams: %w", err)
	}

	for _, account := range seen.Accounts {
		for _, stream := range account.Streams {
			if stream.Name == "WEBHOOKS" {
				return stream.State.Messages, nil
			}
		}
	}

	return 0, errors.New("NATS has no stream WEBHOOKS")
}
