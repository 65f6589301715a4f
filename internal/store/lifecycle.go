package store

import (
	"context"
	"errors"
	"fmt"

	"github.com/towpath/towpath/internal/broker"
	"github.com/towpath/towpath/pkg/client"
	"github.com/towpath/towpath/pkg/events"
)

// webhookBaseKey holds what webhook URLs begin with, as last applied, for
// installations that come one by one.
var webhookBaseKey = broker.Key("settings", "webhookBase")

// Install makes one installation, or changes the one of that bot and alias,
// and asks for its registration where that is due. It stays when a file is
// applied that does not name it.
func (s *Store) Install(ctx context.Context, spec InstallationSpec, check func(InstallationSpec) error) (Installation, error) {
	if _, err := s.bots.Get(ctx, broker.Key(spec.Bot)); errors.Is(err, broker.ErrNoKey) {
		return Installation{}, client.NotFound("Bot", spec.Bot)
	} else if err != nil {
		return Installation{}, err
	}
	if err := checkDesired(Desired{Bots: []BotSpec{{ID: spec.Bot}}, Installations: []InstallationSpec{spec}}, check); err != nil {
		return Installation{}, client.NewError(client.InvalidPayload, "%s", err.Error())
	}
	a, err := s.applying(ctx)
	if err != nil {
		return Installation{}, err
	}
	if taken, ok := a.have[spec.WebhookID]; ok && spec.WebhookID != "" && (taken.BotID != spec.Bot || taken.Alias != spec.Alias) {
		return Installation{}, client.NewError(client.AlreadyExists, "webhook id %q is taken by another installation", spec.WebhookID)
	}
	base, err := s.installations.Get(ctx, webhookBaseKey)
	if err != nil && !errors.Is(err, broker.ErrNoKey) {
		return Installation{}, err
	}
	a.webhookBase = string(base.Value)
	installed, err := a.install(ctx, spec)
	if err != nil {
		return Installation{}, fmt.Errorf("install %s: %w", spec.Alias, err)
	}
	if err := a.supersede(ctx, installed); err != nil {
		return Installation{}, err
	}
	return installed, s.ask(ctx, installed)
}

// supersede takes out whatever had the bot and alias of an installation before:
// the alias no longer leads there, but its webhook would go on. It asks again
// for what a call that was cut off had begun. Of two at once, the one that the
// alias leads to in the end does this to the other.
func (a *applying) supersede(ctx context.Context, by Installation) error {
	all, err := a.Installations(ctx)
	if err != nil {
		return err
	}
	stands, err := a.byAlias(ctx, by.BotID, by.Alias)
	if err != nil || stands.WebhookID != by.WebhookID {
		return err
	}
	for _, before := range all {
		if before.WebhookID == by.WebhookID || before.BotID != by.BotID || before.Alias != by.Alias {
			continue
		}
		leaving, err := a.uninstall(ctx, before)
		if err == nil && leaving.Status == UnregistrationPending {
			err = a.enqueue(ctx, leaving)
		}
		if err != nil && !errors.Is(err, broker.ErrNoKey) { // gone by now
			return fmt.Errorf("take out installation %s: %w", before.WebhookID, err)
		}
	}
	return nil
}

// SetDisabled stops an installation, or lets it go on, also one that is paused:
// a disabled one takes no webhooks, and what is waiting for it waits.
func (s *Store) SetDisabled(ctx context.Context, bot, alias string, disabled bool) (Installation, error) {
	return s.alter(ctx, bot, alias, func(i *Installation) bool {
		changed := i.Disabled != disabled || !disabled && i.Paused != nil
		i.Disabled = disabled
		if !disabled {
			i.Paused = nil
		}
		return changed
	})
}

// Pause stops an installation whose credentials its platform refuses, until
// its configuration is another one or somebody enables it. Its webhooks are
// still taken. A refusal of credentials that were replaced meanwhile says
// nothing. It reports whether the installation was not paused before.
func (s *Store) Pause(ctx context.Context, webhookID, revision, reason string) (bool, error) {
	paused := false
	_, err := change(ctx, s.installations, webhookKey(webhookID), func(i *Installation) (bool, error) {
		paused = i.ConfigurationRevision == revision && i.Paused == nil
		if paused {
			at := s.now().UTC()
			i.Paused, i.UpdatedAt = &Paused{Reason: reason, At: at}, at
		}
		return paused, nil
	})
	if err != nil && !errors.Is(err, broker.ErrNoKey) {
		return false, fmt.Errorf("pause installation %s: %w", webhookID, err)
	}
	return paused, nil
}

// Remove takes an installation out of its bot: its webhooks stop at once, and
// it is gone once it is unregistered.
func (s *Store) Remove(ctx context.Context, bot, alias string) (Installation, error) {
	now := s.now().UTC()
	return s.alter(ctx, bot, alias, func(i *Installation) bool {
		if i.Leaving() && i.Status != UnregistrationFailed {
			return false
		}
		i.Status, i.StatusReason, i.RequestedAt, i.Disabled = UnregistrationPending, "", now, false
		return true
	})
}

// Reregister asks for another registration of an installation as it is, such
// as after the platform was mended.
func (s *Store) Reregister(ctx context.Context, bot, alias string) (Installation, error) {
	now := s.now().UTC()
	return s.alter(ctx, bot, alias, func(i *Installation) bool {
		if i.Leaving() {
			return false
		}
		i.Status, i.StatusReason, i.RequestedAt = RegistrationPending, "", now
		return true
	})
}

func (s *Store) alter(ctx context.Context, bot, alias string, edit func(*Installation) bool) (Installation, error) {
	found, err := s.byAlias(ctx, bot, alias)
	if errors.Is(err, broker.ErrNoKey) {
		return Installation{}, client.NotFound("Installation", alias)
	}
	if err != nil {
		return Installation{}, err
	}
	altered, err := change(ctx, s.installations, webhookKey(found.WebhookID), func(i *Installation) (bool, error) {
		changed := edit(i)
		if changed {
			i.UpdatedAt = s.now().UTC()
		}
		return changed, nil
	})
	if err != nil {
		return Installation{}, err
	}
	return altered, s.ask(ctx, altered)
}

// ask enqueues the registration or unregistration that an installation waits
// for. Asking again for the same is no second request.
func (s *Store) ask(ctx context.Context, i Installation) error {
	if i.Disabled || i.Status != RegistrationPending && i.Status != UnregistrationPending {
		return nil
	}
	return s.enqueue(ctx, i)
}

// Spec returns the installation as it was wanted.
func (i Installation) Spec() InstallationSpec {
	return InstallationSpec{
		Bot: i.BotID, Integration: i.Integration, Alias: i.Alias, WebhookID: i.WebhookID,
		ConfigurationType: i.ConfigurationType, Configuration: i.Configuration, Disabled: i.Disabled,
	}
}

// Ping asks an installation's integration whether it can do its job, and
// returns the delivery whose end tells; see [Store.WatchEnd].
func (s *Store) Ping(ctx context.Context, bot, alias string) (delivery string, err error) {
	found, err := s.active(ctx, bot, alias)
	if err != nil {
		return "", err
	}
	id := events.NewID("ping")
	e := events.New(id, "/bots/"+bot, events.Ping.CloudEventType(), "", s.now(), []byte("{}"))
	_, err = s.broker.Enqueue(ctx, broker.Commands, found.WebhookID, "", e)
	return id, err
}
