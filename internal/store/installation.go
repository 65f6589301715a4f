package store

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/towpath/towpath/internal/broker"
	"github.com/towpath/towpath/pkg/client"
	"github.com/towpath/towpath/pkg/events"
)

// Status is how far the registration of an installation got.
type Status string

// The statuses of an installation, as Botpress names them.
const (
	RegistrationPending   Status = "registration_pending"
	Registered            Status = "registered"
	RegistrationFailed    Status = "registration_failed"
	UnregistrationPending Status = "unregistration_pending"
	Unregistered          Status = "unregistered"
	UnregistrationFailed  Status = "unregistration_failed"
)

// RegistrationKey is the ordering key of register and unregister operations,
// so that they never overtake each other.
const RegistrationKey = "registration"

// Installation is an integration put into a bot.
type Installation struct {
	WebhookID         string          `json:"webhookId"`
	BotID             string          `json:"botId"`
	Integration       string          `json:"integration"`
	Alias             string          `json:"alias"`
	ConfigurationType string          `json:"configurationType,omitempty"`
	Configuration     json.RawMessage `json:"configuration"`
	Disabled          bool            `json:"disabled,omitempty"`
	// FromFile tells that a configuration file named it, so that it goes when
	// the file no longer does.
	FromFile bool `json:"fromFile,omitempty"`
	// WebhookURL is where the platform reaches it.
	WebhookURL   string `json:"webhookUrl"`
	Status       Status `json:"status"`
	StatusReason string `json:"statusReason,omitempty"`
	// ConfigurationRevision is a hash of what is registered: integration,
	// configuration and its type. Results of an older one no longer count.
	ConfigurationRevision string `json:"configurationRevision"`
	// RequestedAt is when the last registration or unregistration was asked
	// for; it tells one request from the next.
	RequestedAt time.Time `json:"requestedAt"`
	CreatedAt   time.Time `json:"createdAt"`
	UpdatedAt   time.Time `json:"updatedAt"`
}

// Leaving tells an installation that is no longer wanted, and kept only until
// it is unregistered.
func (i Installation) Leaving() bool {
	return i.Status == UnregistrationPending || i.Status == Unregistered || i.Status == UnregistrationFailed
}

// request returns the operation that the status asks for and the id of its
// delivery; asked for again, the id is the same.
func (i Installation) request() (events.Operation, string) {
	operation := events.Register
	if i.Leaving() {
		operation = events.Unregister
	}
	at := i.RequestedAt.UTC().Format(time.RFC3339Nano)
	return operation, events.DeliveryID(i.WebhookID, string(operation)+":"+i.ConfigurationRevision+":"+at)
}

// Installations are under one key each, by webhook id; a second key leads from
// bot and alias to the webhook id. The record counts: an alias that leads to
// nothing, or to another alias, is none.
const (
	webhookKeys = "webhook"
	aliasKeys   = "alias"
)

func webhookKey(webhookID string) string { return broker.Key(webhookKeys, webhookID) }
func aliasKey(bot, alias string) string  { return broker.Key(aliasKeys, bot, alias) }

// Installation returns the installation with the webhook id, also one that is
// leaving, or [client.ErrNotFound]. It reads NATS; the [Directory] does not.
func (s *Store) Installation(ctx context.Context, webhookID string) (Installation, error) {
	found, _, err := load[Installation](ctx, s.installations, webhookKey(webhookID))
	if errors.Is(err, broker.ErrNoKey) {
		return found, client.NotFound("Installation", webhookID)
	}
	return found, err
}

// Installations returns all of them, ordered by bot and alias.
func (s *Store) Installations(ctx context.Context) ([]Installation, error) {
	keys, err := s.installations.Keys(ctx, broker.Key(webhookKeys)+".*")
	if err != nil {
		return nil, err
	}
	all := make([]Installation, 0, len(keys))
	for _, key := range keys {
		found, _, err := load[Installation](ctx, s.installations, key)
		if errors.Is(err, broker.ErrNoKey) {
			continue // removed meanwhile
		}
		if err != nil {
			return nil, err
		}
		all = append(all, found)
	}
	slices.SortFunc(all, byBotAndAlias)
	return all, nil
}

func byBotAndAlias(a, b Installation) int {
	return cmp.Or(strings.Compare(a.BotID, b.BotID), strings.Compare(a.Alias, b.Alias), strings.Compare(a.WebhookID, b.WebhookID))
}

// byAlias returns a bot's installation, or [broker.ErrNoKey].
func (s *Store) byAlias(ctx context.Context, bot, alias string) (Installation, error) {
	entry, err := s.installations.Get(ctx, aliasKey(bot, alias))
	if err != nil {
		return Installation{}, err
	}
	found, _, err := load[Installation](ctx, s.installations, webhookKey(string(entry.Value)))
	if err == nil && (found.BotID != bot || found.Alias != alias) {
		return Installation{}, broker.ErrNoKey
	}
	return found, err
}

// active returns an installation that takes work, or an error that says why it
// does not.
func (s *Store) active(ctx context.Context, bot, alias string) (Installation, error) {
	found, err := s.byAlias(ctx, bot, alias)
	switch {
	case errors.Is(err, broker.ErrNoKey), err == nil && found.Leaving():
		return found, client.NewError(client.ReferenceNotFound, "installation %q not found", alias)
	case err == nil && found.Disabled:
		return found, client.NewError(client.Forbidden, "installation %q is disabled", alias)
	}
	return found, err
}

// SetRegistration records how a register or unregister operation ended. A
// result for another revision than the current one is outdated, and so is one
// of a registration when the installation is leaving, or the other way round;
// such results are ignored. Reason is shown to the bot's owner.
func (s *Store) SetRegistration(ctx context.Context, webhookID, revision string, status Status, reason string) error {
	_, err := change(ctx, s.installations, webhookKey(webhookID), func(i *Installation) (bool, error) {
		outdated := i.ConfigurationRevision != revision || i.Leaving() != (Installation{Status: status}).Leaving()
		if outdated || i.Status == status && i.StatusReason == reason {
			return false, nil
		}
		i.Status, i.StatusReason, i.UpdatedAt = status, reason, s.now().UTC()
		return true, nil
	})
	if err != nil && !errors.Is(err, broker.ErrNoKey) {
		return fmt.Errorf("set registration of %s: %w", webhookID, err)
	}
	return nil
}

// FinishUnregister removes an installation that is leaving. One that was
// wanted again in the meantime stays.
func (s *Store) FinishUnregister(ctx context.Context, webhookID string) error {
	for {
		found, revision, err := load[Installation](ctx, s.installations, webhookKey(webhookID))
		if errors.Is(err, broker.ErrNoKey) || err == nil && !found.Leaving() {
			return nil
		}
		if err == nil {
			err = s.installations.Delete(ctx, webhookKey(webhookID), revision)
		}
		if errors.Is(err, broker.ErrConflict) {
			continue
		}
		if err != nil {
			return fmt.Errorf("remove installation %s: %w", webhookID, err)
		}
		return s.forgetAlias(ctx, found)
	}
}

// forgetAlias removes the key of an alias that still leads to the installation.
func (s *Store) forgetAlias(ctx context.Context, i Installation) error {
	entry, err := s.installations.Get(ctx, aliasKey(i.BotID, i.Alias))
	if err == nil && string(entry.Value) == i.WebhookID {
		err = s.installations.Delete(ctx, aliasKey(i.BotID, i.Alias), entry.Revision)
	}
	if err != nil && !errors.Is(err, broker.ErrNoKey) && !errors.Is(err, broker.ErrConflict) {
		return fmt.Errorf("forget alias %q: %w", i.Alias, err)
	}
	return nil
}

// enqueue asks the worker for what a pending installation waits for.
func (s *Store) enqueue(ctx context.Context, i Installation) error {
	operation, id := i.request()
	data, err := json.Marshal(events.Registration{WebhookURL: i.WebhookURL})
	if err != nil {
		return fmt.Errorf("encode registration: %w", err)
	}
	e := events.New(id, "/bots/"+i.BotID, operation.CloudEventType(), i.WebhookID, i.RequestedAt, data)
	if _, err := s.broker.Enqueue(ctx, broker.Commands, i.WebhookID, RegistrationKey, e); err != nil {
		return fmt.Errorf("ask for %s of %s: %w", operation, i.WebhookID, err)
	}
	return nil
}
