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
	Paused            *Paused         `json:"paused,omitempty"`
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
	// Identifier is what its platform calls it in requests to the
	// integration's global webhook.
	Identifier string `json:"identifier,omitempty"`
	// RegisterEvery is how often it is registered again, "weekly", and
	// RegisterNext when that is next.
	RegisterEvery string    `json:"registerEvery,omitempty"`
	RegisterNext  time.Time `json:"registerNext,omitzero"`
}

// Paused tells why and since when an installation is stopped whose credentials
// its platform refuses.
type Paused struct {
	Reason string    `json:"reason"` // for the bot's owner
	At     time.Time `json:"at"`
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

// standing returns an installation that is not leaving, or an error that says so.
// It may be disabled: its worker holds what is enqueued for it until then.
func (s *Store) standing(ctx context.Context, bot, alias string) (Installation, error) {
	found, err := s.byAlias(ctx, bot, alias)
	if errors.Is(err, broker.ErrNoKey) || err == nil && found.Leaving() {
		return found, client.NewError(client.ReferenceNotFound, "installation %q not found", alias)
	}
	return found, err
}

// active returns an installation that takes new work, or an error that says why
// it does not.
func (s *Store) active(ctx context.Context, bot, alias string) (Installation, error) {
	found, err := s.standing(ctx, bot, alias)
	if err == nil && found.Disabled {
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
		return errors.Join(s.forgetAlias(ctx, found), s.forgetIdentifier(ctx, found), s.broker.Cancel(ctx, registerWakeup(webhookID)))
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

// identifierKey leads from what a platform calls an installation to its webhook
// id.
func identifierKey(integration, identifier string) string {
	return broker.Key("identifier", integration, identifier)
}

// forgetIdentifier removes the key of an identifier that leads to the
// installation.
func (s *Store) forgetIdentifier(ctx context.Context, i Installation) error {
	if i.Identifier == "" {
		return nil
	}
	key := identifierKey(i.Integration, i.Identifier)
	entry, err := s.installations.Get(ctx, key)
	if err == nil && string(entry.Value) == i.WebhookID {
		err = s.installations.Delete(ctx, key, entry.Revision)
	}
	if err != nil && !errors.Is(err, broker.ErrNoKey) && !errors.Is(err, broker.ErrConflict) {
		return fmt.Errorf("forget identifier of %s: %w", i.WebhookID, err)
	}
	return nil
}

// registerEvery are the intervals of Botpress's scheduleRegisterCall.
var registerEvery = map[string]time.Duration{
	"hourly": time.Hour, "daily": day, "weekly": 7 * day, "bi-weekly": 14 * day,
	"monthly": 30 * day, "bi-monthly": 61 * day, "quarterly": 91 * day, "yearly": 365 * day,
}

const day = 24 * time.Hour

func (s *Store) configureIntegration(ctx context.Context, call client.Call, in *client.ConfigureIntegrationInput) (*client.NoOutput, error) {
	if !call.Caller.IsIntegration() {
		return nil, client.NewError(client.Forbidden, "only an integration configures itself")
	}
	every, known := registerEvery[in.ScheduleRegisterCall]
	if in.ScheduleRegisterCall != "" && !known {
		return nil, client.NewError(client.InvalidPayload, "scheduleRegisterCall %q is none of hourly, daily, weekly, bi-weekly, monthly, bi-monthly, quarterly and yearly", in.ScheduleRegisterCall)
	}
	if err := checkLength("identifier", in.Identifier.Text, maxName); err != nil {
		return nil, err
	}
	installation, err := s.byAlias(ctx, call.Caller.BotID, call.Caller.Alias)
	if err != nil {
		return nil, err
	}
	if in.Identifier.Given {
		if err := s.identify(ctx, installation, in.Identifier.Text); err != nil {
			return nil, err
		}
	}
	if known {
		next := s.now().UTC().Add(every)
		if err := s.registerAt(ctx, installation.WebhookID, installation.BotID, next); err != nil {
			return nil, err
		}
		_, err = change(ctx, s.installations, webhookKey(installation.WebhookID), func(i *Installation) (bool, error) {
			i.RegisterEvery, i.RegisterNext = in.ScheduleRegisterCall, next
			return true, nil
		})
	}
	return &client.NoOutput{}, err
}

// identify gives an installation an identifier. One that another installation
// of the integration has is taken over: whoever connected a workspace last has
// just shown that it is theirs, and refusing would leave its events with a bot
// that may be forgotten. The key decides between two at once; for a moment
// nobody has the identifier, but never two.
func (s *Store) identify(ctx context.Context, installation Installation, identifier string) error {
	id := installation.WebhookID
	if identifier != "" {
		before := ""
		_, err := s.installations.Modify(ctx, identifierKey(installation.Integration, identifier), func(value []byte) ([]byte, error) {
			if before = string(value); before == id {
				return nil, nil
			}
			return []byte(id), nil
		})
		if err == nil && before != "" && before != id {
			err = s.setIdentifier(ctx, before, identifier, "")
		}
		if err != nil {
			return fmt.Errorf("take identifier of %s: %w", id, err)
		}
	}
	if identifier != installation.Identifier {
		if err := s.forgetIdentifier(ctx, installation); err != nil {
			return err
		}
	}
	return s.setIdentifier(ctx, id, installation.Identifier, identifier)
}

// setIdentifier replaces an identifier that an installation still has.
func (s *Store) setIdentifier(ctx context.Context, webhookID, from, to string) error {
	_, err := change(ctx, s.installations, webhookKey(webhookID), func(i *Installation) (bool, error) {
		if i.Identifier != from || from == to {
			return false, nil
		}
		i.Identifier, i.UpdatedAt = to, s.now().UTC()
		return true, nil
	})
	if errors.Is(err, broker.ErrNoKey) {
		return nil
	}
	return err
}

func registerWakeup(webhookID string) string { return "register_" + webhookID }

func (s *Store) registerAt(ctx context.Context, webhookID, bot string, at time.Time) error {
	call := client.Call{Caller: client.Caller{BotID: bot}}
	return s.plan(ctx, call, registerWakeup(webhookID), planned{At: at, Register: webhookID})
}

// wakeRegistration asks for another registration, and for the wake-up after
// this one. The next is scheduled before anything is written down, so that a
// crash cannot end the row; done again, it asks for the same registration.
func (s *Store) wakeRegistration(ctx context.Context, p planned) error {
	found, _, err := load[Installation](ctx, s.installations, webhookKey(p.Register))
	if errors.Is(err, broker.ErrNoKey) {
		return nil
	}
	every, known := registerEvery[found.RegisterEvery]
	if err != nil || !known || found.Leaving() || p.At.Before(found.RegisterNext) {
		return err
	}
	next := p.At.Add(every)
	if now := s.now(); next.Before(now) { // after a long outage
		next = now.UTC().Add(every)
	}
	if err := s.registerAt(ctx, p.Register, p.Bot, next); err != nil {
		return err
	}
	if !found.Disabled {
		again := found
		again.RequestedAt = p.At
		if err := s.enqueue(ctx, again); err != nil {
			return err
		}
	}
	_, err = change(ctx, s.installations, webhookKey(p.Register), func(i *Installation) (bool, error) {
		if !next.After(i.RegisterNext) {
			return false, nil
		}
		i.RegisterNext = next
		return true, nil
	})
	return err
}
