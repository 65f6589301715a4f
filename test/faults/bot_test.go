package faults_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"

	"github.com/sirupsen/logrus"

	"github.com/towpath/towpath"
	"github.com/towpath/towpath/pkg/client"
	"github.com/towpath/towpath/pkg/events"
	"github.com/towpath/towpath/test/system"
)

// bot answers every message with the same words and remembers what it heard.
type bot struct {
	mu            sync.Mutex
	heard         map[string][]string        // texts by channel, in the order in which they first came
	ids           map[string]map[string]bool // events' ids by text
	conversations map[string]bool            // their ids
	faults        []error
}

// answer runs the bot until the test ends. One that was thrown out listens
// again; that it was is a fault.
func answer(p *plant) *bot {
	p.Helper()
	b := &bot{heard: map[string][]string{}, ids: map[string]map[string]bool{}, conversations: map[string]bool{}}
	var said system.Output
	logger := logrus.New()
	logger.SetOutput(&said)
	ctx, stop := context.WithCancel(context.WithoutCancel(p.Context()))
	var running sync.WaitGroup
	running.Go(func() {
		for ctx.Err() == nil {
			err := towpath.RunBot(ctx, towpath.Bot{
				NATS: p.url, API: p.api, ID: "demo", Token: token, Name: "faults", Logger: logger,
				Types: []string{string(events.MessageCreated)},
			}, b.hear)
			if ctx.Err() == nil {
				b.fault(fmt.Errorf("the bot was thrown out: %w", err))
			}
		}
	})
	p.Cleanup(func() {
		stop()
		running.Wait()
		if p.Failed() {
			p.Logf("the bot said at the end:\n%s", system.Tail(said.String(), 40))
		}
	})
	return b
}

func (b *bot) fault(err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.faults = append(b.faults, err)
}

// hear remembers one message and answers it.
func (b *bot) hear(ctx context.Context, c *client.Client, e client.Event) (client.EventStatus, error) {
	var got struct {
		Message      client.Message      `json:"message"`
		Conversation client.Conversation `json:"conversation"`
	}
	if err := json.Unmarshal(e.Payload, &got); err != nil {
		b.fault(fmt.Errorf("event %s: %w", e.ID, err))
		return client.EventIgnored, nil
	}
	w, err := wordsOf(got.Message.Payload)
	if err != nil {
		b.fault(fmt.Errorf("event %s: %w", e.ID, err))
		return client.EventIgnored, nil
	}
	b.remember(w, e.ID, got.Conversation.ID)
	_, err = c.CreateMessage(ctx, client.CreateMessageInput{
		ConversationID: got.Conversation.ID, UserID: "demo", Type: got.Message.Type, Payload: got.Message.Payload, Tags: client.Tags{},
	})
	return client.EventProcessed, err
}

func (b *bot) remember(w words, event, conversation string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.conversations[conversation] = true
	if b.ids[w.String()] == nil {
		b.ids[w.String()] = map[string]bool{}
		b.heard[w.channel] = append(b.heard[w.channel], w.String())
	}
	b.ids[w.String()][event] = true
}

// wantHeld fails if the bot could not go on listening by itself.
func (b *bot) wantHeld(s *scenario) {
	s.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.faults) > 0 {
		s.Errorf("%d faults of the bot, the first: %v", len(b.faults), errors.Join(b.faults[:min(3, len(b.faults))]...))
	}
}

func (b *bot) talked() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Sorted(maps.Keys(b.conversations))
}

func (b *bot) count() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.ids)
}
